//! The memory store: topics live as long as the process.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use trunkline_config::settings::{InboxSettings, Retention};
use trunkline_core::{
    Epoch, LogFailure, LogOutcome, LogRequest, Opened, Position, ReadQuery, Record, Ticket, Topic,
};

/// Topics in memory, within the configured bounds.
#[derive(Debug)]
pub(crate) struct MemoryLog {
    topics: BTreeMap<Topic, Kept>,
    rooms: Retention,
    inboxes: Retention,
    /// What all records may take, and what they take, in bytes.
    capacity: usize,
    used: usize,
    epoch: Epoch,
    entropy: StdRng,
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
    pub(crate) fn new(
        history: Retention,
        inbox: InboxSettings,
        capacity: usize,
        mut entropy: StdRng,
    ) -> Self {
        // The core lets no more wait than the inbox's bytes; what goes here by its age or count
        // alone has been handed over, or is too old.
        let InboxSettings { messages, bytes: _, age } = inbox;
        let inboxes = Retention { messages, bytes: usize::MAX, age };
        let epoch = new_epoch(&mut entropy);
        let topics = BTreeMap::new();
        Self { topics, rooms: history, inboxes, capacity, used: 0, epoch, entropy }
    }

    /// Carries out a request. `None` for one that has no outcome.
    pub(crate) fn submit(
        &mut self,
        request: LogRequest,
        wall_ms: u64,
    ) -> Option<(Ticket, LogOutcome)> {
        match request {
            LogRequest::Open { ticket, topic } => {
                let retention = self.retention(&topic);
                // A topic that nobody writes to takes no memory.
                let opened = match self.topics.get_mut(&topic) {
                    Some(kept) => {
                        kept.used_ms = wall_ms;
                        self.used -= kept.trim(retention, wall_ms);
                        kept.standing()
                    }
                    None => Kept::new(self.epoch.clone(), 0).standing(),
                };
                Some((ticket, LogOutcome::Opened(opened)))
            }
            LogRequest::Append { ticket, topic, after, records } => {
                let outcome = self.append(topic, &after, records, wall_ms);
                Some((ticket, outcome))
            }
            LogRequest::Read { ticket, topic, query } => {
                let retention = self.retention(&topic);
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
        }
    }

    /// Lets go of what has reached its age in topics that nobody asks for. A topic of which
    /// nothing is left is forgotten; should it come again, it is another history.
    pub(crate) fn sweep(&mut self, wall_ms: u64) {
        let (rooms, inboxes) = (self.rooms, self.inboxes);
        let (mut forgotten, mut freed) = (false, 0);
        self.topics.retain(|topic, kept| {
            let retention = match topic {
                Topic::Room(..) => rooms,
                Topic::Inbox(_) => inboxes,
            };
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

    fn append(
        &mut self,
        topic: Topic,
        after: &Position,
        records: Vec<Arc<Record>>,
        wall_ms: u64,
    ) -> LogOutcome {
        let retention = self.retention(&topic);
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

    fn retention(&self, topic: &Topic) -> Retention {
        match topic {
            Topic::Room(..) => self.rooms,
            Topic::Inbox(_) => self.inboxes,
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

    fn standing(&self) -> Opened {
        let epoch = self.epoch.clone();
        let waiting = self.records.partition_point(|record| record.offset <= self.handed);
        let waiting_bytes = self.records.range(waiting..).map(|record| record.size()).sum();
        let (first, last, handed) = (self.first(), self.last, self.handed);
        Opened { epoch, first, last, handed, waiting_bytes }
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

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// A name that no other history has: 48 random bits, in base 36.
fn new_epoch(entropy: &mut StdRng) -> Epoch {
    let mut number: u64 = entropy.random_range(0..1 << 48);
    let mut name = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        name.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return Epoch::new(&name.iter().rev().collect::<String>());
        }
    }
}
