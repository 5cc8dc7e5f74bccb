//! The embedded store, in a file of its own.

use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use trunkline_log::{EmbeddedLog, LogSettings, TopicLog};

use crate::durable::restart;
use crate::hand::{Hand, inbox, room};
use crate::{Store, settings};

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

#[tokio::test]
async fn in_which_epochs_topics_begin_outlives_the_process() {
    let store = Embedded::new(settings()).await;
    let mut hand = Hand::new(store.log().await);
    let topics = [inbox("alice"), inbox("bob"), room("lobby")];
    hand.remove(&topics[1]);
    let mut before = Vec::new();
    for topic in &topics {
        before.push(hand.open(topic).await);
    }
    hand = restart(&store, hand).await;
    for (topic, before) in topics.iter().zip(before) {
        assert_eq!(hand.open(topic).await, before);
    }
}
