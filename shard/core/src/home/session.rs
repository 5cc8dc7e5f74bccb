//! A session: the logical client, whose connection may be gone for a while.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::input::{Attach, Identity};
use crate::name::{Namespace, RoomId};
use crate::output::{Frame, FrameKind, Output};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ConnectionId, TrunkId};

use super::rate::Rate;
use crate::core::Io;
use crate::dedupe::Dedupe;
use crate::dialect::native;

/// The logical client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) namespace: Namespace,
    pub(super) identity: Identity,
    pub(super) authenticated: bool,
    /// Where its connection is; `None` after its trunk broke, until the grace is over.
    pub(super) at: Option<(TrunkId, ConnectionId)>,
    pub(super) rooms: BTreeMap<RoomId, Membership>,
    pub(super) inbox: Membership,
    /// The position that the client named for its inbox; used until the inbox has answered.
    pub(super) inbox_after: Option<Position>,
    pub(super) rate: Rate,
    pub(super) greeting: Greeting,
    /// Whom it has been whispered to by, so that repeats are recognised; made by the first.
    pub(super) whispers: Option<Box<Dedupe>>,
    settling: Settling,
}

/// Whether the client has had its `welcome`. It comes when the inbox has let the session in, so
/// that who has been welcomed misses no private message; what the client says before waits.
#[derive(Debug)]
pub(super) enum Greeting {
    /// Not yet: these of its messages wait, with their sequences.
    Due(Vec<(u64, Bytes)>),
    Done,
}

/// A session's standing in one topic. Requests may overtake each other's answers (a client need
/// not wait), so what it wants, what is on the way and what holds are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// The client's last word was to join.
    pub(super) wanted: bool,
    /// Joins and leaves on the way to the owner.
    pub(super) outstanding: u32,
    /// The session gets what the topic delivers.
    pub(super) live: bool,
}

impl Membership {
    /// Whether there is nothing left to remember.
    pub(super) fn is_over(self) -> bool {
        !self.live && self.outstanding == 0
    }
}

/// Which of a session's messages are settled: answered, stored or forwarded.
#[derive(Debug, Default)]
struct Settling {
    seen: u64,
    acknowledged: u64,
    outstanding: BTreeSet<u64>,
}

impl Session {
    pub(super) fn new(attach: Attach, at: (TrunkId, ConnectionId)) -> Self {
        let Attach {
            connection: _,
            session,
            dialect: _,
            namespace,
            identity,
            authenticated,
            guest: _,
            inbox_after,
        } = attach;
        Self {
            id: session,
            namespace,
            identity,
            authenticated,
            at: Some(at),
            rooms: BTreeMap::new(),
            inbox: Membership::default(),
            inbox_after,
            rate: Rate::default(),
            greeting: Greeting::Due(Vec::new()),
            whispers: None,
            settling: Settling::default(),
        }
    }

    /// Welcomes the client, if it has not been. Gives what it has said meanwhile, to be taken up.
    pub(super) fn welcome(&mut self, io: &mut Io) -> Vec<(u64, Bytes)> {
        match std::mem::replace(&mut self.greeting, Greeting::Done) {
            Greeting::Done => Vec::new(),
            Greeting::Due(said) => {
                let user = &self.identity.user;
                let heartbeat_ms = io.settings.heartbeat.as_millis();
                let welcome = native::welcome(&self.id, user, heartbeat_ms, io.settings.message);
                self.answer(io, vec![welcome]);
                said
            }
        }
    }

    /// The room's topic, in this session's namespace.
    pub(super) fn room(&self, room: &RoomId) -> Topic {
        Topic::Room(self.namespace.clone(), room.clone())
    }

    pub(super) fn inbox_topic(&self) -> Topic {
        Topic::Inbox(self.identity.user.clone())
    }

    /// Its standing in a topic, if it has any.
    pub(super) fn membership(&mut self, topic: &Topic) -> Option<&mut Membership> {
        match topic {
            Topic::Room(_, room) => self.rooms.get_mut(room),
            Topic::Inbox(_) => Some(&mut self.inbox),
        }
    }

    /// Forgets a room that there is nothing left to remember of.
    pub(super) fn tidy(&mut self, topic: &Topic) {
        if let Topic::Room(_, room) = topic
            && self.rooms.get(room).is_some_and(|membership| membership.is_over())
        {
            self.rooms.remove(room);
        }
    }

    /// Queues the answer to a request on its connection.
    pub(super) fn answer(&self, io: &mut Io, parts: Vec<Bytes>) {
        if let Some((trunk, connection)) = self.at {
            let frame = Frame::native(FrameKind::Reply, parts);
            io.output(Output::Send { trunk, connections: vec![connection], frame, receipt: None });
        }
    }

    /// Takes note of a message; false if it came before.
    pub(super) fn begin(&mut self, sequence: u64) -> bool {
        if sequence <= self.settling.seen {
            return false;
        }
        self.settling.seen = sequence;
        self.settling.outstanding.insert(sequence);
        true
    }

    /// Takes note that a message is settled, and tells the router when all before it are too.
    pub(super) fn settle(&mut self, io: &mut Io, sequence: u64) {
        self.settling.outstanding.remove(&sequence);
        let settled = match self.settling.outstanding.first() {
            Some(oldest) => oldest - 1,
            None => self.settling.seen,
        };
        if settled > self.settling.acknowledged {
            self.settling.acknowledged = settled;
            if let Some((trunk, connection)) = self.at {
                io.output(Output::Acknowledge { trunk, connection, sequence: settled });
            }
        }
    }
}
