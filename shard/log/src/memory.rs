//! The memory store: topics live as long as the process.

mod beginnings;
mod kept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::task::{Context, Poll};

use rand::rngs::StdRng;
use trunkline_core::{
    Held, LogFailure, LogOutcome, LogRequest, Opened, Position, Record, Ticket, Topic,
};

use self::beginnings::Beginnings;
use self::kept::{Bounds, Kept};
use crate::settings::{LogSettings, millis};
use crate::whole::is_whole;
use crate::{TopicLog, Usage};

/// Topics in memory, within the configured bounds.
#[derive(Debug)]
pub struct MemoryLog {
    topics: BTreeMap<Topic, Kept>,
    settings: LogSettings,
    /// What all topics may take, and what they take, in bytes.
    capacity: usize,
    used: usize,
    beginnings: Beginnings,
    outcomes: VecDeque<(Ticket, LogOutcome)>,
}

impl MemoryLog {
    /// An empty store for `capacity` bytes of records.
    #[must_use]
    pub fn new(settings: LogSettings, capacity: usize, entropy: StdRng) -> Self {
        let beginnings = Beginnings::new(entropy);
        let (topics, outcomes) = (BTreeMap::new(), VecDeque::new());
        Self { topics, settings, capacity, used: 0, beginnings, outcomes }
    }

    /// Carries out a request. `None` for one that has no outcome.
    fn carry_out(&mut self, request: LogRequest, wall_ms: u64) -> Option<(Ticket, LogOutcome)> {
        match request {
            // A log of the shard's own has nothing to say to that of another.
            LogRequest::Cede { ticket, .. } => Some((ticket, LogOutcome::Ceded(None))),
            LogRequest::Open { ticket, topic } | LogRequest::TakeUp { ticket, topic, .. } => {
                Some((ticket, LogOutcome::Opened(self.open(&topic, wall_ms))))
            }
            LogRequest::Append { ticket, topic, after, records } => {
                let outcome = self.append(topic, &after, records, wall_ms);
                Some((ticket, outcome))
            }
            LogRequest::Read { ticket, topic, query } => {
                let kept = self.trimmed(&topic, wall_ms);
                let records = kept.map_or_else(Vec::new, |kept| kept.read(query));
                Some((ticket, LogOutcome::Records { records }))
            }
            LogRequest::Mark { topic, handed } => {
                if let Some(kept) = self.topics.get_mut(&topic) {
                    kept.handed = kept.handed.max(handed);
                }
                None
            }
            LogRequest::List { ticket, after, limit } => {
                Some((ticket, self.list(after.as_ref(), limit, wall_ms)))
            }
            LogRequest::Export { ticket, topic } => {
                let since_ms = self.settings.window_start(wall_ms);
                let held = self.trimmed(&topic, wall_ms).map(|kept| Box::new(kept.held(since_ms)));
                Some((ticket, LogOutcome::Exported(held)))
            }
            LogRequest::Import { ticket, topic, held } => {
                Some((ticket, self.import(topic, *held, wall_ms)))
            }
            LogRequest::Remove { topic } => {
                self.let_go(&topic);
                None
            }
        }
    }

    fn bounds(&self, topic: &Topic, wall_ms: u64) -> Bounds {
        bounds(&self.settings, topic, wall_ms)
    }

    /// A topic without what is beyond its bounds.
    fn trimmed(&mut self, topic: &Topic, wall_ms: u64) -> Option<&mut Kept> {
        let bounds = self.bounds(topic, wall_ms);
        let kept = self.topics.get_mut(topic)?;
        self.used -= kept.trim(bounds);
        Some(kept)
    }

    fn open(&mut self, topic: &Topic, wall_ms: u64) -> Opened {
        let since_ms = self.settings.window_start(wall_ms);
        match self.trimmed(topic, wall_ms) {
            Some(kept) => {
                kept.used_ms = wall_ms;
                kept.standing(since_ms)
            }
            // A topic that nobody writes to takes no memory.
            None => Opened::new(self.beginnings.of(topic).clone()),
        }
    }

    fn append(
        &mut self,
        topic: Topic,
        after: &Position,
        records: Vec<Arc<Record>>,
        wall_ms: u64,
    ) -> LogOutcome {
        let bounds = self.bounds(&topic, wall_ms);
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
        kept.extend(records);
        self.used += size;
        self.used -= kept.trim(bounds);
        LogOutcome::Appended { first: kept.first() }
    }

    fn list(&self, after: Option<&Topic>, limit: usize, wall_ms: u64) -> LogOutcome {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let worth_having =
            |(topic, kept): &(&Topic, &Kept)| kept.is_worth_having(self.bounds(topic, wall_ms));
        let mut behind = self.topics.range((from, Bound::Unbounded)).filter(worth_having);
        let topics = behind.by_ref().take(limit).map(|(topic, _)| topic.clone()).collect();
        LogOutcome::Topics { topics, more: behind.next().is_some() }
    }

    fn import(&mut self, topic: Topic, held: Held, wall_ms: u64) -> LogOutcome {
        if !is_whole(&held) {
            return LogOutcome::Failed(LogFailure::Conflict);
        }
        let mut kept = Kept::of(held, wall_ms);
        kept.trim(self.bounds(&topic, wall_ms));
        let replaced = self.topics.get(&topic).map_or(0, Kept::size);
        if self.used - replaced + kept.size() > self.capacity {
            return LogOutcome::Failed(LogFailure::Unavailable);
        }
        if self.topics.contains_key(&topic) {
            self.let_go(&topic);
        }
        self.used += kept.size();
        self.topics.insert(topic, kept);
        LogOutcome::Imported
    }

    /// The topic is another shard's. Should it begin here again, it is another history.
    fn let_go(&mut self, topic: &Topic) {
        let removed = self.topics.remove(topic);
        self.used -= removed.as_ref().map_or(0, Kept::size);
        if removed.is_none_or(|kept| kept.epoch == *self.beginnings.of(topic)) {
            self.beginnings.begin_elsewhere(topic);
        }
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
            let bounds = bounds(&settings, topic, wall_ms);
            freed += kept.trim(bounds);
            let unused = wall_ms.saturating_sub(kept.used_ms) > millis(bounds.retention.age);
            let gone = kept.is_empty() && unused;
            forgotten |= gone;
            !gone
        });
        self.used -= freed;
        if forgotten {
            self.beginnings.begin_all_elsewhere();
        }
    }

    fn usage(&self) -> Usage {
        Usage { topics: Some(self.topics.len() as u64), bytes: Some(self.used as u64) }
    }
}

fn bounds(settings: &LogSettings, topic: &Topic, wall_ms: u64) -> Bounds {
    let since_ms = settings.window_start(wall_ms);
    Bounds { retention: settings.retention(topic), since_ms, wall_ms }
}
