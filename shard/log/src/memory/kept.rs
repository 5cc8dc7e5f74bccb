//! What is kept of one topic in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use trunkline_config::settings::Retention;
use trunkline_core::{Epoch, Held, Opened, Publication, ReadQuery, Record};

use crate::settings::millis;

/// A topic's records, and what is known besides.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) epoch: Epoch,
    pub(super) last: u64,
    last_time_ms: u64,
    pub(super) handed: u64,
    records: VecDeque<Arc<Record>>,
    /// What the records take.
    bytes: usize,
    /// Who published what of which another shard had let go before the topic came here.
    earlier: VecDeque<Publication>,
    earlier_bytes: usize,
    pub(super) used_ms: u64,
}

/// What is old.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) retention: Retention,
    /// Who published before this is not remembered.
    pub(super) since_ms: u64,
    pub(super) wall_ms: u64,
}

impl Kept {
    /// A topic that has no record, and whose next will be the one after `last`.
    pub(super) fn new(epoch: Epoch, last: u64) -> Self {
        Self {
            epoch,
            last,
            last_time_ms: 0,
            handed: 0,
            records: VecDeque::new(),
            bytes: 0,
            earlier: VecDeque::new(),
            earlier_bytes: 0,
            used_ms: 0,
        }
    }

    /// What another shard held.
    pub(super) fn of(held: Held, wall_ms: u64) -> Self {
        let Held { epoch, first, last, last_time_ms, handed, records, mut publications } = held;
        publications.retain(|publication| publication.offset < first);
        let bytes = records.iter().map(|record| record.size()).sum();
        let newest_ms = records.last().map_or(0, |record| record.time_ms);
        Self {
            epoch,
            last,
            last_time_ms: last_time_ms.max(newest_ms),
            handed,
            records: records.into(),
            bytes,
            earlier_bytes: publications.iter().map(size).sum(),
            earlier: publications.into(),
            used_ms: wall_ms,
        }
    }

    /// For another shard.
    pub(super) fn held(&self, since_ms: u64) -> Held {
        let Opened { epoch, first, last, last_time_ms, handed, waiting_bytes: _, publications } =
            self.standing(since_ms);
        let records = self.records.iter().cloned().collect();
        Held { epoch, first, last, last_time_ms, handed, records, publications }
    }

    pub(super) fn first(&self) -> u64 {
        self.records.front().map_or(self.last + 1, |record| record.offset)
    }

    /// What it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes + self.earlier_bytes
    }

    /// Whether there is neither a record nor a publication to be remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.earlier.is_empty()
    }

    /// Whether anything in it is within the bounds, or it has a mark.
    pub(super) fn is_worth_having(&self, bounds: Bounds) -> bool {
        let newest = self.records.back().map(|record| record.time_ms);
        let earlier = self.earlier.back().map(|publication| publication.time_ms);
        self.handed > 0
            || newest.is_some_and(|time_ms| time_ms >= bounds.oldest_ms())
            || earlier.is_some_and(|time_ms| time_ms >= bounds.since_ms)
    }

    /// Where it stands, with what was published since `since_ms`.
    pub(super) fn standing(&self, since_ms: u64) -> Opened {
        let waiting = self.records.partition_point(|record| record.offset <= self.handed);
        let waiting_bytes = self.records.range(waiting..).map(|record| record.size()).sum();
        let earlier = self.earlier.iter().filter(|it| it.time_ms >= since_ms).cloned();
        let recent = self.records.iter().filter(|record| record.time_ms >= since_ms);
        Opened {
            epoch: self.epoch.clone(),
            first: self.first(),
            last: self.last,
            last_time_ms: self.last_time_ms,
            handed: self.handed,
            waiting_bytes,
            publications: earlier.chain(recent.map(|record| Publication::of(record))).collect(),
        }
    }

    /// Puts records behind those that are there.
    pub(super) fn extend(&mut self, records: Vec<Arc<Record>>) {
        self.bytes += records.iter().map(|record| record.size()).sum::<usize>();
        self.last += records.len() as u64;
        let newest_ms = records.last().map_or(0, |record| record.time_ms);
        self.last_time_ms = self.last_time_ms.max(newest_ms);
        self.records.extend(records);
    }

    /// Lets go of what is beyond the bounds; gives how many bytes that was.
    pub(super) fn trim(&mut self, bounds: Bounds) -> usize {
        let before = self.size();
        let Retention { messages, bytes, .. } = bounds.retention;
        let oldest_ms = bounds.oldest_ms();
        while let Some(oldest) = self.records.front() {
            let within = self.records.len() <= messages
                && self.bytes <= bytes
                && oldest.time_ms >= oldest_ms;
            if within {
                break;
            }
            self.bytes -= oldest.size();
            self.records.pop_front();
        }
        while let Some(oldest) = self.earlier.front()
            && oldest.time_ms < bounds.since_ms
        {
            self.earlier_bytes -= size(oldest);
            self.earlier.pop_front();
        }
        before - self.size()
    }

    pub(super) fn read(&self, query: ReadQuery) -> Vec<Arc<Record>> {
        let ReadQuery { after, before, limit, newest } = query;
        let from = self.records.partition_point(|record| record.offset <= after);
        let to = self.records.partition_point(|record| record.offset < before).max(from);
        let skip = if newest { (to - from).saturating_sub(limit) } else { 0 };
        self.records.range(from + skip..to).take(limit).cloned().collect()
    }
}

impl Bounds {
    fn oldest_ms(&self) -> u64 {
        self.wall_ms.saturating_sub(millis(self.retention.age))
    }
}

/// About how many bytes a publication takes.
fn size(publication: &Publication) -> usize {
    let key = publication.key.as_deref().map_or(0, str::len);
    size_of::<Publication>() + publication.from.as_str().len() + key
}
