//! Where a topic stands, and its newest records: enough to bring most who come back up to date
//! without asking the log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Record;
use crate::position::{Epoch, Position};

/// How much of a topic stays at hand.
const RECORDS: usize = 128;
const BYTES: usize = 128 * 1024;

/// A topic's standing and its newest records.
#[derive(Debug)]
pub(super) struct Tail {
    epoch: Epoch,
    /// The oldest record that the log has.
    first: u64,
    last: u64,
    last_time_ms: u64,
    /// The log has been asked up to here, in vain, because somebody was said to have had as much.
    sought: u64,
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

impl Tail {
    /// A topic that stands there; what it has kept is read when it is asked for.
    pub(super) fn new(epoch: Epoch, first: u64, last: u64, last_time_ms: u64) -> Self {
        let (records, bytes, sought) = (VecDeque::new(), 0, 0);
        Self { epoch, first, last, last_time_ms, sought, records, bytes }
    }

    pub(super) fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The oldest record's offset; one more than the newest if there is none.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The newest record's offset.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.last }
    }

    /// The time for the next record: the wall clock's, but never less than the record before.
    pub(super) fn next_time(&self, wall_ms: u64) -> u64 {
        wall_ms.max(self.last_time_ms)
    }

    /// A record has been kept.
    pub(super) fn push(&mut self, record: Arc<Record>) {
        debug_assert_eq!(record.offset, self.last + 1, "offsets have no gap");
        self.last = record.offset;
        self.last_time_ms = record.time_ms;
        self.bytes += record.size();
        self.records.push_back(record);
        while self.records.len() > RECORDS || self.bytes > BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    /// The log has dropped what is older than `first`, and what was taken before `since_ms` has
    /// reached its age.
    pub(super) fn trim(&mut self, first: u64, since_ms: u64) {
        self.first = self.first.max(first);
        let old = |record: &Arc<Record>| record.time_ms < since_ms;
        while let Some(oldest) = self.records.front().filter(|it| old(it) || it.offset < first) {
            self.first = self.first.max(oldest.offset + 1);
            self.bytes -= oldest.size();
            self.records.pop_front();
        }
    }

    /// Whether `position` is one of this history, up to now.
    pub(super) fn reaches(&self, position: &Position) -> bool {
        position.epoch == self.epoch && position.offset <= self.last
    }

    /// Whether `position` is beyond all that is known of this history, and the log is yet to be asked
    /// for it. It need not be asked twice: a client may name any place.
    pub(super) fn seeks(&mut self, position: &Position) -> bool {
        let seeks = position.epoch == self.epoch && position.offset > self.last.max(self.sought);
        if seeks {
            self.sought = position.offset;
        }
        seeks
    }

    /// Where to go on for someone who has had everything up to `after`, and what of the rest
    /// can't be had any more. A position of another history has missed all of this one.
    pub(super) fn resume_from(&self, after: &Position) -> (u64, Option<u64>) {
        let oldest = self.first - 1;
        if !self.reaches(after) {
            let start = if after.epoch == self.epoch { self.last } else { oldest };
            return (start, Some(start));
        }
        if after.offset < self.last && trunkline_planted::is("begin one too late") {
            return (after.offset + 1, None);
        }
        if after.offset < oldest { (oldest, Some(oldest)) } else { (after.offset, None) }
    }

    /// The offset of the oldest record at hand; one more than the newest if there is none.
    pub(super) fn oldest_at_hand(&self) -> u64 {
        self.records.front().map_or(self.last + 1, |record| record.offset)
    }

    /// All records after an offset, if they are at hand.
    pub(super) fn after(&self, offset: u64) -> Option<Vec<Arc<Record>>> {
        if offset >= self.last {
            return Some(Vec::new());
        }
        let oldest = self.records.front()?.offset;
        let skip = usize::try_from((offset + 1).checked_sub(oldest)?).ok()?;
        Some(self.records.iter().skip(skip).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Arguments, Body};
    use crate::name::UserId;
    use crate::session_id::SessionId;

    fn tail(last: u64) -> Tail {
        Tail::new(Epoch::new("e"), 1, last, 0)
    }

    fn record(offset: u64) -> Arc<Record> {
        Arc::new(Record {
            offset,
            time_ms: offset * 1000,
            from: UserId::parse("alice").unwrap(),
            session: SessionId([0; 24]),
            sequence: offset,
            key: None,
            echo: true,
            body: Body {
                event: Arc::from("e"),
                arguments: Arguments::new("1", 1),
                attachments: Vec::new(),
            },
        })
    }

    fn offsets(records: Option<Vec<Arc<Record>>>) -> Option<Vec<u64>> {
        records.map(|records| records.iter().map(|record| record.offset).collect())
    }

    #[test]
    fn what_is_at_hand_is_given_and_what_is_not_is_not() {
        let mut tail = tail(5);
        assert_eq!(offsets(tail.after(5)), Some(vec![]));
        assert_eq!(offsets(tail.after(4)), None);
        tail.push(record(6));
        tail.push(record(7));
        assert_eq!(offsets(tail.after(5)), Some(vec![6, 7]));
        assert_eq!(offsets(tail.after(6)), Some(vec![7]));
        assert_eq!(offsets(tail.after(4)), None);
    }

    #[test]
    fn only_the_newest_stay_at_hand() {
        let mut tail = tail(0);
        for offset in 1..=RECORDS as u64 + 10 {
            tail.push(record(offset));
        }
        assert_eq!(offsets(tail.after(9)), None);
        assert_eq!(tail.after(10).unwrap().len(), RECORDS);
    }

    #[test]
    fn what_has_reached_its_age_is_gone() {
        let mut tail = tail(0);
        for offset in 1..=5 {
            tail.push(record(offset));
        }
        tail.trim(2, 4000);
        assert_eq!(tail.first(), 4);
        assert_eq!(offsets(tail.after(2)), None);
        assert_eq!(offsets(tail.after(3)), Some(vec![4, 5]));
    }
}
