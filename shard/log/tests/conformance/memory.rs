//! The store in memory.

use rand::SeedableRng;
use rand::rngs::StdRng;
use trunkline_log::{LogSettings, MemoryLog, TopicLog};

use crate::Store;

struct Memory(LogSettings);

impl Store for Memory {
    async fn new(settings: LogSettings) -> Self {
        Self(settings)
    }

    async fn log(&self) -> Box<dyn TopicLog> {
        Box::new(MemoryLog::new(self.0, 1 << 30, StdRng::seed_from_u64(7)))
    }
}

crate::conformance!(Memory, own);
