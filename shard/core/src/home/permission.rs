//! What a session may do now, and the words in which it is told that it may not.

use super::session::Session;
use crate::core::Io;
use crate::dialect::native::{ErrorCode, Problem};
use crate::name::RoomId;
use crate::rights::Verdict;

impl Session {
    pub(super) fn has_joined(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|membership| membership.wanted)
    }

    pub(super) fn may(&self, verb: &str, room: &RoomId, verdict: Verdict) -> Result<(), Problem> {
        match verdict {
            Verdict::Allowed => Ok(()),
            Verdict::IfJoined if self.has_joined(room) => Ok(()),
            Verdict::IfJoined => {
                Err(Problem::new(ErrorCode::NotJoined, format!("join {room} before you {verb} it")))
            }
            Verdict::Forbidden => Err(Problem::new(
                ErrorCode::Forbidden,
                format!("the token does not let you {verb} {room}"),
            )),
        }
    }

    pub(super) fn may_publish(&mut self, io: &Io, room: &RoomId) -> Result<(), Problem> {
        self.take_rate(io)?;
        self.may("publish to", room, self.identity.rights.publish(room))
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

pub(super) fn not_joined(doing: &str, room: &RoomId) -> Problem {
    Problem::new(ErrorCode::NotJoined, format!("join {room} before {doing} it"))
}

pub(super) fn unavailable() -> Problem {
    Problem::new(ErrorCode::Unavailable, "its owner can't be reached now; try again")
}
