//! Three servers, of which one after the other is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_config::store::JetStreamSettings;
use trunkline_core::{Epoch, LogFailure, LogOutcome, LogRequest, Position, Topic};

use super::nats::Nats;
use super::{ample, large_record};
use crate::hand::{ALL, Hand, START_MS, record, room};

const ROOMS: usize = 8;

/// Rooms, and where they stand as far as was acknowledged.
struct Rooms {
    hand: Hand,
    ends: BTreeMap<Topic, Position>,
}

impl Rooms {
    async fn open(mut hand: Hand) -> Self {
        let mut ends = BTreeMap::new();
        for name in 0..ROOMS {
            let topic = room(&format!("room-{name}"));
            let epoch = hand.open(&topic).await.epoch;
            ends.insert(topic, Position { epoch, offset: 0 });
        }
        Self { hand, ends }
    }

    /// Appends three records to each room, all rooms at once; those of one room are large, so that it takes
    /// a batch. What failed is opened again, and none of
    /// what was acknowledged may be missing then. Gives how many appends failed.
    async fn append(&mut self) -> usize {
        let Self { hand, ends } = self;
        let mut topics = BTreeMap::new();
        for (topic, after) in &*ends {
            let record = if *topic == room("room-0") { large_record } else { record };
            let records: Vec<_> =
                (1..=3).map(|nth| Arc::new(record(after.offset + nth, START_MS))).collect();
            let (of, after) = (topic.clone(), after.clone());
            let append = |ticket| LogRequest::Append { ticket, topic: of, after, records };
            topics.insert(hand.submit(append), topic.clone());
        }
        let mut failed = Vec::new();
        for _ in 0..topics.len() {
            let (ticket, outcome) = hand.outcome().await;
            let topic = topics.remove(&ticket).expect("it was asked");
            match outcome {
                LogOutcome::Appended { .. } => ends.get_mut(&topic).unwrap().offset += 3,
                LogOutcome::Failed(_) => failed.push(topic),
                other => panic!("{other:?}"),
            }
        }
        for topic in &failed {
            let opened = loop {
                if let Ok(opened) = hand.try_open(topic).await {
                    break opened;
                }
            };
            let end = ends.get_mut(topic).unwrap();
            assert_eq!(opened.epoch, end.epoch);
            assert!([end.offset, end.offset + 3].contains(&opened.last), "all of it or nothing");
            end.offset = opened.last;
        }
        failed.len()
    }

    async fn check(&mut self) {
        for (topic, end) in &self.ends {
            let offsets = self.hand.offsets(topic, ALL).await;
            assert!(offsets.iter().copied().eq(1..=end.offset), "{topic}: {end:?}: {offsets:?}");
        }
    }

    fn epochs(&self) -> Vec<Epoch> {
        self.ends.values().map(|end| end.epoch.clone()).collect()
    }
}

/// The server that leads the stream.
async fn leader(options: &JetStreamSettings) -> usize {
    let client = async_nats::connect(options.servers.clone()).await.unwrap();
    let subject = format!("$JS.API.STREAM.INFO.{}", options.stream);
    loop {
        if let Ok(info) = client.request(subject.clone(), "".into()).await {
            let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
            if let Some(leader) = info["cluster"]["leader"].as_str() {
                return leader.trim_start_matches("node-").parse().expect("a node's number");
            }
        }
    }
}

fn options(nodes: &[Nats]) -> JetStreamSettings {
    JetStreamSettings {
        servers: nodes.iter().map(Nats::url).collect(),
        monitors: nodes.iter().map(Nats::monitor).collect(),
        stream: "cluster".to_owned(),
        ..JetStreamSettings::default()
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_with_a_server() {
    let nodes = Nats::start_cluster(3);
    let options = options(&nodes);
    let log = super::connect(options.clone(), ample()).await;
    let mut rooms = Rooms::open(Hand::new(Box::new(log))).await;
    for _ in 0..20 {
        assert_eq!(rooms.append().await, 0);
    }

    let first = leader(&options).await;
    nodes[first].kill();
    let lost = Instant::now();
    rooms.append().await;
    let outage = lost.elapsed();
    for _ in 0..20 {
        rooms.append().await;
    }
    rooms.check().await;
    assert!(outage < Duration::from_secs(20), "{outage:?}");

    // The one that comes back has to catch up before another may go.
    nodes[first].restart();
    for _ in 0..20 {
        rooms.append().await;
    }
    let second = (0..3).find(|nth| *nth != first).unwrap();
    caught_up(&options).await;
    nodes[second].kill();
    for _ in 0..20 {
        rooms.append().await;
    }
    rooms.check().await;

    // Another shard that starts now finds all of it: the one that can't be asked synced before.
    let mut other = Hand::new(Box::new(super::connect(options, ample()).await));
    for ((topic, end), epoch) in rooms.ends.iter().zip(rooms.epochs()) {
        let opened = other.try_open(topic).await.expect("two of three are alive");
        assert_eq!((opened.epoch, opened.first, opened.last), (epoch, 1, end.offset));
    }
}

/// Waits until all three servers have all of the stream.
async fn caught_up(options: &JetStreamSettings) {
    let client = async_nats::connect(options.servers.clone()).await.unwrap();
    let subject = format!("$JS.API.STREAM.INFO.{}", options.stream);
    let all = async {
        loop {
            if let Ok(info) = client.request(subject.clone(), "".into()).await {
                let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
                let replicas = info["cluster"]["replicas"].as_array();
                if replicas.is_some_and(|all| {
                    all.len() == 2 && all.iter().all(|peer| peer["current"] == true)
                }) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("it catches up");
}

#[tokio::test]
async fn a_leader_that_nobody_follows_does_not_say_that_a_deed_is_current() {
    let nodes = Nats::start_cluster(3);
    let options = options(&nodes);
    let mut before = Hand::new(Box::new(super::connect(options.clone(), ample()).await));
    let topic = room("lobby");
    before.fill(&topic, 3).await;
    let deed = before.cede(&topic).await.expect("it knows all of it");
    caught_up(&options).await;

    let leading = leader(&options).await;
    let followers = || nodes.iter().enumerate().filter(|(nth, _)| *nth != leading);
    let alone = JetStreamSettings { servers: vec![nodes[leading].url()], ..options };
    let mut after = Hand::new(Box::new(super::connect(alone.clone(), ample()).await));
    followers().for_each(|(_, node)| node.pause());
    // It answers as if it led them still.
    let client = nodes[leading].client().await;
    let question = r#"{"last_by_subj":"cluster.r.%2F.lobby"}"#;
    let answer = client.request("$JS.API.STREAM.MSG.GET.cluster", question.into()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert!(answer["message"]["seq"].is_u64(), "{answer}");
    let refused = after.try_take_up(&topic, deed.clone()).await.map(|it| it.last);
    assert_eq!(refused, Err(LogFailure::Unavailable));

    followers().for_each(|(_, node)| node.resume());
    caught_up(&alone).await;
    assert_eq!(after.take_up(&topic, deed).await.last, 3);
}
