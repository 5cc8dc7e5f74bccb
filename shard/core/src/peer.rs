//! What the halves of cores say to each other.
//!
//! `home` is the shard that carries a session's connection, `owner` the one that a topic hashes
//! to. Messages of one link arrive in order, so that what an owner says first, a home does first:
//! acknowledgement before echo, replay before what is live.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use trunkline_config::ViewId;

use crate::answered::Answered;
use crate::attachment::Attachment;
use crate::awaited;
use crate::link::ShardIndex;
use crate::log::Publication;
use crate::message::{Arguments, Body, Record};
use crate::name::{Namespace, RoomId, UserId};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;

/// A home's number for a request; unique while the link lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    pub(crate) fn new(count: u64, is_awaited: bool) -> Self {
        Self(awaited::number(count, is_awaited))
    }

    /// Whether somebody waits for the reply.
    #[must_use]
    pub fn is_awaited(self) -> bool {
        awaited::is_awaited(self.0)
    }
}

/// An owner's number for handing a private message over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandoverId(pub u64);

impl HandoverId {
    pub(crate) fn new(count: u64, is_awaited: bool) -> Self {
        Self(awaited::number(count, is_awaited))
    }

    /// Whether somebody waits for the report.
    #[must_use]
    pub fn is_awaited(self) -> bool {
        awaited::is_awaited(self.0)
    }
}

/// An owner's number for a message that clients are asked to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatherId(pub u64);

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
        /// Which of its attachments has ended.
        attachment: Attachment,
    },
    /// The session's router can't be seen: it is still a member, perhaps.
    Suspend {
        /// Of which topic.
        topic: Topic,
        /// The session.
        session: SessionId,
        /// Which of its attachments is lost.
        attachment: Attachment,
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
    /// What this shard's clients have answered to [`Delivery::Gather`], once and for all.
    Answers {
        /// The room.
        topic: Topic,
        /// Which message.
        gather: GatherId,
        /// The answers.
        gathered: Gathered,
    },

    // From home to home.
    /// A client has come back here and names a session that the receiver may know; answered by
    /// [`PeerMessage::Reply`].
    Recall {
        /// Comes back with the reply.
        request: RequestId,
        /// The private ID that the client was given with the session.
        private_id: SessionId,
        /// The namespace to which it connects.
        namespace: Namespace,
        /// The offset that it had last.
        offset: Option<Arc<str>>,
    },
    /// A session that the receiver's digest names is carried by the sender now, or not any more.
    Moved {
        /// The session.
        session: SessionId,
        /// The ID by which only its client knows it.
        private_id: SessionId,
        /// By which it was attached last; `None` if it is not with the sender any more.
        attachment: Option<Attachment>,
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
    /// The sender isn't the topic's owner any more: all that it will ever say of it has been said.
    Parted {
        /// The topic.
        topic: Topic,
    },

    // From owner to owner.
    /// The receiver is the topic's owner from here on; this is what the sender knows of it, or a
    /// part of that. Answered by [`PeerMessage::Transferred`] or [`PeerMessage::NotTaken`] after the
    /// last part.
    Transfer {
        /// The topic.
        topic: Topic,
        /// The part.
        part: Box<TransferPart>,
    },
    /// What was transferred is kept.
    Transferred {
        /// The topic.
        topic: Topic,
    },
    /// What was transferred isn't the sender's by its view: the receiver still has it.
    NotTaken {
        /// The topic.
        topic: Topic,
    },
    /// The topic is the sender's, which doesn't have it: the receiver transfers it, or answers with
    /// [`PeerMessage::Lacks`], when it has the same view.
    Want {
        /// The topic.
        topic: Topic,
        /// The sender's view.
        view: ViewId,
    },
    /// The sender doesn't have a topic that is the receiver's. In another view it may have had it, or
    /// may get it.
    Lacks {
        /// The topic.
        topic: Topic,
        /// The sender's view.
        view: ViewId,
    },
    /// The sender has no topic that by this view is another's.
    Settled {
        /// The sender's view.
        view: ViewId,
    },
    /// The sender's topics may have members of whom it has not heard, as an earlier process had them:
    /// whoever has these topics next hasn't either.
    Doubt {
        /// For how long.
        lasts: Duration,
    },
}

/// Some of what an owner knows of a topic, for the next one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransferPart {
    /// Where the topic stands: with the first part, unless all shards share their log.
    pub standing: Option<Standing>,
    /// Who was a member, and by which home.
    pub members: Vec<(Member, ShardIndex)>,
    /// Who has left of late, and by which of its attachments.
    pub left: Vec<(SessionId, Attachment)>,
    /// Who came and went while homes of members didn't hear the topic, in order.
    pub news: Vec<News>,
    /// What is kept, oldest first.
    pub records: Vec<Arc<Record>>,
    /// What is remembered of publishes, oldest first.
    pub publications: Vec<Publication>,
    /// What is remembered of publishes, if all shards share their log and the next owner doesn't ask
    /// it.
    pub answers: Vec<Answered>,
    /// With the last part: what the log that all shards share has to say to itself.
    pub deed: Option<Bytes>,
    /// No part comes after this one.
    pub last: bool,
    /// With the last part: for how long there may be members of whom the sender has not heard, as
    /// it has begun anew itself.
    pub doubt: Duration,
}

/// What a home has yet to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The home.
    pub home: ShardIndex,
    /// Who came or went.
    pub user: UserId,
    /// Which of the two.
    pub came: bool,
}

/// Where a topic stands that is transferred: [`crate::Held`] without what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its history, and the newest record's offset.
    pub position: Position,
    /// The oldest record's offset; one more than the newest if there is none.
    pub first: u64,
    /// When the newest was taken.
    pub last_time_ms: u64,
    /// Inboxes: all up to this one have been handed to a connection.
    pub handed: u64,
}

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
    /// A message that is not kept and that clients are asked to acknowledge.
    Gather {
        /// Comes back with [`PeerMessage::Answers`].
        gather: GatherId,
        /// Who sent it.
        from: UserId,
        /// The content.
        body: Body,
        /// How long the clients may take.
        timeout: Duration,
    },
    /// Inboxes: the user's connections are to be closed.
    Disconnect,
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
            Delivery::Gather { .. }
            | Delivery::Disconnect
            | Delivery::UserJoined(_)
            | Delivery::UserLeft(_) => None,
        }
    }
}
