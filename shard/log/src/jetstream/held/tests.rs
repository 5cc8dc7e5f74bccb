//! What is kept, what is remembered for its key, and what can be purged.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use trunkline_core::{Arguments, Body, Epoch, SessionId, UserId};

const NOW_MS: u64 = 1_790_000_000_000;
const AGE: Duration = Duration::from_secs(60);
const WINDOW_MS: u64 = 30_000;

fn record(offset: u64, key: Option<&str>) -> Record {
    Record {
        offset,
        time_ms: NOW_MS,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([0; 24]),
        sequence: offset,
        key: key.map(Arc::from),
        echo: true,
        body: Body {
            event: Arc::from("e"),
            arguments: Arguments::new("1", 1),
            attachments: Vec::new(),
        },
    }
}

/// A topic of which so many records are kept. Record `n` is at the place `10 n`.
struct Subject {
    held: Held,
    retention: Retention,
    now_ms: u64,
}

impl Subject {
    fn new(messages: usize) -> Self {
        let held = Held::new(Standing::new(Epoch::new("e")), 1, NOW_MS);
        let retention = Retention { messages, bytes: usize::MAX, age: AGE };
        Self { held, retention, now_ms: NOW_MS }
    }

    fn push(&mut self, count: u64, key: Option<&str>) {
        for _ in 0..count {
            let offset = self.held.standing.last + 1;
            self.held.push(10 * offset, &record(offset, key));
            (self.held.standing.last, self.held.sequence) = (offset, 10 * offset);
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.held.trim(self.retention, self.now_ms - WINDOW_MS, self.now_ms);
    }
}

fn query(after: u64, before: u64, limit: usize, newest: bool) -> ReadQuery {
    ReadQuery { after, before, limit, newest }
}

#[test]
fn a_query_is_answered_from_places() {
    let mut subject = Subject::new(10);
    assert_eq!(subject.held.span(query(0, u64::MAX, 5, true)), None);
    subject.push(30, None);
    let span = |after, before, limit, newest| {
        let span = subject.held.span(query(after, before, limit, newest))?;
        assert_eq!(span.sequences, (10 * span.offsets.0, 10 * span.offsets.1));
        Some(span.offsets)
    };
    assert_eq!(span(0, u64::MAX, usize::MAX, false), Some((21, 30)));
    assert_eq!(span(0, u64::MAX, 3, true), Some((28, 30)));
    assert_eq!(span(0, u64::MAX, 3, false), Some((21, 23)));
    assert_eq!(span(24, 28, 9, true), Some((25, 27)));
    assert_eq!(span(30, u64::MAX, 3, true), None);
    assert_eq!(span(u64::MAX, u64::MAX, 3, true), None);
    assert_eq!(span(0, 0, 3, true), None);
    assert_eq!(span(0, 21, 3, true), None, "it was let go");
}

#[test]
fn what_was_let_go_is_purged_together() {
    let mut subject = Subject::new(10);
    subject.push(10 + 63, None);
    assert_eq!(subject.held.take_purge(), None);
    subject.push(1, None);
    assert_eq!(subject.held.take_purge(), Some(650), "record 65 is the oldest that is kept");
    assert_eq!(subject.held.take_purge(), None);
}

#[test]
fn a_purge_waits_for_as_many_as_are_kept() {
    let mut subject = Subject::new(1000);
    subject.push(1999, None);
    assert_eq!(subject.held.take_purge(), None);
    subject.push(1, None);
    assert_eq!(subject.held.take_purge(), Some(10_010));
}

#[test]
fn a_key_keeps_its_record_from_the_purge_while_the_window_lasts() {
    let mut subject = Subject::new(10);
    subject.push(1, Some("k"));
    subject.push(500, None);
    assert_eq!(subject.held.first(), 492);
    assert_eq!(subject.held.take_purge(), None);
    subject.now_ms += WINDOW_MS + 1;
    subject.trim();
    assert_eq!(subject.held.take_purge(), Some(4920));
}

#[test]
fn keys_of_a_hot_topic_are_bounded() {
    let mut subject = Subject::new(10);
    subject.push(20_000 + 10, Some("k"));
    assert_eq!(subject.held.places.len(), REMEMBERED + 10);
    assert_eq!(subject.held.first(), 20_001);
}

#[test]
fn the_newest_message_is_never_purged() {
    let mut subject = Subject::new(10);
    subject.push(5, None);
    subject.now_ms += 60_001;
    subject.trim();
    assert!(subject.held.is_empty());
    assert_eq!((subject.held.first(), subject.held.take_purge()), (6, Some(50)));
    assert_eq!(subject.held.take_purge(), None, "once is enough");
}

#[test]
fn what_was_handed_over_does_not_wait() {
    let mut subject = Subject::new(10);
    subject.push(12, None);
    let size = record(1, None).size();
    assert_eq!(subject.held.waiting_bytes(), 10 * size);
    subject.held.standing.handed = 2;
    assert_eq!(subject.held.waiting_bytes(), 10 * size, "records 1 and 2 were let go");
    subject.held.standing.handed = 5;
    assert_eq!(subject.held.waiting_bytes(), 7 * size);
    subject.held.standing.handed = 12;
    assert_eq!(subject.held.waiting_bytes(), 0);
}

#[test]
fn the_next_owner_knows_by_the_deed_what_the_one_before_knew() {
    let mut subject = Subject::new(10);
    subject.push(3, Some("k"));
    subject.push(30, None);
    subject.held.standing.handed = 25;
    subject.held.ends_in_standing = false;
    let deed = subject.held.deed().unwrap();
    assert!(deed.len() < 400, "{}", deed.len());
    let mut given = Held::by_deed(deed.clone(), NOW_MS).unwrap();
    assert_eq!((&given.standing, given.sequence), (&subject.held.standing, 330));
    assert!(!given.ends_in_standing);
    assert_eq!(given.deed(), Some(deed));
    assert_eq!((given.first(), given.waiting_bytes()), (24, subject.held.waiting_bytes()));
    let query = query(0, u64::MAX, usize::MAX, false);
    assert_eq!(given.span(query), subject.held.span(query));
    let later_ms = NOW_MS + 60_001;
    for held in [&mut subject.held, &mut given] {
        held.trim(subject.retention, later_ms - WINDOW_MS, later_ms);
    }
    assert_eq!((given.take_purge(), given.is_empty()), (Some(330), true));
    assert_eq!(subject.held.take_purge(), Some(330));
}

#[test]
fn there_is_no_deed_of_what_is_not_known_or_takes_too_long_to_say() {
    let mut subject = Subject::new(100_000);
    assert!(subject.held.deed().is_some());
    subject.push(50_000, None);
    assert_eq!(subject.held.deed(), None);
    let mut subject = Subject::new(10);
    subject.push(3, None);
    subject.held.rest(u64::MAX, NOW_MS + REST_AFTER_MS + 1);
    assert!(subject.held.at_rest);
    assert_eq!(subject.held.deed(), None);
    let mut subject = Subject::new(10);
    subject.held.spent = true;
    assert_eq!(subject.held.deed(), None);
    let mut subject = Subject::new(10);
    subject.held.mark_due = true;
    assert_eq!(subject.held.deed(), None);
}

#[test]
fn a_deed_that_contradicts_itself_is_none() {
    use prost::Message;
    use trunkline_proto::log::{Deed, Place};
    let place = |sequence| Place { sequence, time_ms: 1, size: 9, keyed: false };
    let good = Deed {
        epoch: "e".to_owned(),
        last: 2,
        handed: 1,
        sequence: 20,
        places: vec![place(10), place(10)],
        ..Deed::default()
    };
    let read = |deed: &Deed| Held::by_deed(deed.encode_to_vec().into(), NOW_MS);
    assert!(read(&good).is_some());
    for bad in [
        Deed { sequence: 0, ..good.clone() },
        Deed { sequence: 19, ..good.clone() },
        Deed { handed: 3, ..good.clone() },
        Deed { last: 1, ..good.clone() },
        Deed { gone: 3, ..good.clone() },
        Deed { places: vec![place(0), place(1)], ..good.clone() },
        Deed { places: vec![place(10), place(u64::MAX)], ..good.clone() },
    ] {
        assert!(read(&bad).is_none(), "{bad:?}");
    }
    assert!(Held::by_deed(Bytes::from_static(b"\xff\xff"), NOW_MS).is_none());
}
