//! The log as the core sees it: requests with a ticket, and outcomes that come back as inputs.
//!
//! The memory store takes the same way as a durable one: acknowledgement and fan-out follow the
//! outcome, whenever it comes, or don't follow if it fails.

use std::sync::Arc;

use bytes::Bytes;

use crate::Ticket;
use crate::message::Record;
use crate::name::UserId;
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;

/// A request to the log. Each ticket is answered by exactly one [`LogOutcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRequest {
    /// Where a topic stands; one that is not there begins a new epoch.
    Open {
        /// Comes back with [`LogOutcome::Opened`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
    },
    /// Keep these records, whose offsets follow `after` with no gap. There is at most one such
    /// request at a time and topic.
    Append {
        /// Comes back with [`LogOutcome::Appended`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
        /// The topic's newest record: if it is another, nothing is kept.
        after: Position,
        /// What to keep.
        records: Vec<Arc<Record>>,
    },
    /// Read records.
    Read {
        /// Comes back with [`LogOutcome::Records`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
        /// Which.
        query: ReadQuery,
    },
    /// The inbox's messages up to `handed` have been handed to a connection: they need not be
    /// kept for the user's next one. Has no outcome; a mark that is lost is made again by the next.
    Mark {
        /// The inbox.
        topic: Topic,
        /// The newest message of those handed over.
        handed: u64,
    },
    /// Which topics the log holds.
    List {
        /// Comes back with [`LogOutcome::Topics`].
        ticket: Ticket,
        /// Those behind this one, in order.
        after: Option<Topic>,
        /// At most this many.
        limit: usize,
    },
    /// All that the log holds of a topic, to give it to another shard.
    Export {
        /// Comes back with [`LogOutcome::Exported`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
    },
    /// Keep a topic that another shard had, in place of what is there.
    Import {
        /// Comes back with [`LogOutcome::Imported`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
        /// All that the other shard held of it.
        held: Box<Held>,
    },
    /// With a log that all shards share: another shard is to go on with a topic from where this one
    /// stands. This one appends no more to it until it is opened anew.
    Cede {
        /// Comes back with [`LogOutcome::Ceded`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
    },
    /// Go on with a topic from where the owner before has stood, unless somebody else has written to
    /// it since: then it is opened.
    TakeUp {
        /// Comes back with [`LogOutcome::Opened`].
        ticket: Ticket,
        /// The topic.
        topic: Topic,
        /// What was ceded. One that can't be read is none: the topic is opened.
        deed: Bytes,
    },
    /// Another shard has the topic now. Has no outcome: what is not removed is found by
    /// [`LogRequest::List`] and given away again.
    Remove {
        /// The topic.
        topic: Topic,
    },
}

/// Which records to read, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadQuery {
    /// Those with a greater offset.
    pub after: u64,
    /// Those with a smaller offset.
    pub before: u64,
    /// At most this many.
    pub limit: usize,
    /// If there are more than `limit`: the newest of them, else the oldest.
    pub newest: bool,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum LogOutcome {
    /// Where the topic stands.
    Opened(Opened),
    /// The records are kept. The oldest that is still there may have changed.
    Appended {
        /// The oldest record's offset; one more than the newest if there is none.
        first: u64,
    },
    /// What was read.
    Records {
        /// The records, oldest first.
        records: Vec<Arc<Record>>,
    },
    /// Topics, in order.
    Topics {
        /// The topics.
        topics: Vec<Topic>,
        /// There are others behind them.
        more: bool,
    },
    /// All that is held of the topic; `None` if nothing is.
    Exported(Option<Box<Held>>),
    /// The topic is kept.
    Imported,
    /// What the log says to itself by the next owner, who can't read it; `None` if that one has to
    /// open the topic.
    Ceded(Option<Bytes>),
    /// It did not work.
    Failed(LogFailure),
}

/// All that a log holds of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// See [`Opened::epoch`].
    pub epoch: Epoch,
    /// See [`Opened::first`].
    pub first: u64,
    /// See [`Opened::last`].
    pub last: u64,
    /// See [`Opened::last_time_ms`].
    pub last_time_ms: u64,
    /// See [`Opened::handed`].
    pub handed: u64,
    /// The records from `first` to `last`, with no gap.
    pub records: Vec<Arc<Record>>,
    /// See [`Opened::publications`].
    pub publications: Vec<Publication>,
}

/// Where a topic stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its history.
    pub epoch: Epoch,
    /// The oldest record's offset; one more than `last` if there is none.
    pub first: u64,
    /// The newest record's offset, 0 if there never was one.
    pub last: u64,
    /// When that was taken, as far as the log knows: no later record has an earlier time.
    pub last_time_ms: u64,
    /// Inboxes: all up to this one have been handed to a connection.
    pub handed: u64,
    /// About how many bytes the records after `handed` take.
    pub waiting_bytes: usize,
    /// Who published what within the idempotency window, oldest first, as far as the log knows it:
    /// so that a repeat is recognised by an owner that wasn't there for the first. None if it is
    /// taken up by a deed.
    pub publications: Vec<Publication>,
}

impl Opened {
    /// A topic that nobody has written to.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        let publications = Vec::new();
        Self {
            epoch,
            first: 1,
            last: 0,
            last_time_ms: 0,
            handed: 0,
            waiting_bytes: 0,
            publications,
        }
    }
}

/// What a log remembers of a publish, longer than it keeps the message if need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The message's place.
    pub offset: u64,
    /// See [`Record::time_ms`].
    pub time_ms: u64,
    /// See [`Record::from`].
    pub from: UserId,
    /// See [`Record::session`].
    pub session: SessionId,
    /// See [`Record::sequence`].
    pub sequence: u64,
    /// See [`Record::key`].
    pub key: Option<Arc<str>>,
}

impl Publication {
    /// What is to be remembered of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let Record { offset, time_ms, from, session, sequence, key, .. } = record;
        let (from, key) = (from.clone(), key.clone());
        Self {
            offset: *offset,
            time_ms: *time_ms,
            from,
            session: *session,
            sequence: *sequence,
            key,
        }
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFailure {
    /// The store can't do it now. Whether an append was kept is not known.
    #[error("the store can't be reached")]
    Unavailable,
    /// The topic's newest record is another than the append expected: somebody else wrote.
    #[error("the topic has moved on")]
    Conflict,
}
