//! What the file holds, for whoever asks without waiting.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Usage;

/// What was last seen of the file. All clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    topics: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Seen {
    /// So many topics are in the file at `path`.
    pub(super) fn see(&self, topics: u64, path: &Path) {
        self.topics.store(topics, Ordering::Relaxed);
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn usage(&self) -> Usage {
        let read = |number: &AtomicU64| Some(number.load(Ordering::Relaxed));
        Usage { topics: read(&self.topics), bytes: read(&self.bytes) }
    }
}
