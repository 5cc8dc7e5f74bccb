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
async fn a_removed_topic_leaves_those_that_nobody_has_written_to_where_they_are() {
    let store = Embedded::new(settings()).await;
    let mut hand = Hand::new(store.log().await);
    let [untouched, empty, written] = [inbox("alice"), inbox("bob"), room("lobby")];
    let before = hand.open(&untouched).await;
    let mut gone = vec![hand.open(&empty).await.epoch, hand.fill(&written, 3).await.epoch];
    for _ in 0..3 {
        hand.remove(&empty);
        hand.remove(&written);
        hand = restart(&store, hand).await;
        assert_eq!(hand.open(&untouched).await, before);
        for topic in [&empty, &written] {
            let again = hand.open(topic).await.epoch;
            assert!(!gone.contains(&again), "{topic:?}");
            gone.push(again);
        }
        hand.fill(&written, 2).await;
    }
}
