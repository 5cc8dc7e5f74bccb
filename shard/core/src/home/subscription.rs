//! What this shard hears of a topic, and which of its connections hear it.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Io;
use crate::link::ShardIndex;
use crate::output::{Frame, Output};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ConnectionId, GroupId, TrunkId};

/// One topic that sessions of this shard are live members of.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) owner: ShardIndex,
    /// All members have been passed everything up to here.
    pub(super) position: Position,
    members: BTreeSet<SessionId>,
    groups: BTreeMap<TrunkId, Group>,
}

#[derive(Debug)]
struct Group {
    id: GroupId,
    connections: usize,
}

impl Subscription {
    pub(super) fn members(&self) -> impl Iterator<Item = SessionId> {
        self.members.iter().copied()
    }

    /// Queues a frame for every member, once per router worker.
    pub(super) fn fan(&self, io: &mut Io, frame: &Frame, except: Option<(TrunkId, ConnectionId)>) {
        for (trunk, group) in &self.groups {
            let except = except.filter(|(at, _)| at == trunk).map(|(_, connection)| connection);
            io.output(Output::Fan { trunk: *trunk, group: group.id, frame: frame.clone(), except });
        }
    }
}

/// All topics that sessions of this shard are live members of.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    topics: BTreeMap<Topic, Subscription>,
    groups: u64,
}

impl Subscriptions {
    pub(super) fn get(&self, topic: &Topic) -> Option<&Subscription> {
        self.topics.get(topic)
    }

    pub(super) fn get_mut(&mut self, topic: &Topic) -> Option<&mut Subscription> {
        self.topics.get_mut(topic)
    }

    pub(super) fn of_owner(
        &self,
        owner: ShardIndex,
    ) -> impl Iterator<Item = (&Topic, &Subscription)> {
        self.topics.iter().filter(move |(_, subscription)| subscription.owner == owner)
    }

    /// A session becomes a live member. `position` is where the owner stood when it let the
    /// session in; everything before is with the session already, and whoever else was here has
    /// had it too, because the owner's messages come in order.
    pub(super) fn add(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        session: SessionId,
        at: (TrunkId, ConnectionId),
        owner: ShardIndex,
        position: Position,
    ) {
        let subscription = self.topics.entry(topic.clone()).or_insert_with(|| Subscription {
            owner,
            position,
            members: BTreeSet::new(),
            groups: BTreeMap::new(),
        });
        let added = subscription.members.insert(session);
        // An inbox has a connection or two: they are named, a group would cost more than it saves.
        if added && matches!(topic, Topic::Room(..)) {
            let (trunk, connection) = at;
            let group = subscription.groups.entry(trunk).or_insert_with(|| {
                self.groups += 1;
                Group { id: GroupId(self.groups), connections: 0 }
            });
            group.connections += 1;
            io.output(Output::Group { trunk, group: group.id, connection, member: true });
        }
    }

    /// A session is no live member any more. `at` is where its connection is, if the router
    /// still has it and must be told.
    pub(super) fn remove(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        session: SessionId,
        at: (TrunkId, ConnectionId),
        socket: Socket,
    ) {
        let Some(subscription) = self.topics.get_mut(topic) else { return };
        if !subscription.members.remove(&session) {
            return;
        }
        let (trunk, connection) = at;
        if let Some(group) = subscription.groups.get_mut(&trunk) {
            group.connections -= 1;
            if socket == Socket::Open {
                io.output(Output::Group { trunk, group: group.id, connection, member: false });
            }
            if group.connections == 0 {
                subscription.groups.remove(&trunk);
            }
        }
        if subscription.members.is_empty() {
            self.topics.remove(topic);
        }
    }
}

/// Whether the router still has the connection. When a socket is gone it leaves its groups by
/// itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Open,
    Gone,
}
