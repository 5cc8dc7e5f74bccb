//! What the embedded store makes of a file that isn't as it was written.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use trunkline_config::settings::Retention;
use trunkline_core::{
    Arguments, Body, Epoch, Held, LogFailure, LogOutcome, LogRequest, Namespace, Opened, Position,
    Publication, ReadQuery, Record, RoomId, SessionId, Ticket, Topic, UserId,
};
use trunkline_log::{EmbeddedLog, LogSettings, OpenError, RepairError, TopicLog, repair};

const NOW_MS: u64 = 1_790_000_000_000;

#[test]
fn a_damaged_tail_is_cut_and_the_topic_begins_a_new_epoch() {
    let store = Store::new(&[("lobby", 5), ("other", 5)]);
    let before = store.open().unwrap().opened("lobby");
    store.flip(&marker("lobby", 5));
    let mut log = store.open().unwrap();
    let opened = log.opened("lobby");
    assert_eq!((opened.first, opened.last), (1, 4));
    assert_ne!(opened.epoch, before.epoch);
    assert_eq!(log.offsets("lobby"), [1, 2, 3, 4]);
    // The rest is as it was, and both go on.
    assert_eq!(log.opened("other").epoch, before.epoch);
    assert_eq!(log.offsets("other"), [1, 2, 3, 4, 5]);
    for room in ["lobby", "other"] {
        log.fill(room, 1);
    }
    drop(log);
    let mut log = store.open().unwrap();
    assert_eq!(log.opened("lobby"), Opened { last: 5, ..log.opened("lobby") });
    assert_eq!(log.offsets("other"), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn damage_in_the_middle_stops_the_shard_and_names_what_is_damaged() {
    let store = Store::new(&[("lobby", 5), ("other", 5)]);
    store.flip(&marker("lobby", 2));
    let Err(error @ OpenError::Damaged { .. }) = store.open() else { panic!("it was opened") };
    let text = error.to_string();
    for part in ["room lobby of namespace /", "1-5", "3-5", "trunkline repair"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_repair_says_what_it_would_lose_and_changes_nothing_until_it_is_told_to() {
    let store = Store::new(&[("lobby", 200), ("other", 5)]);
    let before = store.open().unwrap().opened("lobby");
    store.flip(&marker("lobby", 50));
    let bytes = std::fs::read(&store.path).unwrap();
    let report = repair(&store.path, false).unwrap();
    assert_eq!((report.topics, report.records, report.lost()), (2, 205, 50));
    let [damage] = &report.damages[..] else { panic!("{report:?}") };
    assert_eq!((damage.kept.clone(), damage.new_epoch), (Some(51..=200), false));
    assert!(std::fs::read(&store.path).unwrap() == bytes, "it was only looked at");

    let applied = repair(&store.path, true).unwrap();
    let aside = applied.set_aside.unwrap();
    assert!(std::fs::read(aside).unwrap() == bytes, "the damaged file is kept");
    let mut log = store.open().unwrap();
    let opened = log.opened("lobby");
    assert_eq!((opened.epoch, opened.first, opened.last), (before.epoch, 51, 200));
    assert_eq!(log.offsets("lobby"), (51..=200).collect::<Vec<u64>>());
    assert_eq!(log.offsets("other"), [1, 2, 3, 4, 5]);
    log.fill("lobby", 3);
    log.fill("new", 2);
    drop(log);
    assert!(repair(&store.path, false).unwrap().is_clean());
}

#[test]
fn a_repair_saves_a_topic_that_was_imported_like_any_other_and_the_note() {
    let store = Store::new(&[("lobby", 5), ("other", 5), ("gone", 5)]);
    let mut log = store.open().unwrap();
    log.import("lobby", 101, 300);
    log.0.submit(LogRequest::Remove { topic: topic("gone") }, NOW_MS);
    log.0.note(Bytes::from_static(b"noted"));
    let (before, other) = (log.opened("lobby"), log.opened("other"));
    drop(log);
    let report = repair(&store.path, false).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.topics, report.records), (2, 205));

    store.flip(&marker("lobby", 150));
    let report = repair(&store.path, true).unwrap();
    let [damage] = &report.damages[..] else { panic!("{report:?}") };
    assert_eq!((damage.kept.clone(), damage.new_epoch), (Some(151..=300), false));
    let mut log = store.open().unwrap();
    let opened = log.opened("lobby");
    assert_eq!((opened.epoch, opened.first, opened.last), (before.epoch, 151, 300));
    assert_eq!(opened.publications[0], before.publications[0], "its message was gone before");
    assert_eq!(log.offsets("lobby"), (151..=300).collect::<Vec<u64>>());
    assert_eq!(log.opened("other"), other);
    assert_eq!(log.0.noted(), Some(Bytes::from_static(b"noted")));
}

#[test]
fn a_damaged_note_stops_the_shard_and_is_empty_after_a_repair() {
    let store = Store::new(&[("lobby", 5)]);
    let mut log = store.open().unwrap();
    log.0.note(Bytes::from_static(b"it was noted so"));
    drop(log);
    store.flip("it was noted so");
    let Err(error) = store.open() else { panic!("it was opened") };
    assert!(error.to_string().contains("trunkline repair"), "{error}");
    repair(&store.path, true).unwrap();
    let mut log = store.open().unwrap();
    assert_eq!(log.0.noted(), Some(Bytes::new()), "that there was one is known");
    assert_eq!(log.offsets("lobby"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_file_in_use_is_refused_with_what_to_do() {
    let store = Store::new(&[("lobby", 1)]);
    let log = store.open().unwrap();
    let Err(error @ OpenError::InUse { .. }) = store.open() else { panic!("it was opened") };
    assert!(error.to_string().contains("in use by another process; stop"), "{error}");
    assert!(matches!(repair(&store.path, false), Err(RepairError::InUse { .. })));
    drop(log);
    store.open().unwrap();
}

#[test]
fn the_file_is_for_its_user_alone_and_for_its_shard() {
    let store = Store::new(&[("lobby", 1)]);
    let mode = std::fs::metadata(&store.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let entropy = StdRng::seed_from_u64(1);
    let error = EmbeddedLog::open(&store.path, "b", settings(), entropy).unwrap_err();
    assert!(error.to_string().contains("the store of a, not of b"), "{error}");
}

#[test]
fn what_is_no_store_is_neither_opened_nor_repaired() {
    let store = Store::new(&[]);
    for bytes in [vec![], b"[section]\n".repeat(1_000), vec![0; 80_000]] {
        std::fs::write(&store.path, &bytes).unwrap();
        assert!(store.open().is_err());
        assert!(repair(&store.path, true).is_err());
        assert!(std::fs::read(&store.path).unwrap() == bytes, "it is left alone");
    }
    std::fs::remove_file(&store.path).unwrap();
    assert!(matches!(repair(&store.path, true), Err(RepairError::File { .. })));
}

/// Wherever bits flip: what is read is what was written, or nothing is read.
#[test]
fn no_damage_is_ever_served() {
    let store = Store::new(&[("lobby", 60), ("other", 3), ("third", 20)]);
    let bytes = std::fs::read(&store.path).unwrap();
    let mut entropy = StdRng::seed_from_u64(11);
    let (mut opened, mut refused, mut saved) = (0, 0, 0);
    for _ in 0..80 {
        let mut damaged = bytes.clone();
        let at = entropy.random_range(0..bytes.len());
        let length = [1, 1, 8, 5_000][entropy.random_range(0..4)].min(bytes.len() - at);
        damaged[at..at + length].iter_mut().for_each(|byte| *byte ^= 0x55);
        std::fs::write(&store.path, damaged).unwrap();
        if let Ok(mut log) = store.open() {
            opened += 1;
            log.judge();
            continue;
        }
        refused += 1;
        if repair(&store.path, true).is_ok() {
            saved += 1;
            store.open().expect("it was repaired").judge();
        }
    }
    assert!(opened > 5 && refused > 5 && saved > 2, "{opened} {refused} {saved}");
}

/// A file of which a test knows what was written.
struct Store {
    _folder: TempDir,
    path: PathBuf,
}

impl Store {
    fn new(rooms: &[(&str, u64)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.redb");
        let store = Self { _folder: folder, path };
        let mut log = store.open().unwrap();
        rooms.iter().for_each(|(room, count)| log.fill(room, *count));
        store
    }

    fn open(&self) -> Result<Log, OpenError> {
        let entropy = StdRng::from_os_rng();
        EmbeddedLog::open(&self.path, "a", settings(), entropy).map(Log)
    }

    /// Flips a bit of each copy of some bytes: older pages are in the file as well.
    fn flip(&self, needle: &str) {
        flip(&self.path, needle.as_bytes());
    }
}

fn flip(path: &Path, needle: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty(), "it is in the file");
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(path, bytes).unwrap();
}

/// A log that is asked for one thing after the other.
struct Log(EmbeddedLog);

impl Log {
    fn ask(&mut self, request: LogRequest) -> LogOutcome {
        self.0.submit(request, NOW_MS);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(poll_fn(|cx| self.0.poll_outcome(cx))).1
    }

    fn opened(&mut self, room: &str) -> Opened {
        match self.ask(LogRequest::Open { ticket: Ticket(1), topic: topic(room) }) {
            LogOutcome::Opened(opened) => opened,
            other => panic!("{other:?}"),
        }
    }

    fn fill(&mut self, room: &str, count: u64) {
        let Opened { epoch, last, .. } = self.opened(room);
        let records = (last + 1..=last + count).map(|it| Arc::new(record(room, it))).collect();
        let after = Position { epoch, offset: last };
        let (ticket, topic) = (Ticket(1), topic(room));
        let outcome = self.ask(LogRequest::Append { ticket, topic, after, records });
        assert!(matches!(outcome, LogOutcome::Appended { .. }), "{outcome:?}");
    }

    /// A topic from another store, which had let go of what was published before `first`.
    fn import(&mut self, room: &str, first: u64, last: u64) {
        let records: Vec<_> = (first..=last).map(|it| Arc::new(record(room, it))).collect();
        let keyed = Record { key: Some(Arc::from("key")), ..record(room, first - 1) };
        let held = Held {
            epoch: Epoch::new("theirs"),
            first,
            last,
            last_time_ms: NOW_MS,
            handed: 0,
            records,
            publications: vec![Publication::of(&keyed)],
        };
        let (ticket, topic, held) = (Ticket(1), topic(room), Box::new(held));
        let outcome = self.ask(LogRequest::Import { ticket, topic, held });
        assert!(matches!(outcome, LogOutcome::Imported), "{outcome:?}");
    }

    fn records(&mut self, room: &str) -> Option<Vec<Arc<Record>>> {
        let query = ReadQuery { after: 0, before: u64::MAX, limit: usize::MAX, newest: false };
        match self.ask(LogRequest::Read { ticket: Ticket(1), topic: topic(room), query }) {
            LogOutcome::Records { records } => Some(records),
            LogOutcome::Failed(LogFailure::Unavailable) => None,
            other => panic!("{other:?}"),
        }
    }

    fn offsets(&mut self, room: &str) -> Vec<u64> {
        self.records(room).unwrap().iter().map(|record| record.offset).collect()
    }

    fn judge(&mut self) {
        for room in ["lobby", "other", "third"] {
            let records = self.records(room).unwrap_or_default();
            assert!(records.iter().all(|it| **it == record(room, it.offset)), "{room}");
            assert!(records.windows(2).all(|pair| pair[0].offset + 1 == pair[1].offset), "{room}");
        }
    }
}

fn settings() -> LogSettings {
    let age = Duration::from_secs(60);
    let bounds = Retention { messages: 1_000, bytes: usize::MAX, age };
    LogSettings { rooms: bounds, inboxes: bounds, window: Duration::from_secs(30) }
}

fn topic(room: &str) -> Topic {
    Topic::Room(Namespace::parse("/").unwrap(), RoomId::parse(room).unwrap())
}

fn marker(room: &str, offset: u64) -> String {
    format!("\"{room}-{offset:04}-{}\"", "x".repeat(60))
}

fn record(room: &str, offset: u64) -> Record {
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
            arguments: Arguments::new(&marker(room, offset), 1),
            attachments: Vec::new(),
        },
    }
}
