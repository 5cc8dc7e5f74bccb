//! The bounds of the memory store, and what it refuses.

use std::time::Duration;

use super::*;
use rand::SeedableRng;
use trunkline_config::settings::Retention;
use trunkline_core::ReadQuery;
use trunkline_core::{Arguments, Body, Epoch, SessionId, UserId};

const CAPACITY: usize = 1024 * 1024;
const NOW_MS: u64 = 1_790_000_000_000;

fn log(messages: usize, bytes: usize) -> MemoryLog {
    let age = Duration::from_secs(60);
    let rooms = Retention { messages, bytes, age };
    let inboxes = Retention { messages: 10, bytes: usize::MAX, age };
    let settings = LogSettings { rooms, inboxes, window: age };
    MemoryLog::new(settings, CAPACITY, StdRng::seed_from_u64(1))
}

fn topic() -> Topic {
    Topic::Room(
        trunkline_core::Namespace::parse("/").unwrap(),
        trunkline_core::RoomId::parse("lobby").unwrap(),
    )
}

fn open(log: &mut MemoryLog, wall_ms: u64) -> Opened {
    let request = LogRequest::Open { ticket: Ticket(1), topic: topic() };
    match log.carry_out(request, wall_ms) {
        Some((Ticket(1), LogOutcome::Opened(opened))) => opened,
        other => panic!("{other:?}"),
    }
}

fn append(log: &mut MemoryLog, after: &Position, time_ms: u64) -> LogOutcome {
    let record = Record {
        offset: after.offset + 1,
        time_ms,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([0; 24]),
        sequence: 1,
        key: None,
        echo: true,
        body: Body {
            event: Arc::from("e"),
            arguments: Arguments::new("1", 1),
            attachments: Vec::new(),
        },
    };
    let records = vec![Arc::new(record)];
    let after = after.clone();
    let request = LogRequest::Append { ticket: Ticket(2), topic: topic(), after, records };
    log.carry_out(request, time_ms).unwrap().1
}

fn fill(log: &mut MemoryLog, count: u64) -> Epoch {
    let epoch = open(log, NOW_MS).epoch;
    for offset in 0..count {
        let after = Position { epoch: epoch.clone(), offset };
        assert!(matches!(append(log, &after, NOW_MS + offset), LogOutcome::Appended { .. }));
    }
    epoch
}

fn offsets(log: &mut MemoryLog, query: ReadQuery) -> Vec<u64> {
    let request = LogRequest::Read { ticket: Ticket(3), topic: topic(), query };
    match log.carry_out(request, NOW_MS) {
        Some((_, LogOutcome::Records { records })) => records.iter().map(|r| r.offset).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_read_lies_between_its_bounds() {
    let mut log = log(100, usize::MAX);
    fill(&mut log, 10);
    let query = |after, before, limit, newest| ReadQuery { after, before, limit, newest };
    assert_eq!(offsets(&mut log, query(0, u64::MAX, 3, true)), [8, 9, 10]);
    assert_eq!(offsets(&mut log, query(0, 6, 3, true)), [3, 4, 5]);
    assert_eq!(offsets(&mut log, query(4, u64::MAX, 3, false)), [5, 6, 7]);
    assert_eq!(offsets(&mut log, query(8, 3, 3, false)), [0; 0]);
}

#[test]
fn count_bytes_and_age_each_bound_what_is_kept() {
    let mut few = log(3, usize::MAX);
    fill(&mut few, 10);
    assert_eq!(open(&mut few, NOW_MS).first, 8);

    let mut small = log(100, 400);
    fill(&mut small, 10);
    assert_eq!(open(&mut small, NOW_MS).first, 9);

    let mut short = log(100, usize::MAX);
    fill(&mut short, 10);
    assert_eq!(open(&mut short, NOW_MS + 60_005).first, 6);
}

#[test]
fn an_append_that_expects_another_newest_record_is_refused() {
    let mut log = log(100, usize::MAX);
    let epoch = fill(&mut log, 3);
    let stale = Position { epoch, offset: 2 };
    let outcome = append(&mut log, &stale, NOW_MS);
    assert!(matches!(outcome, LogOutcome::Failed(LogFailure::Conflict)));
    let foreign = Position { epoch: Epoch::new("other"), offset: 3 };
    let outcome = append(&mut log, &foreign, NOW_MS);
    assert!(matches!(outcome, LogOutcome::Failed(LogFailure::Conflict)));
}

#[test]
fn a_topic_that_was_forgotten_comes_again_as_another_history() {
    let mut log = log(100, usize::MAX);
    let epoch = fill(&mut log, 3);
    log.sweep(NOW_MS + 61_000);
    assert!(log.topics.is_empty());
    let opened = open(&mut log, NOW_MS + 61_000);
    assert_ne!(opened.epoch, epoch);
    assert_eq!((opened.first, opened.last), (1, 0));
}

#[test]
fn a_full_store_refuses_until_something_goes() {
    let mut log = log(usize::MAX, usize::MAX);
    let epoch = open(&mut log, NOW_MS).epoch;
    let mut offset = 0;
    let refused = loop {
        let after = Position { epoch: epoch.clone(), offset };
        match append(&mut log, &after, NOW_MS) {
            LogOutcome::Appended { .. } => offset += 1,
            refused => break refused,
        }
    };
    assert!(matches!(refused, LogOutcome::Failed(LogFailure::Unavailable)));
    assert!(log.used > CAPACITY - 1024 && log.used <= CAPACITY);
    log.sweep(NOW_MS + 61_000);
    assert_eq!(log.used, 0);
    let after = Position { epoch, offset };
    assert!(matches!(append(&mut log, &after, NOW_MS), LogOutcome::Appended { .. }));
}

#[test]
fn a_room_that_is_only_looked_at_takes_no_memory_and_keeps_its_epoch() {
    let mut log = log(100, usize::MAX);
    let epoch = open(&mut log, NOW_MS).epoch;
    assert!(log.topics.is_empty());
    log.sweep(NOW_MS + 61_000);
    assert_eq!(open(&mut log, NOW_MS + 61_000).epoch, epoch);
}
