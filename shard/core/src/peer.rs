//! What the halves of cores say to each other.
//!
//! `home` is the shard that carries a session's connection, `owner` the one that a topic hashes
//! to. Messages of one link arrive in order, so that what an owner says first, a home does first:
//! acknowledgement before echo, replay before what is live.

use std::sync::Arc;

use crate::message::{Body, Record};
use crate::name::UserId;
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;

/// A home's number for a request; unique while the link lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An owner's number for handing a private message over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandoverId(pub u64);

/// One message of a link.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerMessage {
    // From home to owner.
    /// A session asks something of a topic; answered by [`PeerMessage::Reply`].
    Request {
        /// Comes back with the reply.
        request: RequestId,
        /// Whose request.
        member: Member,
        /// The session's count of its messages: what a repeat is recognised by.
        sequence: u64,
        /// Of which topic.
        topic: Topic,
        /// What.
        action: Action,
    },
    /// A private message for one session, whose home is the receiver of this; answered by
    /// [`PeerMessage::Reply`].
    Whisper {
        /// Comes back with the reply.
        request: RequestId,
        /// Whose message.
        member: Member,
        /// The session's count of its messages: what a repeat is recognised by.
        sequence: u64,
        /// To which session.
        to: SessionId,
        /// The content.
        body: Body,
        /// The client's idempotency key.
        key: Option<Arc<str>>,
        /// Whether it may be dropped under pressure.
        ephemeral: bool,
    },
    /// After a broken link: these sessions are still members, and have had everything up to
    /// `after`. Answered by [`PeerMessage::Claimed`].
    Claim {
        /// The topic.
        topic: Topic,
        /// The position up to which the home has passed on.
        after: Position,
        /// The members.
        members: Vec<Member>,
    },
    /// The session is gone, or never came to be a member.
    Forget {
        /// Of which topic.
        topic: Topic,
        /// The session.
        session: SessionId,
    },
    /// The session's router can't be seen: it is still a member, perhaps.
    Suspend {
        /// Of which topic.
        topic: Topic,
        /// The session.
        session: SessionId,
    },
    /// What became of a private message that was to be handed over.
    Handed {
        /// The inbox.
        topic: Topic,
        /// Which handover.
        handover: HandoverId,
        /// Whether it has entered at least one connection's out-queue.
        passed: bool,
    },

    // From owner to home.
    /// The answer to a request.
    Reply {
        /// Which request.
        request: RequestId,
        /// The answer.
        result: Result<Reply, Refusal>,
    },
    /// A message for all members of a topic on this shard.
    Deliver {
        /// The topic.
        topic: Topic,
        /// The message.
        delivery: Delivery,
    },
    /// The answer to a claim. Until it comes nothing else of the topic is delivered.
    Claimed {
        /// The topic.
        topic: Topic,
        /// Its history: another one than was claimed if it had to begin anew.
        epoch: Epoch,
        /// What the members missed up to here can't be had.
        gap: Option<u64>,
        /// What they missed and can have.
        missed: Vec<Arc<Record>>,
        /// The newest record's offset.
        last: u64,
        /// To be reported, for inboxes.
        handover: Option<HandoverId>,
    },
}

/// A session in its role as a topic's member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The session.
    pub session: SessionId,
    /// Who it speaks for.
    pub user: UserId,
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
    /// A later request of the same session took its place.
    #[error("overtaken by a later request")]
    Superseded,
    /// Not now.
    #[error("can't be done now")]
    Unavailable,
}

/// What a topic's members get.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// A kept message.
    Record {
        /// The history's name.
        epoch: Epoch,
        /// The message.
        record: Arc<Record>,
        /// To be reported, for inboxes.
        handover: Option<HandoverId>,
    },
    /// A message that is not kept.
    Ephemeral {
        /// Who sent it.
        from: UserId,
        /// A session that is left out.
        except: Option<SessionId>,
        /// The content.
        body: Body,
        /// To be reported, for inboxes.
        handover: Option<HandoverId>,
    },
    /// A user's first session has joined.
    UserJoined(UserId),
    /// A user's last session has left.
    UserLeft(UserId),
}

impl Delivery {
    /// What the owner wants reported.
    pub(crate) fn handover(&self) -> Option<HandoverId> {
        match self {
            Delivery::Record { handover, .. } | Delivery::Ephemeral { handover, .. } => *handover,
            Delivery::UserJoined(_) | Delivery::UserLeft(_) => None,
        }
    }
}
