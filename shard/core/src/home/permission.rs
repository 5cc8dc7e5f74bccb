//! What a session may do now, and the words in which it is told that it may not.

use super::session::Session;
use crate::core::Io;
use crate::dialect::{ErrorCode, Problem};
use crate::name::RoomId;
use crate::rights::{Rights, Verdict};

impl Session {
    pub(super) fn has_joined(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|membership| membership.wanted)
    }

    /// Whether it has left a room by the message `sequence`, or a later one. A message that is sent
    /// again was said when its client was still in.
    pub(super) fn has_left_since(&self, room: &RoomId, sequence: u64) -> bool {
        self.departures.iter().any(|(left, at)| left == room && *at >= sequence)
    }

    /// Whether it was in a room when it sent a message.
    pub(super) fn was_in(&self, room: &RoomId, sequence: u64) -> bool {
        self.has_joined(room) || self.has_left_since(room, sequence)
    }

    pub(super) fn may_join(&self, room: &RoomId) -> Result<(), Problem> {
        self.not_its_own(room)?;
        may("join", room, self.identity.rights.join(room), self.has_joined(room))
    }

    pub(super) fn may_publish(&self, room: &RoomId, sequence: u64) -> Result<(), Problem> {
        may_publish(&self.identity.rights, room, self.was_in(room, sequence))
    }

    pub(super) fn may_read(&self, room: &RoomId, sequence: u64) -> Result<(), Problem> {
        let verdict = self.identity.rights.history(room);
        may("read the history of", room, verdict, self.was_in(room, sequence))
    }

    pub(super) fn may_see(&self, room: &RoomId, sequence: u64) -> Result<(), Problem> {
        if self.was_in(room, sequence) {
            return Ok(());
        }
        may("see who is in", room, self.identity.rights.join(room), false)
    }

    /// Socket.IO clients are in the room of everyone as long as they are in the namespace.
    pub(super) fn not_its_own(&self, room: &RoomId) -> Result<(), Problem> {
        match self.socket {
            Some(_) => not_everyones(room),
            None => Ok(()),
        }
    }

    pub(super) fn take_rate(&mut self, io: &Io, sequence: u64) -> Result<(), Problem> {
        if sequence <= self.again_upto {
            return Ok(());
        }
        let (rate, burst) = (io.settings.publish_rate, io.settings.publish_burst);
        if self.rate.take(io.now.mono, rate, burst) {
            return Ok(());
        }
        Err(Problem::new(
            ErrorCode::RateLimited,
            format!("at most {rate} messages a second, and {burst} at once; send slower"),
        ))
    }
}

/// Whether somebody with these rights may publish to a room, who is in it or not.
pub(super) fn may_publish(rights: &Rights, room: &RoomId, joined: bool) -> Result<(), Problem> {
    not_everyones(room)?;
    may("publish to", room, rights.publish(room), joined)
}

fn may(verb: &str, room: &RoomId, verdict: Verdict, joined: bool) -> Result<(), Problem> {
    match verdict {
        Verdict::Allowed => Ok(()),
        Verdict::IfJoined if joined => Ok(()),
        Verdict::IfJoined => {
            Err(Problem::new(ErrorCode::NotJoined, format!("join {room} before you {verb} it")))
        }
        Verdict::Forbidden => Err(Problem::new(
            ErrorCode::Forbidden,
            format!("the token does not let you {verb} {room}"),
        )),
    }
}

/// In the room of everyone in the namespace only the server's own rules speak.
fn not_everyones(room: &RoomId) -> Result<(), Problem> {
    if room.is_everyone() {
        let message = "the room * is everyone's in the namespace; a rule with do = \"broadcast\" may speak there";
        return Err(Problem::new(ErrorCode::Forbidden, message));
    }
    Ok(())
}

pub(super) fn not_joined(doing: &str, room: &RoomId) -> Problem {
    Problem::new(ErrorCode::NotJoined, format!("join {room} before {doing} it"))
}

pub(super) fn unavailable() -> Problem {
    Problem::new(ErrorCode::Unavailable, "its owner can't be reached now; try again")
}
