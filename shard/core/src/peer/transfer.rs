//! What an owner says to the next one of a topic that moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Member;
use crate::answered::Answered;
use crate::attachment::Attachment;
use crate::link::ShardIndex;
use crate::log::Publication;
use crate::message::Record;
use crate::name::UserId;
use crate::position::Position;
use crate::session_id::SessionId;

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
