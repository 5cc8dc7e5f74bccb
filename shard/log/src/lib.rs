//! Where topics are kept.
//!
//! The core says what is to be kept, read and forgotten ([`LogRequest`]), and acts on what became
//! of it ([`LogOutcome`]), whichever of the stores is behind [`TopicLog`].

mod embedded;
mod epoch;
mod jetstream;
mod memory;
mod record;
mod settings;
mod whole;

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;
use trunkline_core::{LogOutcome, LogRequest, Ticket};

pub use embedded::{EmbeddedLog, OpenError, RepairError, RepairReport, TopicDamage, repair};
pub use jetstream::{
    BucketError, ConnectError, HealthBucket, HealthEntry, HealthError, HealthWatch, JetStreamLog,
    MapBucket, StoredMap, Vital,
};
pub use memory::MemoryLog;
pub use settings::LogSettings;

/// A store of topics: appends a batch at an expected position, reads from a position, lets go of
/// what is beyond the bounds of [`LogSettings`], takes over a topic when it is opened.
///
/// Requests about one topic are carried out in the order in which they are submitted; a read sees
/// at least what was submitted before a request whose outcome has been given out. Nothing blocks,
/// and nothing is ever sent back but an outcome for each ticket: what can't be done is
/// [`LogOutcome::Failed`].
///
/// Topics move from one shard's store to another's:
///
/// - [`LogRequest::List`] gives those of which something is kept: a record, who published within
///   the window, or a mark. It sees all that was submitted before it.
/// - [`LogRequest::Export`] gives everything, as an open and a read would; what is submitted later
///   isn't in it. Nothing is held of a topic that nobody has written to.
/// - [`LogRequest::Import`] puts that in place of what is there, under the epoch that it has. Its
///   outcome follows when all of it is kept; of one that fails, or that a crash cuts short,
///   either all is there or nothing. The bounds of this store hold. Where records aren't what the
///   topic's bounds say it is refused with [`LogFailure::Conflict`](trunkline_core::LogFailure);
///   a store that is full refuses too.
/// - [`LogRequest::Remove`] forgets all of a topic. Should it begin here again, it is another history.
///
/// A store that all shards share has nothing to move: it lists and exports nothing, and refuses what is
/// imported. Instead a topic is ceded ([`LogRequest::Cede`]), after which it must be opened to be
/// appended to, and taken up ([`LogRequest::TakeUp`]) by another shard, which is as if that one had opened
/// it, but cheaper. Other stores cede nothing, and open what is to be taken up.
pub trait TopicLog: Send + fmt::Debug {
    /// Carries out a request, or begins to.
    fn submit(&mut self, request: LogRequest, wall_ms: u64);

    /// The outcome of a request that was submitted. With none the task is woken when there is one.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)>;

    /// Lets go of what has reached its age in topics that nobody asks for. A topic of which
    /// nothing is left is forgotten; should it come again, it is another history.
    fn sweep(&mut self, wall_ms: u64);

    /// Keeps what the shard wants to know when it starts again, at most [`NOTE_MAX`] bytes, in
    /// place of the last note. It is kept no later than what is submitted after it, and tried
    /// again until it is. A store that doesn't outlive the process, or isn't the shard's own,
    /// keeps none.
    fn note(&mut self, _note: Bytes) {}

    /// What it keeps, as far as that is known without looking.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// The last note that was kept when the store was opened; an empty one if it could not be
    /// read and the file was repaired.
    fn noted(&self) -> Option<Bytes> {
        None
    }
}

/// What a store keeps. A store that all shards share knows neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Topics, with those of which nothing but their place is left.
    pub topics: Option<u64>,
    /// Bytes of memory, or of the disk.
    pub bytes: Option<u64>,
}

/// How long a note may be, in bytes.
pub const NOTE_MAX: usize = 64 << 10;
