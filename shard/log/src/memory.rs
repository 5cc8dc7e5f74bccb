//! The memory store: topics live as long as the process.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use rand::rngs::StdRng;
use trunkline_config::settings::Retention;
use trunkline_core::{
    Epoch, LogFailure, LogOutcome, LogRequest, Opened, Position, Publication, ReadQuery, Record,
    Ticket, Topic,
};

use crate::TopicLog;
use crate::epoch::new_epoch;
use crate::settings::{LogSettings, millis};

/// Topics in memory, within the configured bounds.
#[derive(Debug)]
pub struct MemoryLog {
    topics: BTreeMap<Topic, Kept>,
    settings: LogSettings,
    /// What all records may take, and what they take, in bytes.
    capacity: usize,
    used: usize,
    /// Of topics that nobody has written to.
    epoch: Epoch,
    entropy: StdRng,
    outcomes: VecDeque<(Ticket, LogOutcome)>,
}

/// What is kept of one topic.
#[derive(Debug)]
struct Kept {
    epoch: Epoch,
    last: u64,
    handed: u64,
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    used_ms: u64,
}

impl MemoryLog {
    /// An empty store for `capacity` bytes of records.
    #[must_use]
    pub fn new(settings: LogSettings, capacity: usize, mut entropy: StdRng) -> Self {
        let epoch = new_epoch(&mut entropy);
        let (topics, outcomes) = (BTreeMap::new(), VecDeque::new());
        Self { topics, settings, capacity, used: 0, epoch, entropy, outcomes }
    }

    /// Carries out a request. `None` for one that has no outcome.
    fn carry_out(&mut self, request: LogRequest, wall_ms: u64) -> Option<(Ticket, LogOutcome)> {
        match request {
            LogRequest::Open { ticket, topic } => {
                let retention = self.settings.retention(&topic);
                let since_ms = self.settings.window_start(wall_ms);
                // A topic that nobody writes to takes no memory.
                let opened = match self.topics.get_mut(&topic) {
                    Some(kept) => {
                        kept.used_ms = wall_ms;
                        self.used -= kept.trim(retention, wall_ms);
                        kept.standing(since_ms)
                    }
                    None => Kept::new(self.epoch.clone(), 0).standing(since_ms),
                };
                Some((ticket, LogOutcome::Opened(opened)))
            }
            LogRequest::Append { ticket, topic, after, records } => {
                let outcome = self.append(topic, &after, records, wall_ms);
                Some((ticket, outcome))
            }
            LogRequest::Read { ticket, topic, query } => {
                let retention = self.settings.retention(&topic);
                let records = match self.topics.get_mut(&topic) {
                    Some(kept) => {
                        self.used -= kept.trim(retention, wall_ms);
                        kept.read(query)
                    }
                    None => Vec::new(),
                };
                Some((ticket, LogOutcome::Records { records }))
            }
            LogRequest::Mark { topic, handed } => {
                if let Some(kept) = self.topics.get_mut(&topic) {
                    kept.handed = kept.handed.max(handed);
                }
                None
            }
            LogRequest::List { ticket, .. }
            | LogRequest::Export { ticket, .. }
            | LogRequest::Import { ticket, .. } => {
                Some((ticket, LogOutcome::Failed(LogFailure::Unavailable)))
            }
            LogRequest::Remove { .. } => None,
        }
    }

    fn append(
        &mut self,
        topic: Topic,
        after: &Position,
        records: Vec<Arc<Record>>,
        wall_ms: u64,
    ) -> LogOutcome {
        let retention = self.settings.retention(&topic);
        let size: usize = records.iter().map(|record| record.size()).sum();
        if self.used + size > self.capacity {
            return LogOutcome::Failed(LogFailure::Unavailable);
        }
        // This store has one core and dies with it: of a topic that was forgotten while the
        // core still held it, the core knows best where it stands.
        let kept = self
            .topics
            .entry(topic)
            .or_insert_with(|| Kept::new(after.epoch.clone(), after.offset));
        if kept.epoch != after.epoch || kept.last != after.offset {
            return LogOutcome::Failed(LogFailure::Conflict);
        }
        kept.used_ms = wall_ms;
        kept.bytes += size;
        kept.last += records.len() as u64;
        kept.records.extend(records);
        self.used += size;
        self.used -= kept.trim(retention, wall_ms);
        LogOutcome::Appended { first: kept.first() }
    }
}

impl TopicLog for MemoryLog {
    fn submit(&mut self, request: LogRequest, wall_ms: u64) {
        let outcome = self.carry_out(request, wall_ms);
        self.outcomes.extend(outcome);
    }

    /// What is submitted is carried out, so that nobody has to be woken.
    fn poll_outcome(&mut self, _: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)> {
        self.outcomes.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// Lets go of what has reached its age in topics that nobody asks for. A topic of which
    /// nothing is left is forgotten; should it come again, it is another history.
    fn sweep(&mut self, wall_ms: u64) {
        let settings = self.settings;
        let (mut forgotten, mut freed) = (false, 0);
        self.topics.retain(|topic, kept| {
            let retention = settings.retention(topic);
            freed += kept.trim(retention, wall_ms);
            let unused = wall_ms.saturating_sub(kept.used_ms) > millis(retention.age);
            let gone = kept.records.is_empty() && unused;
            forgotten |= gone;
            !gone
        });
        self.used -= freed;
        if forgotten {
            self.epoch = new_epoch(&mut self.entropy);
        }
    }
}

impl Kept {
    fn new(epoch: Epoch, last: u64) -> Self {
        Self { epoch, last, handed: 0, records: VecDeque::new(), bytes: 0, used_ms: 0 }
    }

    fn first(&self) -> u64 {
        self.records.front().map_or(self.last + 1, |record| record.offset)
    }

    /// Where it stands, with what was published since `since_ms`.
    fn standing(&self, since_ms: u64) -> Opened {
        let epoch = self.epoch.clone();
        let waiting = self.records.partition_point(|record| record.offset <= self.handed);
        let waiting_bytes = self.records.range(waiting..).map(|record| record.size()).sum();
        let (first, last, handed) = (self.first(), self.last, self.handed);
        let recent = self.records.iter().filter(|record| record.time_ms >= since_ms);
        let publications = recent.map(|record| Publication::of(record)).collect();
        let last_time_ms = self.records.back().map_or(0, |record| record.time_ms);
        Opened { epoch, first, last, last_time_ms, handed, waiting_bytes, publications }
    }

    /// Lets go of what is beyond the bounds; gives how many bytes that was.
    fn trim(&mut self, retention: Retention, wall_ms: u64) -> usize {
        let before = self.bytes;
        let Retention { messages, bytes, age } = retention;
        let oldest_ms = wall_ms.saturating_sub(millis(age));
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
        before - self.bytes
    }

    fn read(&self, query: ReadQuery) -> Vec<Arc<Record>> {
        let ReadQuery { after, before, limit, newest } = query;
        let from = self.records.partition_point(|record| record.offset <= after);
        let to = self.records.partition_point(|record| record.offset < before).max(from);
        let skip = if newest { (to - from).saturating_sub(limit) } else { 0 };
        self.records.range(from + skip..to).take(limit).cloned().collect()
    }
}
