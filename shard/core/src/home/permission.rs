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

    fn may(&self, verb: &str, room: &RoomId, verdict: Verdict) -> Result<(), Problem> {
        may(verb, room, verdict, self.has_joined(room))
    }

    pub(super) fn may_join(&self, room: &RoomId) -> Result<(), Problem> {
        self.not_its_own(room)?;
        self.may("join", room, self.identity.rights.join(room))
    }

    pub(super) fn may_publish(&self, room: &RoomId) -> Result<(), Problem> {
        may_publish(&self.identity.rights, room, self.has_joined(room))
    }

    pub(super) fn may_read(&self, room: &RoomId) -> Result<(), Problem> {
        self.may("read the history of", room, self.identity.rights.history(room))
    }

    pub(super) fn may_see(&self, room: &RoomId) -> Result<(), Problem> {
        if self.has_joined(room) {
            return Ok(());
        }
        self.may("see who is in", room, self.identity.rights.join(room))
    }

    /// Socket.IO clients are in the room of everyone as long as they are in the namespace.
    pub(super) fn not_its_own(&self, room: &RoomId) -> Result<(), Problem> {
        match self.socket {
            Some(_) => not_everyones(room),
            None => Ok(()),
        }
    }

    pub(super) fn take_rate(&mut self, io: &Io) -> Result<(), Problem> {
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
