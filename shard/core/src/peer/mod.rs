//! What the halves of cores say to each other.
//!
//! `home` is the shard that carries a session's connection, `owner` the one that a topic hashes
//! to. Messages of one link arrive in order, so that what an owner says first, a home does first:
//! acknowledgement before echo, replay before what is live.

mod delivery;
mod number;
mod request;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use trunkline_config::ViewId;

pub use delivery::Delivery;
pub use number::{GatherId, HandoverId, RequestId};
pub use request::{
    Action, Gathered, Joined, Member, Recalled, Refusal, Reply, SendStatus, UserPresence,
};
pub use transfer::{News, Standing, TransferPart};

use crate::attachment::Attachment;
use crate::message::{Body, Record};
use crate::name::Namespace;
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;

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
