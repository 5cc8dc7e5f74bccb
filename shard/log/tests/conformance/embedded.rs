//! The embedded store, in a file of its own.

use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use trunkline_log::{EmbeddedLog, LogSettings, TopicLog};

use crate::Store;

struct Embedded {
    folder: TempDir,
    settings: LogSettings,
}

impl Store for Embedded {
    async fn new(settings: LogSettings) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), settings }
    }

    async fn log(&self) -> Box<dyn TopicLog> {
        let path = self.folder.path().join("shards/a.redb");
        let entropy = StdRng::from_os_rng();
        Box::new(EmbeddedLog::open(&path, "a", self.settings, entropy).unwrap())
    }
}

crate::conformance!(Embedded, own, durable);
