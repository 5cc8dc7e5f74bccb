//! A session as a router has kept it, and its going on in its rooms.
//!
//! What is known of a room comes from three sides. A checkpoint tells of the rooms that a session
//! was in, but not how far it has heard them. Groups tell how far, of all rooms that the connection
//! had entered. Between the answer to a join and the group is one moment, of which the slot
//! [`ENTERED`] tells.

use std::collections::BTreeMap;

use super::Home;
use super::greeting::Greeting;
use super::requests::Pending;
use super::session::{Membership, Session, Socket};
use crate::checkpoint::{KeptSession, KeptSocket, Place};
use crate::core::Io;
use crate::dedupe;
use crate::dialect::native::{self, Source};
use crate::dialect::socketio;
use crate::input::Adoption;
use crate::link::ShardIndex;
use crate::name::RoomId;
use crate::output::{FrameKind, Part};
use crate::peer::Joined;
use crate::position::Position;
use crate::rights::Verdict;
use crate::session_id::SessionId;
use crate::topic::Topic;

/// The slot of the user's inbox; of connections that speak for several sessions see
/// [`Session::slot`].
pub(super) const INBOX: u32 = 0;
/// The slot of the room that was entered last.
pub(super) const ENTERED: u32 = 1;

impl Home {
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
        let mut own = own.map(|record| session.message_of(record.sequence));
        let is_alone = session.rooms.get(room).is_some_and(|it| it.outstanding == 1);
        if let Some(line) = self.lines.get_mut(&session.line)
            && let Some(last) = own.rfind(|message| !line.is_settled(*message))
            && is_alone
        {
            // What the client hasn't been told is done comes after the word that it is: its
            // router sends it again. (Not if the client itself has asked to be let in: that would
            // be answered as if it had heard all.)
            line.await_settled(pending.session, topic, last);
            if let Some(membership) = session.membership(topic) {
                membership.outstanding = membership.outstanding.saturating_sub(1);
            }
            return io.tell(pending.owner, session.suspended_in(topic.clone()));
        }
        let epoch = &position.epoch;
        let id = session.id;
        let mut said = Vec::with_capacity(missed.len() + 1);
        if let Some(offset) = gap {
            let before = self.stream.at();
            let parts = self.gap_for(io, id, topic, room, (epoch, offset));
            let stamp = Some(self.stream.at()).filter(|stamp| *stamp != before);
            said.push((offset, parts, stamp));
        }
        for record in missed.iter().filter(|record| record.is_heard_by(id)) {
            let (parts, stamp) = if let Some(session) = self.sessions.get(&id)
                && session.socket.is_some()
            {
                let stamp = self.stream.kept(io, topic, epoch, record, Some(id));
                let (text, namespace) = (stamp.as_deref(), &session.namespace);
                let parts = socketio::record(namespace, Some(room), epoch, record, text);
                (parts, stamp.map(|_| self.stream.at()))
            } else {
                (vec![Part::text(native::message(Source::Room(room), epoch, record))], None)
            };
            said.push((record.offset, parts, stamp));
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for (offset, parts, stamp) in said {
            let upto = Position { epoch: epoch.clone(), offset };
            let slot = session.next_entry(topic, &upto, 0, stamp);
            session.send_with(io, FrameKind::Live, parts, Some(slot), None);
        }
        self.go_live(io, pending, topic, position, None);
    }

    /// The word that what a session has missed in a room, up to an offset, can't be had.
    fn gap_for(
        &mut self,
        io: &Io,
        id: SessionId,
        topic: &Topic,
        room: &RoomId,
        place: (&crate::position::Epoch, u64),
    ) -> Vec<Part> {
        let (epoch, offset) = place;
        match self.sessions.get(&id).filter(|session| session.socket.is_some()) {
            Some(session) => {
                let stamp = self.stream.gap(io, topic, Some(id));
                vec![socketio::gap(&session.namespace, room, place, stamp.as_deref())]
            }
            None => vec![Part::text(native::gap(room, epoch, offset))],
        }
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

    /// Whether its home has asked a room to let it in only so that it goes on there. If it doesn't
    /// any more, that shows by what it would have missed.
    pub(super) fn goes_on_in(&self, room: &Topic, joined: &Joined) -> bool {
        if self.socket.is_none() || self.resumes_after(room).is_some() {
            return true;
        }
        let is_new = joined.missed.is_empty() && joined.gap.is_none();
        matches!(self.greeting, Greeting::Done) && !is_new
    }

    /// While it is known and has no connection, nobody claims its memberships: a peer whose link is
    /// back is told that they still may be.
    pub(super) fn is_not_gone(&self, io: &mut Io, peer: ShardIndex) {
        if self.at.is_some() {
            return;
        }
        for topic in self.rooms.keys().map(|room| self.room(room)) {
            if io.owner_of(&topic) == peer {
                io.tell(peer, self.suspended_in(topic));
            }
        }
    }

    /// What it had under way when its trunk broke may have made it a member.
    pub(super) fn doubt(&mut self, before: &Session) {
        for room in before.rooms.keys() {
            let unsure = || Membership { unsure: true, ..Membership::default() };
            self.rooms.get_or_insert_with(room.clone(), unsure);
        }
        self.inbox.unsure = true;
    }
}

pub(super) fn socket_of(
    kept: KeptSocket,
    (origin, settled): (u64, u64),
    known_from: u64,
) -> Socket {
    let counts_from = origin;
    let KeptSocket { private_id, origin, connect, nth, actions, came_with, ended, .. } = kept;
    Socket {
        private_id,
        origin,
        connect,
        nth,
        counts_from,
        actions,
        came_with: came_with.map(|stamp| stamp.to_string().into()),
        adopted: Some(known_from),
        awaited: connect > settled,
        ended,
    }
}

/// A session as a router has kept it. Everything up to `settled` is, in the connection's count;
/// `before` is what this process knows of the session.
pub(super) fn resume(
    mut session: Session,
    kept: KeptSession,
    adoption: &Adoption,
    settled: u64,
    before: Option<Box<Session>>,
) -> Session {
    let KeptSession { authenticated, inbox_after, rooms, departures, entries, .. } = kept;
    session.authenticated = authenticated;
    session.greeting = Greeting::Done;
    session.departures = departures;
    session.again_upto = session.sequence_of(settled + dedupe::WINDOW as u64);
    let slot = |which| {
        let number = session.slot(which);
        let slot = adoption.slots.iter().find(|slot| slot.slot == number);
        slot.and_then(|slot| Place::decode(&slot.position))
    };
    let (inbox, entered) = (slot(INBOX), slot(ENTERED));
    session.inbox_after = match inbox {
        Some(place) => Some(newer(inbox_after, place.position)),
        None => inbox_after,
    };
    let mut kept: BTreeMap<RoomId, (Position, u64)> = BTreeMap::new();
    for room in rooms {
        kept.insert(room.room, (room.position, room.entry));
    }
    let mut nth = entries;
    if let Some(Place { topic: Topic::Room(_, room), position, entry: Some(entry), .. }) = entered {
        nth = nth.max(entry.nth);
        let is_newer = match kept.get(&room) {
            Some((_, nth)) => entry.nth > *nth,
            // Its answer has come, and the checkpoint that tells of it hasn't.
            None => {
                entry.sequence >= session.sequence_of(settled + 1)
                    && !session.has_left_since(&room, entry.sequence)
            }
        };
        if is_newer {
            kept.insert(room, (position, entry.nth));
        }
    }
    for place in adoption.positions.iter().filter_map(|bytes| Place::decode(bytes)) {
        let Topic::Room(namespace, room) = place.topic else { continue };
        // That it was in is the router's word alone, which gives no rights.
        let is_known = kept.contains_key(&room) || room.is_everyone();
        let forbids = || session.identity.rights.join(&room) == Verdict::Forbidden;
        if namespace != session.namespace || (!is_known && forbids()) {
            continue;
        }
        let before = kept.remove(&room).map(|(position, _)| position);
        kept.insert(room, (newer(before, place.position), nth));
    }
    session.entries = nth + 1;
    if session.socket.as_ref().is_some_and(|socket| socket.ended.is_some()) {
        kept.clear();
    }
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
    if let Some(before) = before {
        session.doubt(&before);
        session.whispers = before.whispers;
    }
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
