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

use std::fmt;
use std::task::{Context, Poll};

use trunkline_core::{LogOutcome, LogRequest, Ticket};

pub use embedded::{EmbeddedLog, OpenError, RepairError, RepairReport, TopicDamage, repair};
pub use jetstream::{BucketError, ConnectError, JetStreamLog, MapBucket, StoredMap};
pub use memory::MemoryLog;
pub use settings::LogSettings;

/// A store of topics: appends a batch at an expected position, reads from a position, lets go of
/// what is beyond the bounds of [`LogSettings`], takes over a topic when it is opened.
///
/// Requests about one topic are carried out in the order in which they are submitted; a read sees
/// every append whose outcome has been given out. Nothing blocks, and nothing is ever sent back
/// but an outcome for each ticket: what can't be done is [`LogOutcome::Failed`].
pub trait TopicLog: Send + fmt::Debug {
    /// Carries out a request, or begins to.
    fn submit(&mut self, request: LogRequest, wall_ms: u64);

    /// The outcome of a request that was submitted. With none the task is woken when there is one.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)>;

    /// Lets go of what has reached its age in topics that nobody asks for. A topic of which
    /// nothing is left is forgotten; should it come again, it is another history.
    fn sweep(&mut self, wall_ms: u64);
}
