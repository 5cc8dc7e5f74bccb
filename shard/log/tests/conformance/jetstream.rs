//! The store in NATS JetStream, with real servers.

mod ceding;
mod cluster;
mod connecting;
mod fencing;
mod lost_answers;
mod nats;
mod tidying;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use trunkline_config::settings::Retention;
use trunkline_config::store::JetStreamSettings;
use trunkline_core::{Arguments, Held, LogFailure, Namespace, Record, RoomId, Topic};
use trunkline_log::{JetStreamLog, LogSettings, TopicLog, Usage};

use crate::durable::restart;
use crate::hand::{ALL, Hand, record, room};
use crate::{Store, settings};
use nats::Nats;

/// A stream of its own, on the server that all tests share.
struct JetStream {
    nats: Arc<Nats>,
    stream: String,
    settings: LogSettings,
}

impl JetStream {
    fn on(nats: Arc<Nats>, settings: LogSettings) -> Self {
        static STREAMS: AtomicU64 = AtomicU64::new(0);
        let stream = format!("t{}", STREAMS.fetch_add(1, Ordering::Relaxed));
        Self { nats, stream, settings }
    }

    fn options(&self) -> JetStreamSettings {
        JetStreamSettings {
            servers: vec![self.nats.url()],
            stream: self.stream.clone(),
            replicas: 1,
            monitors: vec![self.nats.monitor()],
            ..JetStreamSettings::default()
        }
    }

    async fn connect(&self) -> JetStreamLog {
        connect(self.options(), self.settings).await
    }

    async fn hand(&self) -> Hand {
        Hand::new(self.log().await)
    }

    /// What JetStream says about the stream.
    async fn info(&self) -> serde_json::Value {
        let client = self.nats.client().await;
        let subject = format!("$JS.API.STREAM.INFO.{}", self.stream);
        let answer = client.request(subject, "".into()).await.expect("JetStream answers");
        serde_json::from_slice(&answer.payload).expect("JSON")
    }

    /// Waits until the stream has as many messages as it should.
    async fn messages(&self, fine: impl Fn(u64) -> bool) {
        let all = async {
            while !fine(self.info().await["state"]["messages"].as_u64().unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("they become so many");
    }
}

impl Store for JetStream {
    async fn new(settings: LogSettings) -> Self {
        Self::on(Nats::shared(), settings)
    }

    async fn log(&self) -> Box<dyn TopicLog> {
        Box::new(self.connect().await)
    }
}

/// A shard's log. Each has randomness of its own, as processes do.
async fn connect(options: JetStreamSettings, settings: LogSettings) -> JetStreamLog {
    static SEEDS: AtomicU64 = AtomicU64::new(0);
    let entropy = StdRng::seed_from_u64(SEEDS.fetch_add(1, Ordering::Relaxed));
    JetStreamLog::connect(&options, "shard", settings, entropy)
        .await
        .unwrap_or_else(|it| panic!("{it}"))
}

/// Settings that keep everything for a minute.
fn ample() -> LogSettings {
    let rooms = Retention { messages: 100_000, bytes: usize::MAX, age: settings().rooms.age };
    LogSettings { rooms, ..settings() }
}

/// A record of 40 KB: two of them don't go into one message.
fn large_record(offset: u64, time_ms: u64) -> Record {
    let mut record = record(offset, time_ms);
    record.body.arguments = Arguments::new(&format!("\"{}\"", "x".repeat(40_000)), 1);
    record
}

crate::conformance!(JetStream, durable);

#[tokio::test]
async fn what_all_shards_share_is_neither_given_away_nor_taken() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    assert_eq!(hand.list(None, 10).await, (vec![], false));
    assert_eq!(hand.export(&topic).await, None);
    let held = Held {
        epoch: end.epoch.clone(),
        first: 1,
        last: 0,
        last_time_ms: 0,
        handed: 0,
        records: Vec::new(),
        publications: Vec::new(),
    };
    assert_eq!(hand.import(&topic, held).await, Err(LogFailure::Unavailable));
    hand.remove(&topic);
    assert_eq!(hand.open(&topic).await.epoch, end.epoch);
    assert_eq!(hand.offsets(&topic, ALL).await, [1, 2, 3]);
    assert_eq!(hand.log().usage(), Usage::default());
    hand.log().note(Bytes::from_static(b"note"));
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.log().noted(), None);
}

#[tokio::test]
async fn the_longest_names_are_kept_apart() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    let name = |last: &str| "*".repeat(255) + last;
    let topic = |namespace: &str, room: &str| {
        Topic::Room(Namespace::parse(namespace).unwrap(), RoomId::parse(room).unwrap())
    };
    let topics = [topic(&name("a"), &name("a")), topic(&name("a"), &name("b"))];
    for (topic, count) in topics.iter().zip(1..) {
        hand.fill(topic, count).await;
    }
    for (topic, count) in topics.iter().zip(1..) {
        assert_eq!(hand.offsets(topic, ALL).await, (1..=count).collect::<Vec<u64>>());
    }
}
