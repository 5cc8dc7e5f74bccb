//! What routers are given to keep for native sessions: at the end of each batch of outputs, of
//! those that have changed; and at once before a room is left, so that a router that has taken a
//! connection out of a group knows why.

use super::Home;
use super::adopt::ENTERED;
use super::greeting::Greeting;
use super::requests::{Asked, Pending, Subject};
use super::respond::ReplyTo;
use super::session::{Membership, Session};
use crate::checkpoint::{Checkpoint, Entry, KeptRoom, Place};
use crate::core::Io;
use crate::dedupe;
use crate::name::RoomId;
use crate::output::{Output, SlotPosition};
use crate::peer::{Action, Member};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    /// A session is another than its router knows.
    pub(super) fn changed(&mut self, id: SessionId) {
        if self.sessions.get(&id).is_some_and(|session| session.socket.is_none()) {
            self.changed.insert(id);
        }
    }

    /// Gives routers what has changed, once there is nothing else to say.
    pub(crate) fn give_checkpoints(&mut self, io: &mut Io) {
        while let Some(id) = self.changed.pop_first() {
            self.give_checkpoint(io, id);
        }
    }

    pub(super) fn give_checkpoint(&self, io: &mut Io, id: SessionId) {
        let native = self.sessions.get(&id).filter(|session| session.socket.is_none());
        let Some(session) = native else { return };
        if let (Some((trunk, connection)), Greeting::Done) = (session.at, &session.greeting) {
            let state = session.checkpoint().encode();
            io.output(Output::Checkpoint { trunk, connection, session: id, state });
        }
    }

    /// A session leaves a room by what it has said. Its router hears of that before it takes the
    /// connection out of the room's group.
    pub(super) fn departs(&mut self, io: &mut Io, id: SessionId, room: &RoomId, sequence: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.socket.is_some() {
            return;
        }
        // What is older than all that a router may send again is of no use any more.
        let recent = |at: u64| at + dedupe::WINDOW as u64 > sequence;
        session.departures.retain(|(left, at)| left != room && recent(*at));
        session.departures.push((room.clone(), sequence));
        self.give_checkpoint(io, id);
    }

    /// A join has come to nothing. An owner that had let the session in, before its connection was
    /// attached again, lets go of it; one that can't be told does so when the grace is over.
    pub(super) fn stays_out(&mut self, io: &mut Io, id: SessionId, room: &RoomId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let topic = session.room(room);
        let Some(membership) = session.rooms.get_mut(room) else { return };
        if !membership.is_out() || !std::mem::take(&mut membership.unsure) {
            return;
        }
        session.tidy(&topic);
        self.part(io, id, topic);
    }

    /// Takes a session out of a topic that its client may yet speak to. The answer would be no
    /// news.
    pub(super) fn part(&mut self, io: &mut Io, id: SessionId, topic: Topic) {
        if let Some(member) = self.sessions.get(&id).map(|session| session.member()) {
            self.part_as(io, member, topic);
        }
    }

    pub(super) fn part_as(&mut self, io: &mut Io, member: Member, topic: Topic) {
        let pending = Pending {
            session: member.session,
            line: member.session,
            sequence: None,
            reply_to: ReplyTo::Nobody,
            owner: io.links.me(),
            started: io.now.mono,
            subject: Subject::Part,
            asked: Asked::Topic { member, sequence: 0, topic, action: Action::Leave },
        };
        // Who can't be told lets go of it when the grace is over.
        let _ = self.dispatch(io, pending);
    }
}

impl Session {
    fn checkpoint(&self) -> Checkpoint {
        let kept = |(room, membership): (&RoomId, &Membership)| {
            let is_in = membership.live || membership.resumes;
            let position = membership.base.clone().filter(|_| is_in)?;
            Some(KeptRoom { room: room.clone(), position, entry: membership.entry })
        };
        let inbox = self.inbox.base.clone().filter(|_| self.inbox.live);
        Checkpoint {
            namespace: self.namespace.clone(),
            identity: self.identity.clone(),
            authenticated: self.authenticated,
            inbox_after: inbox.or_else(|| self.inbox_after.clone()),
            rooms: self.rooms.iter().filter_map(kept).collect(),
            departures: self.departures.clone(),
            entries: self.entries,
        }
    }

    /// The session is about to enter a room by the message `sequence`.
    pub(super) fn next_entry(
        &mut self,
        room: &Topic,
        position: &Position,
        sequence: u64,
    ) -> SlotPosition {
        self.entries += 1;
        let entry = Entry { sequence, nth: self.entries };
        let Position { epoch, offset } = position;
        let position = Place::encode(room, epoch, *offset, Some(entry));
        SlotPosition { slot: ENTERED, position }
    }
}
