//! What this shard hears of a topic, and which of its connections hear it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::line::At;
use super::stream::Stamp;
use crate::checkpoint::Place;
use crate::core::Io;
use crate::link::ShardIndex;
use crate::output::{Frame, Output};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::small_map::{SmallMap, SmallSet};
use crate::topic::Topic;
use crate::{Dialect, GroupId, TrunkId};

/// One topic that sessions of this shard are live members of.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) owner: ShardIndex,
    /// All members have been passed everything up to here.
    pub(super) position: Position,
    /// Under which the newest message was sent to its Socket.IO clients, if that can be recovered.
    pub(super) stamp: Option<Stamp>,
    /// The owner has been told who is here and has not answered: what it delivers before is in its
    /// answer, and may come from when it was the owner before.
    pub(super) is_claimed: bool,
    members: SmallSet<SessionId>,
    /// Members that have not been welcomed: what they are to hear waits with them.
    held: SmallSet<SessionId>,
    groups: SmallMap<(TrunkId, Dialect), Group>,
}

#[derive(Debug)]
struct Group {
    id: GroupId,
    connections: usize,
}

impl Subscription {
    pub(super) fn members(&self) -> impl Iterator<Item = SessionId> {
        self.members.keys().copied()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = SessionId> {
        self.held.keys().copied()
    }

    /// Whether a connection hears it in this dialect.
    pub(super) fn is_heard_in(&self, dialect: Dialect) -> bool {
        self.groups.keys().any(|(_, heard)| *heard == dialect)
    }

    /// Queues a frame for every member that speaks its dialect, once per router worker. With
    /// `position` they have had everything up to there.
    pub(super) fn fan(
        &self,
        io: &mut Io,
        frame: &Frame,
        except: Option<At>,
        position: Option<&Bytes>,
    ) {
        for ((trunk, dialect), group) in self.groups.iter() {
            if *dialect == frame.dialect {
                let except = except.filter(|(at, _)| at == trunk).map(|(_, connection)| connection);
                let (trunk, group, frame) = (*trunk, group.id, frame.clone());
                let position = position.cloned();
                io.output(Output::Fan { trunk, group, frame, except, position });
            }
        }
    }
}

/// All topics that sessions of this shard are live members of.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Boxed, as a tree's nodes are never full.
    topics: BTreeMap<Topic, Box<Subscription>>,
    /// Those whose owner isn't the one of the view: it has not parted with them.
    astray: BTreeSet<Topic>,
    /// Those that were, and are no more, and who they were heard from.
    freed: Vec<(Topic, ShardIndex)>,
    groups: u64,
}

impl Subscriptions {
    pub(super) fn get(&self, topic: &Topic) -> Option<&Subscription> {
        self.topics.get(topic).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, topic: &Topic) -> Option<&mut Subscription> {
        self.topics.get_mut(topic).map(Box::as_mut)
    }

    pub(super) fn of_owner(
        &self,
        owner: ShardIndex,
    ) -> impl Iterator<Item = (&Topic, &Subscription)> {
        let all = self.topics.iter().map(|(topic, subscription)| (topic, subscription.as_ref()));
        all.filter(move |(_, subscription)| subscription.owner == owner)
    }

    /// A session becomes a live member. `position` is where the owner stood when it let the
    /// session in; everything before is with the session already, and whoever else was here has
    /// had it too, because the owner's messages come in order. Until [`Subscriptions::enter`]
    /// what it is to hear is held. Gives whether it is the first.
    pub(super) fn add(
        &mut self,
        topic: &Topic,
        session: SessionId,
        owner: ShardIndex,
        position: Position,
    ) -> bool {
        let mut is_new = false;
        let subscription = self.topics.entry(topic.clone()).or_insert_with(|| {
            is_new = true;
            Box::new(Subscription {
                owner,
                position,
                stamp: None,
                is_claimed: false,
                members: SmallSet::default(),
                held: SmallSet::default(),
                groups: SmallMap::default(),
            })
        });
        if subscription.members.insert(session, ()).is_none() {
            subscription.held.insert(session, ());
        }
        is_new
    }

    /// The owner that a topic is heard from, if it is heard. Unless it is astray that is the one of
    /// the view.
    pub(super) fn owner_of(&self, topic: &Topic) -> Option<ShardIndex> {
        self.topics.get(topic).map(|subscription| subscription.owner)
    }

    /// The owner that a topic is heard from isn't the one of the view.
    pub(super) fn stray(&mut self, topic: &Topic) {
        self.astray.insert(topic.clone());
    }

    /// A topic is claimed from the owner of the view, and heard from there. Gives the subscription.
    pub(super) fn turn_to(&mut self, topic: &Topic, owner: ShardIndex) -> Option<&Subscription> {
        self.astray.remove(topic);
        let subscription = self.topics.get_mut(topic)?;
        (subscription.owner, subscription.is_claimed) = (owner, true);
        Some(subscription)
    }

    /// Looks at all owners anew.
    pub(super) fn sort_out(&mut self, io: &Io) {
        let is_astray = |topic: &&Topic| {
            self.topics.get(*topic).is_some_and(|it| it.owner != io.owner_of(topic))
        };
        self.astray = self.topics.keys().filter(is_astray).cloned().collect();
    }

    /// Those that are heard from an owner that isn't the one of the view and can't be reached.
    pub(super) fn orphaned(&self, io: &Io) -> Vec<Topic> {
        let is_lost =
            |topic: &&Topic| self.topics.get(*topic).is_some_and(|it| !io.links.is_up(it.owner));
        self.astray.iter().filter(is_lost).cloned().collect()
    }

    /// Topics that nobody hears any more from an owner that isn't the one of the view, and that owner.
    pub(super) fn take_freed(&mut self) -> Vec<(Topic, ShardIndex)> {
        std::mem::take(&mut self.freed)
    }

    pub(super) fn any_freed(&self) -> bool {
        !self.freed.is_empty()
    }

    /// A live member hears from here on what is fanned out.
    pub(super) fn enter(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        session: SessionId,
        at: At,
        dialect: Dialect,
    ) {
        let Some(subscription) = self.topics.get_mut(topic) else { return };
        // An inbox has a connection or two: they are named, a group would cost more than it saves.
        if subscription.held.remove(&session).is_none() || !matches!(topic, Topic::Room(..)) {
            return;
        }
        let (trunk, connection) = at;
        let group = subscription.groups.get_or_insert_with((trunk, dialect), || {
            self.groups += 1;
            Group { id: GroupId(self.groups), connections: 0 }
        });
        group.connections += 1;
        let group = group.id;
        let position = Some(subscription.place(topic));
        io.output(Output::Group { trunk, group, connection, member: true, position });
    }

    /// A session is no live member any more. `at` is where its connection is, if the router
    /// still has it and must be told.
    pub(super) fn remove(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        session: SessionId,
        at: At,
        dialect: Dialect,
        socket: Socket,
    ) {
        let Some(subscription) = self.topics.get_mut(topic) else { return };
        if subscription.members.remove(&session).is_none() {
            return;
        }
        if subscription.held.remove(&session).is_none() {
            subscription.quit(io, at, dialect, socket);
        }
        if subscription.members.is_empty() {
            let owner = subscription.owner;
            self.topics.remove(topic);
            if !self.astray.is_empty() && self.astray.remove(topic) {
                self.freed.push((topic.clone(), owner));
            }
        }
    }

    /// A member's connection is another.
    pub(super) fn change(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        session: SessionId,
        from: At,
        to: At,
    ) {
        let Some(subscription) = self.topics.get_mut(topic) else { return };
        if !subscription.members.contains_key(&session)
            || subscription.held.insert(session, ()).is_some()
        {
            return;
        }
        subscription.quit(io, from, Dialect::SocketIo, Socket::Open);
        self.enter(io, topic, session, to, Dialect::SocketIo);
    }
}

impl Subscription {
    /// Where its members are.
    pub(super) fn place(&self, topic: &Topic) -> Bytes {
        let Position { epoch, offset } = &self.position;
        Place::encode(topic, (epoch, *offset), None, self.stamp)
    }

    fn quit(&mut self, io: &mut Io, at: At, dialect: Dialect, socket: Socket) {
        let (trunk, connection) = at;
        if let Some(group) = self.groups.get_mut(&(trunk, dialect)) {
            group.connections -= 1;
            if socket == Socket::Open {
                let (group, member, position) = (group.id, false, None);
                io.output(Output::Group { trunk, group, connection, member, position });
            }
            if group.connections == 0 {
                self.groups.remove(&(trunk, dialect));
            }
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
