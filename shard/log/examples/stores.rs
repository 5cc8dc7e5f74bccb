//! What the embedded store costs, beside a plain file to which the same batches are written and
//! synced by threads of the same structure: the floor.
//!
//! `cargo run --release -p trunkline-log --example stores -- [FOLDER] [SECONDS] [TOPICS…]`;
//! with numbers of topics only those are measured, and recovery isn't. The folder must
//! be on the disk that is asked about: a sync to memory costs nothing. Rounds of both take turns,
//! because a disk that others use too is another one each second; what is printed is the median.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use trunkline_config::settings::Retention;
use trunkline_core::{
    Arguments, Body, Epoch, LogOutcome, LogRequest, Namespace, Position, Record, RoomId, SessionId,
    Ticket, Topic, UserId,
};
use trunkline_log::{EmbeddedLog, LogSettings, TopicLog};

/// How often each of both is measured.
const ROUNDS: usize = 5;
/// A message's content, in bytes.
const BODY: usize = 100;
const NOW_MS: u64 = 1_790_000_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: f64 = arguments.next().map_or(2.0, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in(folder).unwrap();
    let duration = Duration::from_secs_f64(seconds);
    println!(
        "{:<8} {:>12} {:>10} {:>12} {:>10} {:>7}",
        "topics", "embedded/s", "p99 ms", "floor/s", "p99 ms", "ratio"
    );
    let asked: Vec<usize> = arguments.map(|text| text.parse().unwrap()).collect();
    for &topics in if asked.is_empty() { &[1, 16, 256][..] } else { &asked } {
        let (mut embedded, mut floor) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let path = folder.path().join(format!("{topics}-{round}.redb"));
            let mut log = EmbeddedLog::open(&path, "bench", settings(), entropy()).unwrap();
            embedded.push(appends(&mut log, topics, duration));
            drop(log);
            std::fs::remove_file(path).unwrap();
            let path = folder.path().join(format!("{topics}-{round}.plain"));
            floor.push(appends(&mut PlainFile::new(&path), topics, duration));
            std::fs::remove_file(path).unwrap();
        }
        let ((embedded, embedded_p99), (floor, floor_p99)) = (median(embedded), median(floor));
        println!(
            "{topics:<8} {embedded:>12.0} {embedded_p99:>10.2} {floor:>12.0} {floor_p99:>10.2} {:>7.2}",
            embedded / floor
        );
    }
    if asked.is_empty() {
        recovery(folder.path());
    }
}

/// How long it takes to open and verify a large file.
fn recovery(folder: &Path) {
    let path = folder.join("large.redb");
    let mut log = EmbeddedLog::open(&path, "bench", settings(), entropy()).unwrap();
    let begun = Instant::now();
    let topics: Vec<Topic> = (0..10_000).map(room).collect();
    block_on(async {
        let mut epoch = Epoch::new("");
        for (ticket, topic) in (0..).map(Ticket).zip(&topics) {
            log.submit(LogRequest::Open { ticket, topic: topic.clone() }, NOW_MS);
        }
        for _ in &topics {
            if let (_, LogOutcome::Opened(opened)) = poll_fn(|cx| log.poll_outcome(cx)).await {
                epoch = opened.epoch;
            }
        }
        for round in 0..10 {
            let after = Position { epoch: epoch.clone(), offset: round * 10 };
            for (ticket, topic) in (0..).map(Ticket).zip(&topics) {
                log.submit(append(ticket, topic, &after, 10), NOW_MS);
            }
            for _ in &topics {
                let (_, outcome) = poll_fn(|cx| log.poll_outcome(cx)).await;
                assert!(matches!(outcome, LogOutcome::Appended { .. }), "{outcome:?}");
            }
        }
    });
    drop(log);
    let written = begun.elapsed();
    let megabytes = std::fs::metadata(&path).unwrap().len() >> 20;
    let begun = Instant::now();
    let log = EmbeddedLog::open(&path, "bench", settings(), entropy()).unwrap();
    let opened = begun.elapsed();
    println!(
        "1,000,000 messages in 10,000 rooms, {megabytes} MiB: written in {:.1} s, opened and verified in {:.2} s",
        written.as_secs_f64(),
        opened.as_secs_f64()
    );
    drop(log);
}

/// Appends per second and the 99th percentile of their latency in ms: each topic has one append
/// of one message under way, as a busy topic of the core has.
fn appends(log: &mut dyn TopicLog, topics: usize, duration: Duration) -> (f64, f64) {
    let names: Vec<Topic> = (0..topics).map(room).collect();
    let mut latency = Histogram::<u64>::new(3).unwrap();
    let rate = block_on(async {
        let mut positions = BTreeMap::new();
        for (ticket, topic) in (0..).map(Ticket).zip(&names) {
            log.submit(LogRequest::Open { ticket, topic: topic.clone() }, NOW_MS);
            let (_, outcome) = poll_fn(|cx| log.poll_outcome(cx)).await;
            let LogOutcome::Opened(opened) = outcome else { panic!("{outcome:?}") };
            positions.insert(ticket, Position { epoch: opened.epoch, offset: opened.last });
        }
        let begun = Instant::now();
        let mut sent = vec![begun; topics];
        for (topic, (ticket, position)) in names.iter().zip(&positions) {
            log.submit(append(*ticket, topic, position, 1), NOW_MS);
        }
        let mut done = 0_u32;
        let mut waiting = topics;
        while waiting > 0 {
            let (ticket, outcome) = poll_fn(|cx| log.poll_outcome(cx)).await;
            assert!(matches!(outcome, LogOutcome::Appended { .. }), "{outcome:?}");
            let nth = usize::try_from(ticket.0).unwrap();
            let now = Instant::now();
            latency.record(u64::try_from((now - sent[nth]).as_micros()).unwrap()).unwrap();
            done += 1;
            if now - begun >= duration {
                waiting -= 1;
                continue;
            }
            let position = positions.get_mut(&ticket).unwrap();
            position.offset += 1;
            sent[nth] = now;
            log.submit(append(ticket, &names[nth], position, 1), NOW_MS);
        }
        f64::from(done) / begun.elapsed().as_secs_f64()
    });
    let p99 = u32::try_from(latency.value_at_quantile(0.99)).unwrap();
    (rate, f64::from(p99) / 1_000.0)
}

fn append(ticket: Ticket, topic: &Topic, after: &Position, count: u64) -> LogRequest {
    let records = (after.offset + 1..=after.offset + count).map(|it| Arc::new(record(it)));
    let (topic, after) = (topic.clone(), after.clone());
    LogRequest::Append { ticket, topic, after, records: records.collect() }
}

fn record(offset: u64) -> Record {
    Record {
        offset,
        time_ms: NOW_MS,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([7; 24]),
        sequence: offset,
        key: None,
        echo: true,
        body: Body {
            event: Arc::from("say"),
            arguments: Arguments::new(&format!("\"{}\"", "x".repeat(BODY - 2)), 1),
            attachments: Vec::new(),
        },
    }
}

/// A shard's defaults.
fn settings() -> LogSettings {
    let age = Duration::from_secs(24 * 3_600);
    LogSettings {
        rooms: Retention { messages: 100, bytes: 1 << 20, age },
        inboxes: Retention { messages: 1_000, bytes: usize::MAX, age },
        window: Duration::from_secs(300),
    }
}

fn entropy() -> StdRng {
    StdRng::seed_from_u64(7)
}

fn room(number: usize) -> Topic {
    let room = RoomId::parse(&format!("room-{number}")).unwrap();
    Topic::Room(Namespace::parse("/").unwrap(), room)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn median(mut measured: Vec<(f64, f64)>) -> (f64, f64) {
    measured.sort_by(|one, other| one.0.total_cmp(&other.0));
    measured[measured.len() / 2]
}

/// The floor: every batch of what waits is written behind the last and synced.
#[derive(Debug)]
struct PlainFile {
    appends: Sender<(Ticket, Vec<Arc<Record>>)>,
    outcomes: mpsc::UnboundedReceiver<(Ticket, LogOutcome)>,
    opened: Vec<Ticket>,
}

impl PlainFile {
    fn new(path: &Path) -> Self {
        let file = std::fs::File::create(path).unwrap();
        let (appends, to_write) = channel();
        let (give, outcomes) = mpsc::unbounded_channel();
        std::thread::spawn(move || write(file, &to_write, &give));
        Self { appends, outcomes, opened: Vec::new() }
    }
}

fn write(
    mut file: std::fs::File,
    appends: &Receiver<(Ticket, Vec<Arc<Record>>)>,
    give: &mpsc::UnboundedSender<(Ticket, LogOutcome)>,
) {
    while let Ok(first) = appends.recv() {
        let (mut bytes, mut tickets) = (Vec::new(), Vec::new());
        for (ticket, records) in std::iter::once(first).chain(appends.try_iter()) {
            for record in records {
                let Record { offset, time_ms, session, sequence, .. } = *record;
                for number in [offset, time_ms, sequence] {
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
                bytes.extend_from_slice(&session.0);
                bytes.extend_from_slice(record.body.arguments.json().as_bytes());
            }
            tickets.push(ticket);
        }
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        for ticket in tickets {
            give.send((ticket, LogOutcome::Appended { first: 1 })).unwrap();
        }
    }
}

impl TopicLog for PlainFile {
    fn submit(&mut self, request: LogRequest, _: u64) {
        match request {
            LogRequest::Open { ticket, .. } => self.opened.push(ticket),
            LogRequest::Append { ticket, records, .. } => {
                self.appends.send((ticket, records)).unwrap();
            }
            _ => {}
        }
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)> {
        if let Some(ticket) = self.opened.pop() {
            let opened = trunkline_core::Opened::new(Epoch::new("plain"));
            return Poll::Ready((ticket, LogOutcome::Opened(opened)));
        }
        self.outcomes.poll_recv(cx).map(Option::unwrap)
    }

    fn sweep(&mut self, _: u64) {}
}
