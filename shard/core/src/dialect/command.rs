//! What a client asks for, in whatever dialect, and the bounds that hold for all of them.

use std::sync::Arc;

use super::{ErrorCode, Problem};
use crate::message::Body;
use crate::name::{NameError, RoomId, UserId};
use crate::position::Position;

/// Messages that `history` gives when it is not told how many, and at most.
pub(crate) const HISTORY_LIMIT: usize = 100;
pub(crate) const HISTORY_LIMIT_MAX: usize = 1000;
/// Users that `presence` gives at most.
pub(crate) const PRESENCE_LIMIT: usize = 1000;
/// The longest name of an event, in bytes.
pub(crate) const EVENT_MAX: usize = 256;
/// The longest idempotency key, in bytes.
pub(crate) const KEY_MAX: usize = 128;

/// A request of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Join { room: RoomId, after: Option<Position> },
    Leave { room: RoomId },
    Publish { room: RoomId, body: Body, key: Option<Arc<str>>, ephemeral: bool, echo: bool },
    Send { to: String, body: Body, key: Option<Arc<str>>, ephemeral: bool },
    History { room: RoomId, after: Option<u64>, before: Option<u64>, limit: usize },
    Presence { room: RoomId, after: Option<UserId>, limit: usize },
    Auth { token: String },
    Ping,
}

/// What is wrong with an ID in `field`.
pub(crate) fn name_problem(field: &str, error: NameError) -> Problem {
    let code = match error {
        NameError::TooLong => ErrorCode::TooLarge,
        NameError::Empty | NameError::Control | NameError::Tilde => ErrorCode::BadRequest,
    };
    Problem::new(code, format!("`{field}` is no ID: {error}"))
}
