//! Going on with a session whose trunk or whose process is no more. Its router has kept the
//! connection and gives back what shards have told it; the client hears nothing of all this but
//! what it has missed.
//!
//! What is known of a room comes from three sides. A checkpoint tells of the rooms that the session
//! was in, but not how far it has heard them. Groups tell how far, of all rooms that the connection
//! had entered. Between the answer to a join and the group is one moment, of which the slot
//! [`ENTERED`] tells.

use std::collections::BTreeMap;

use super::Home;
use super::command::Origin;
use super::greeting::Greeting;
use super::line::{At, Line, Speaks};
use super::requests::Pending;
use super::respond::ReplyTo;
use super::session::{Membership, Session};
use crate::Dialect;
use crate::checkpoint::{Checkpoint, Place};
use crate::core::Io;
use crate::dedupe;
use crate::dialect::command::Command;
use crate::dialect::native::{self, Request, Source};
use crate::input::Adoption;
use crate::link::ShardIndex;
use crate::name::RoomId;
use crate::output::{CloseCode, FrameKind, Output, Part};
use crate::peer::{Joined, PeerMessage};
use crate::position::Position;
use crate::rights::Verdict;
use crate::session_id::SessionId;
use crate::topic::Topic;

/// The slot of the user's inbox.
pub(super) const INBOX: u32 = 0;
/// The slot of the room that was entered last.
pub(super) const ENTERED: u32 = 1;

impl Home {
    /// Goes on with a session as its router has kept it.
    pub(super) fn adopt(
        &mut self,
        io: &mut Io,
        at: At,
        id: SessionId,
        dialect: Dialect,
        adoption: &Adoption,
    ) {
        let checkpoint = Checkpoint::decode(&adoption.state).filter(|checkpoint| {
            let expires_ms = checkpoint.identity.expires_ms;
            dialect == Dialect::Native && expires_ms.is_none_or(|it| it > io.now.wall_ms)
        });
        let Some(checkpoint) = checkpoint else {
            self.hang_on_no_more(io, id, "transport close");
            let ((trunk, connection), code) = (at, CloseCode::Restart);
            let reason = "the session can't be gone on with; come back";
            return io.output(Output::Close { trunk, connection, code, reason });
        };
        let before = self.take_from(io, id);
        let mut session = resume(id, at, checkpoint, adoption);
        if let Some(before) = before {
            session.doubt(&before);
            session.whispers = before.whispers;
        }
        let topics: Vec<Topic> = session.resuming().chain([session.inbox_topic()]).collect();
        self.connections.insert(at, id);
        self.lines.insert(id, Line::resumed(at, Speaks::Native, adoption.settled));
        self.sessions.insert(id, Box::new(session));
        self.watch_expiry(io, id);
        // Before anything else, so that a router that loses this trunk too can give back either
        // all that it gave now, or all that has come since.
        self.give_checkpoint(io, id);
        for topic in topics {
            self.join_own(io, id, &topic, None);
        }
    }

    /// Takes a session from the connection that it had in this process, if it had one.
    fn take_from(&mut self, io: &mut Io, id: SessionId) -> Option<Box<Session>> {
        if let Some(at) = self.lines.remove(&id).and_then(|line| line.at) {
            self.connections.remove(&at);
            self.orphan(io, id, at);
        }
        let session = self.sessions.remove(&id)?;
        if let Some(at) = session.expires {
            self.expiries.remove(&(at, id));
        }
        Some(session)
    }

    /// A client's message that comes again though the client has been answered. What the answer
    /// said was done is done, and what it refused stays so; only who speaks may not be known here.
    pub(super) fn said_before(
        &mut self,
        io: &mut Io,
        id: SessionId,
        sequence: u64,
        payload: &[u8],
    ) {
        if let Ok(Request { command: command @ Command::Auth { .. }, .. }) = native::decode(payload)
        {
            let (session, line, message) = (id, id, Some(sequence));
            let origin = Origin { session, line, reply_to: ReplyTo::Nobody, message, sequence };
            if self.command(io, origin, command).is_ok() {
                return;
            }
        }
        self.settle_line(io, id, sequence);
    }

    /// The owner of a room has let a session go on in it: what was missed, then what is live.
    pub(super) fn resumed_room(
        &mut self,
        io: &mut Io,
        pending: &Pending,
        topic: &Topic,
        room: &RoomId,
        joined: Joined,
    ) {
        let Some(session) = self.sessions.get_mut(&pending.session) else { return };
        if session.resumes_after(topic).is_none() {
            // It has left since, or gone on by a join of its own.
            if let Some(membership) = session.membership(topic) {
                membership.outstanding = membership.outstanding.saturating_sub(1);
            }
            return session.tidy(topic);
        }
        let Joined { position, gap, mut missed, .. } = joined;
        if trunkline_planted::is("keep back what was missed") {
            missed.clear();
        }
        let own = missed.iter().filter(|record| record.session == session.id);
        let is_alone = session.rooms.get(room).is_some_and(|it| it.outstanding == 1);
        if let Some(line) = self.lines.get_mut(&session.line)
            && let Some(last) = own.map(|it| it.sequence).rfind(|it| !line.is_settled(*it))
            && is_alone
        {
            // What the client hasn't been told is done comes after the word that it is: its
            // router sends it again. (Not if the client itself has asked to be let in: that would
            // be answered as if it had heard all.)
            line.await_settled(topic, last);
            if let Some(membership) = session.membership(topic) {
                membership.outstanding = membership.outstanding.saturating_sub(1);
            }
            let (topic, session) = (topic.clone(), pending.session);
            return io.tell(pending.owner, PeerMessage::Suspend { topic, session });
        }
        let epoch = &position.epoch;
        let gap = gap.map(|offset| (offset, native::gap(room, epoch, offset)));
        let heard = missed.iter().filter(|record| record.is_heard_by(session.id));
        let heard =
            heard.map(|record| (record.offset, native::message(Source::Room(room), epoch, record)));
        let texts: Vec<_> = gap.into_iter().chain(heard).collect();
        for (offset, text) in texts {
            let upto = Position { epoch: epoch.clone(), offset };
            let slot = session.next_entry(topic, &upto, 0);
            session.send_with(io, FrameKind::Live, vec![Part::text(text)], Some(slot), None);
        }
        let base = position.clone();
        self.go_live(io, pending, topic, position, base);
    }
}

impl Session {
    /// The rooms in which it goes on once their owners let it.
    pub(super) fn resuming(&self) -> impl Iterator<Item = Topic> {
        let resuming = self.rooms.iter().filter(|(_, membership)| membership.resumes);
        resuming.map(|(room, _)| self.room(room))
    }

    /// After which position it goes on in a topic, if it is to.
    pub(super) fn resumes_after(&self, topic: &Topic) -> Option<Position> {
        let Topic::Room(_, room) = topic else { return None };
        let membership = self.rooms.get(room).filter(|membership| membership.resumes)?;
        membership.base.clone()
    }

    /// While it is known and has no connection, nobody claims its memberships: a peer whose link is
    /// back is told that they still may be.
    pub(super) fn is_not_gone(&self, io: &mut Io, peer: ShardIndex) {
        if self.at.is_some() || self.socket.is_some() {
            return;
        }
        for topic in self.rooms.keys().map(|room| self.room(room)) {
            if io.owner_of(&topic) == peer {
                io.tell(peer, PeerMessage::Suspend { topic, session: self.id });
            }
        }
    }

    /// What it had under way when its trunk broke may have made it a member.
    fn doubt(&mut self, before: &Session) {
        for room in before.rooms.keys() {
            let unsure = || Membership { unsure: true, ..Membership::default() };
            self.rooms.get_or_insert_with(room.clone(), unsure);
        }
    }
}

/// A session as a router has kept it.
fn resume(id: SessionId, at: At, checkpoint: Checkpoint, adoption: &Adoption) -> Session {
    let Adoption { state: _, positions, slots, settled } = adoption;
    let Checkpoint { namespace, identity, authenticated, inbox_after, rooms, departures, entries } =
        checkpoint;
    let mut session = Session::new(id, id, namespace, identity, at);
    session.authenticated = authenticated;
    session.greeting = Greeting::Done;
    session.departures = departures;
    session.again_upto = settled + dedupe::WINDOW as u64;

    let mut kept: BTreeMap<RoomId, (Position, u64)> = BTreeMap::new();
    for room in rooms {
        kept.insert(room.room, (room.position, room.entry));
    }
    let slot = |number| {
        let slot = slots.iter().find(|slot| slot.slot == number);
        slot.and_then(|slot| Place::decode(&slot.position))
    };
    let mut entered = entries;
    if let Some(Place { topic: Topic::Room(_, room), position, entry: Some(entry) }) = slot(ENTERED)
    {
        entered = entered.max(entry.nth);
        let is_newer = match kept.get(&room) {
            Some((_, nth)) => entry.nth > *nth,
            // Its answer has come, and the checkpoint that tells of it hasn't.
            None => entry.sequence > *settled && !session.has_left_since(&room, entry.sequence),
        };
        if is_newer {
            kept.insert(room, (position, entry.nth));
        }
    }
    for place in positions.iter().filter_map(|bytes| Place::decode(bytes)) {
        let Topic::Room(_, room) = place.topic else { continue };
        // That it was in is the router's word alone, which gives no rights.
        if !kept.contains_key(&room) && session.identity.rights.join(&room) == Verdict::Forbidden {
            continue;
        }
        let before = kept.remove(&room).map(|(position, _)| position);
        kept.insert(room, (newer(before, place.position), entered));
    }
    session.entries = entered + 1;
    for (room, (position, _)) in kept {
        let membership = Membership {
            wanted: true,
            resumes: true,
            base: Some(position),
            entry: session.entries,
            ..Membership::default()
        };
        session.rooms.insert(room, membership);
    }
    session.inbox_after = match slot(INBOX) {
        Some(place) => Some(newer(inbox_after, place.position)),
        None => inbox_after,
    };
    session
}

/// The newer of two positions, of which `second` was told of later unless they are of the same
/// history: what was sent again counts.
fn newer(first: Option<Position>, second: Position) -> Position {
    match first {
        Some(first) if trunkline_planted::is("go on from the older place") => first,
        Some(first) if first.epoch == second.epoch && first.offset > second.offset => first,
        _ => second,
    }
}
