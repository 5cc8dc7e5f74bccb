//! What sessions ask of topics, and what they are answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::HandoverId;
use crate::attachment::Attachment;
use crate::message::{Arguments, Body, Record};
use crate::name::{RoomId, UserId};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;

/// A session in its role as a topic's member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The session.
    pub session: SessionId,
    /// Who it speaks for.
    pub user: UserId,
    /// Which of its attachments speaks: whatever comes by a lower one is late.
    pub attachment: Attachment,
}

/// What a session asks of a topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Become a member; first get what came after a position.
    Join {
        /// The position, exclusive.
        after: Option<Position>,
    },
    /// Be no member any more.
    Leave,
    /// A message to all members. An inbox keeps it for the user's next connection.
    Publish {
        /// The content.
        body: Body,
        /// The client's idempotency key.
        key: Option<Arc<str>>,
        /// Not kept, and may be dropped under pressure.
        ephemeral: bool,
        /// Whether the sender's own connection gets it too.
        echo: bool,
    },
    /// Rooms: a message to all members that is not kept, and that every client that can is asked
    /// to acknowledge.
    Gather {
        /// The content.
        body: Body,
        /// How long the clients may take.
        timeout: Duration,
    },
    /// Inboxes: ends all connections of the user.
    Disconnect,
    /// Read what is kept.
    History {
        /// Which records.
        after: Option<u64>,
        /// Which records.
        before: Option<u64>,
        /// At most this many.
        limit: usize,
    },
    /// Who is a member.
    Presence {
        /// Those after this user, in order.
        after: Option<UserId>,
        /// At most this many.
        limit: usize,
    },
}

/// A good answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The session is a member.
    Joined(Joined),
    /// The session is no member any more.
    Left,
    /// The message has its place in the topic.
    Published(Position),
    /// The ephemeral message was sent on.
    Ephemeral,
    /// What became of a private message.
    Sent(SendStatus),
    /// What the clients have answered.
    Gathered(Gathered),
    /// So many sessions of the user were told to end.
    Disconnected(u32),
    /// The session that a client names, to go on elsewhere.
    Recalled(Recalled),
    /// What was read.
    History {
        /// The history's name.
        epoch: Epoch,
        /// The records, oldest first.
        records: Vec<Arc<Record>>,
    },
    /// Who is a member.
    Presence {
        /// In order of their names.
        users: Vec<UserPresence>,
        /// False while some members may be gone without the owner knowing.
        sure: bool,
    },
}

/// How a session became a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// The topic's newest record, offset 0 if there is none.
    pub position: Position,
    /// How many distinct users are members.
    pub members: usize,
    /// Whether all that was missed is in `missed`; `None` if no position was named.
    pub recovered: Option<bool>,
    /// What was missed up to here can't be had.
    pub gap: Option<u64>,
    /// What was missed.
    pub missed: Vec<Arc<Record>>,
    /// To be reported, for inboxes.
    pub handover: Option<HandoverId>,
}

/// What clients have answered to one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// The arguments of each acknowledgement, with their attachments.
    pub responses: Vec<(Arguments, Vec<Bytes>)>,
    /// How many clients were asked.
    pub asked: u32,
}

/// What is left of a session whose client comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recalled {
    /// Its ID, which it keeps.
    pub session: SessionId,
    /// The ID by which only its client knows it.
    pub private_id: SessionId,
    /// For whom it spoke.
    pub user: UserId,
    /// By which it was attached last.
    pub attachment: Attachment,
    /// The sequences of its messages go on after this one.
    pub sequence: u64,
    /// Its rooms, and the position in each up to which the client has had everything.
    pub rooms: Vec<(RoomId, Position)>,
    /// The same of its inbox.
    pub inbox_after: Option<Position>,
}

/// What became of a private message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    /// Handed to at least one connection.
    Delivered,
    /// Kept until the user comes.
    Queued,
    /// Nobody was there, and it may not be kept.
    Offline,
}

impl SendStatus {
    /// As the native protocol names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SendStatus::Delivered => "delivered",
            SendStatus::Queued => "queued",
            SendStatus::Offline => "offline",
        }
    }
}

/// A user in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// Who.
    pub user: UserId,
    /// By how many sessions.
    pub connections: u32,
}

/// Why a request was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session is not a member.
    #[error("not a member")]
    NotJoined,
    /// A later request of the same session took its place; of a session that is looked for: it has
    /// been somewhere else since.
    #[error("overtaken by a later request")]
    Superseded,
    /// Nobody knows of it.
    #[error("not known")]
    Unknown,
    /// Not now.
    #[error("can't be done now")]
    Unavailable,
    /// The topic is not, or not any more, the shard's that was asked.
    #[error("another shard's")]
    Moved,
}
