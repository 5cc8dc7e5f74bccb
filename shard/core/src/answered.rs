//! What publishes were answered, as one owner tells it to the next when that one doesn't ask the log:
//! so a repeat gets the first answer from whoever has the topic by then.

use std::sync::Arc;

use crate::name::UserId;
use crate::peer::SendStatus;
use crate::position::Position;
use crate::session_id::SessionId;

/// What a publish was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What a repeat is recognised by.
    pub by: KnownBy,
    /// What it was answered.
    pub answer: FirstAnswer,
}

/// What a repeated publish is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// Its session's own count.
    Sequence {
        /// The session.
        session: SessionId,
        /// The number.
        sequence: u64,
    },
    /// A user's idempotency key.
    Key {
        /// The user.
        user: UserId,
        /// The key.
        key: Arc<str>,
        /// It was used for a message that is not kept.
        ephemeral: bool,
    },
}

/// How a publish was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstAnswer {
    /// The message has its place in the topic.
    Published(Position),
    /// The ephemeral message was sent on.
    Ephemeral,
    /// What became of a private message.
    Sent(SendStatus),
}
