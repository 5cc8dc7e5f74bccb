//! The way of outcomes from the threads to the shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use trunkline_core::{LogOutcome, Ticket};

/// Gives out outcomes. The queue has no bound of its own: each outcome answers a request under
/// way, and the core bounds those.
#[derive(Clone, Debug)]
pub(super) struct Outcomes {
    pub(super) queue: mpsc::UnboundedSender<(Ticket, LogOutcome)>,
    /// What the records take that wait to be written, in bytes.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Outcomes {
    pub(super) fn give(&self, ticket: Ticket, outcome: LogOutcome) {
        // Nobody waits for it when the shard is on its way down.
        let _ = self.queue.send((ticket, outcome));
    }

    /// Records of this size wait no longer.
    pub(super) fn settled(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Lets records of this size wait; not if that were more than `most`.
    pub(super) fn admit(&self, bytes: usize, most: usize) -> bool {
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let admitted = waiting.saturating_add(bytes) <= most;
        if !admitted {
            self.settled(bytes);
        }
        admitted
    }
}
