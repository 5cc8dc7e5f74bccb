//! What JetStream takes: appends per second and how long they take, over 64 rooms, with one server
//! and with three that all are on this machine. It needs a server: `tests/nats/install`.
//!
//! `cargo bench -p trunkline-log --bench jetstream`; it takes about half a minute.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, unreachable_pub)]
#[path = "../tests/conformance/jetstream/nats.rs"]
mod nats;
#[path = "../../../tests/cluster/harness/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use trunkline_config::settings::Retention;
use trunkline_config::store::JetStreamSettings;
use trunkline_core::{
    Arguments, Body, LogOutcome, LogRequest, Namespace, Position, Record, RoomId, SessionId,
    Ticket, Topic, UserId,
};
use trunkline_log::{JetStreamLog, LogSettings, TopicLog};

use ports::free;

use nats::Nats;

const ROOMS: usize = 64;
const SILENT: usize = 2000;
const TIME: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);
const WALL_MS: u64 = 1_790_000_000_000;

/// A log, and rooms with an append under way in each.
struct Bench {
    log: JetStreamLog,
    tickets: u64,
}

impl Bench {
    fn submit(&mut self, request: impl FnOnce(Ticket) -> LogRequest) -> Ticket {
        self.tickets += 1;
        self.log.submit(request(Ticket(self.tickets)), WALL_MS);
        Ticket(self.tickets)
    }

    async fn outcome(&mut self) -> (Ticket, LogOutcome) {
        poll_fn(|cx| self.log.poll_outcome(cx)).await
    }

    /// Opens rooms, all at once; gives how long that took.
    async fn open(&mut self, names: Range<usize>) -> (BTreeMap<Topic, Position>, Duration) {
        let begun = Instant::now();
        let mut topics = BTreeMap::new();
        for name in names.clone() {
            let topic = room(name);
            let of = topic.clone();
            topics.insert(self.submit(|ticket| LogRequest::Open { ticket, topic: of }), topic);
        }
        let mut ends = BTreeMap::new();
        for _ in names {
            let (ticket, outcome) = self.outcome().await;
            let LogOutcome::Opened(opened) = outcome else { panic!("{outcome:?}") };
            let end = Position { epoch: opened.epoch, offset: opened.last };
            ends.insert(topics.remove(&ticket).unwrap(), end);
        }
        (ends, begun.elapsed())
    }

    fn append(&mut self, topic: &Topic, after: &Position, batch: u64) -> Ticket {
        let records = (1..=batch).map(|nth| Arc::new(record(after.offset + nth))).collect();
        let (topic, after) = (topic.clone(), after.clone());
        self.submit(|ticket| LogRequest::Append { ticket, topic, after, records })
    }

    /// Appends to all rooms as fast as it goes; gives appends per second and the times they took.
    async fn run(
        &mut self,
        ends: &mut BTreeMap<Topic, Position>,
        batch: u64,
    ) -> (f64, Vec<Duration>) {
        let mut under_way = BTreeMap::new();
        for (topic, end) in &*ends {
            let ticket = self.append(topic, end, batch);
            under_way.insert(ticket, (topic.clone(), Instant::now()));
        }
        let (begun, mut times) = (Instant::now(), Vec::new());
        while !under_way.is_empty() {
            let (ticket, outcome) = self.outcome().await;
            assert!(matches!(outcome, LogOutcome::Appended { .. }), "{outcome:?}");
            let (topic, sent) = under_way.remove(&ticket).unwrap();
            if (WARM_UP..WARM_UP + TIME).contains(&begun.elapsed()) {
                times.push(sent.elapsed());
            }
            let end = ends.get_mut(&topic).unwrap();
            end.offset += batch;
            if begun.elapsed() < WARM_UP + TIME {
                let end = end.clone();
                let ticket = self.append(&topic, &end, batch);
                under_way.insert(ticket, (topic, Instant::now()));
            }
        }
        times.sort();
        (times.len() as f64 / TIME.as_secs_f64(), times)
    }
}

fn room(name: usize) -> Topic {
    let name = RoomId::parse(&format!("room-{name}")).unwrap();
    Topic::Room(Namespace::parse("/").unwrap(), name)
}

/// A message of 100 bytes of JSON.
fn record(offset: u64) -> Record {
    Record {
        offset,
        time_ms: WALL_MS,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([7; 24]),
        sequence: offset,
        key: None,
        echo: true,
        body: Body {
            event: Arc::from("message"),
            arguments: Arguments::new(&format!("\"{}\"", "x".repeat(98)), 1),
            attachments: Vec::new(),
        },
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "{ROOMS} rooms, one append under way in each, messages of 100 bytes, sync_interval: always"
    );
    println!(
        "| servers | records per append | appends/s | records/s | p50 ms | p99 ms | open all, ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut silent = Vec::new();
    for servers in [1, 3] {
        let nodes = match servers {
            1 => vec![Nats::start("sync_interval: always")],
            more => Nats::start_cluster(more),
        };
        let options = JetStreamSettings {
            servers: nodes.iter().map(Nats::url).collect(),
            monitors: nodes.iter().map(Nats::monitor).collect(),
            replicas: servers,
            ..JetStreamSettings::default()
        };
        let age = Duration::from_secs(24 * 3600);
        let rooms = Retention { messages: 1000, bytes: 1024 * 1024, age };
        let settings = LogSettings { rooms, inboxes: rooms, window: Duration::from_secs(300) };
        for batch in [1, 16] {
            let entropy = StdRng::seed_from_u64(batch);
            let log = JetStreamLog::connect(&options, "shard", settings, entropy).await;
            let mut bench = Bench { log: log.unwrap_or_else(|it| panic!("{it}")), tickets: 0 };
            let (mut ends, opened) = bench.open(0..ROOMS).await;
            let (rate, times) = bench.run(&mut ends, batch).await;
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
            println!(
                "| {servers} | {batch} | {rate:.0} | {:.0} | {:.1} | {:.1} | {:.0} |",
                rate * batch as f64,
                at(50),
                at(99),
                opened.as_secs_f64() * 1e3,
            );
            if batch > 1 {
                let (_, opened) = bench.open(ROOMS..ROOMS + SILENT).await;
                silent.push(format!("{servers}: {:.0} ms", opened.as_secs_f64() * 1e3));
            }
        }
    }
    println!(
        "to open {SILENT} rooms that nobody has written to, by servers: {}",
        silent.join(", ")
    );
}
