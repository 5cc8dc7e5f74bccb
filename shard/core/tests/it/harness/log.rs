//! A store that keeps topics as the core's log is meant to, in the simplest way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trunkline_core::{
    CoreSettings, Epoch, Held, LogFailure, LogOutcome, LogRequest, Opened, Publication, ReadQuery,
    Record, Ticket, Topic,
};

/// A record that the store has taken.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) topic: Topic,
    pub(crate) epoch: Epoch,
    pub(crate) record: Arc<Record>,
}

/// One shard's process: who has opened a topic, or taken it up, may write to it until another one does.
pub(crate) type Writer = (usize, u64);

/// One shard's store, or one that all shards share.
#[derive(Debug)]
pub(crate) struct ModelLog {
    /// What the names of its histories begin with.
    name: String,
    histories: u64,
    rooms: (usize, Duration),
    inboxes: (usize, Duration),
    window: Duration,
    topics: BTreeMap<Topic, KeptTopic>,
    /// What has been ceded; a deed says which.
    ceded: Vec<Holder>,
}

/// What is kept of one topic.
#[derive(Debug)]
struct KeptTopic {
    epoch: Epoch,
    /// How often it was written to, an opening being one too.
    writes: u64,
    /// Where those who have it believe it to stand.
    holders: BTreeMap<Writer, Holder>,
    last_time_ms: u64,
    last: u64,
    handed: u64,
    records: BTreeMap<u64, Arc<Record>>,
    /// Who published what within the window, whether or not it is still kept.
    published: Vec<Publication>,
}

/// What a process knows of a topic. It may append if nobody else has written since.
#[derive(Clone, Debug)]
struct Holder {
    writes: u64,
    standing: Opened,
}

/// How a request fails, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Nothing was done, and nobody knows.
    FailedBefore,
    /// It was done, and nobody knows.
    FailedAfter,
}

impl ModelLog {
    pub(crate) fn new(name: &str, settings: &CoreSettings) -> Self {
        Self {
            name: name.to_owned(),
            histories: 0,
            rooms: (settings.history.messages, settings.history.age),
            inboxes: (settings.inbox_messages, settings.inbox_age),
            window: settings.key_window,
            topics: BTreeMap::new(),
            ceded: Vec::new(),
        }
    }

    /// Carries out a request. Gives its outcome, if it has one, and what was newly kept.
    pub(crate) fn submit(
        &mut self,
        writer: Writer,
        request: LogRequest,
        wall_ms: u64,
        fate: Fate,
    ) -> (Option<(Ticket, LogOutcome)>, Vec<Kept>) {
        let (ticket, topic) = match &request {
            LogRequest::Open { ticket, topic }
            | LogRequest::Cede { ticket, topic }
            | LogRequest::TakeUp { ticket, topic, .. }
            | LogRequest::Append { ticket, topic, .. }
            | LogRequest::Read { ticket, topic, .. }
            | LogRequest::Export { ticket, topic }
            | LogRequest::Import { ticket, topic, .. } => (*ticket, topic.clone()),
            LogRequest::Mark { topic, handed } => {
                if let Some(kept) = self.topics.get_mut(topic) {
                    kept.handed = kept.handed.max(*handed);
                }
                return (None, Vec::new());
            }
            LogRequest::List { ticket, after, limit } => {
                let outcome = match fate {
                    Fate::Done => self.list(after.as_ref(), *limit),
                    _ => LogOutcome::Failed(LogFailure::Unavailable),
                };
                return (Some((*ticket, outcome)), Vec::new());
            }
            LogRequest::Remove { topic } => {
                if fate == Fate::Done {
                    self.topics.remove(topic);
                }
                return (None, Vec::new());
            }
        };
        let failed = LogOutcome::Failed(LogFailure::Unavailable);
        if fate == Fate::FailedBefore {
            return (Some((ticket, failed)), Vec::new());
        }
        let (most, since_ms) = self.bounds(&topic, wall_ms);
        match request {
            LogRequest::Import { held, .. } => {
                self.topics.insert(topic, KeptTopic::of(*held, writer));
                let outcome = if fate == Fate::Done { LogOutcome::Imported } else { failed };
                return (Some((ticket, outcome)), Vec::new());
            }
            LogRequest::Export { .. } => {
                let held = self.topics.get_mut(&topic).map(|kept| {
                    kept.trim(most, since_ms);
                    Box::new(kept.held())
                });
                let outcome = if fate == Fate::Done { LogOutcome::Exported(held) } else { failed };
                return (Some((ticket, outcome)), Vec::new());
            }
            LogRequest::Cede { .. } => {
                let deed = self.topics.get_mut(&topic).and_then(|kept| kept.cede(writer));
                let deed = deed.map(|holder| {
                    self.ceded.push(holder);
                    Bytes::from(self.ceded.len().to_string())
                });
                let outcome = if fate == Fate::Done { LogOutcome::Ceded(deed) } else { failed };
                return (Some((ticket, outcome)), Vec::new());
            }
            LogRequest::TakeUp { ref deed, .. } => {
                let nth: usize = std::str::from_utf8(deed).expect("text").parse().expect("a deed");
                let holder = self.ceded[nth - 1].clone();
                let kept = self.topics.get_mut(&topic).expect("what was ceded is there");
                // If another one has written since, it is opened.
                if kept.writes == holder.writes {
                    let opened = LogOutcome::Opened(holder.standing.clone());
                    kept.holders.insert(writer, holder);
                    let outcome = if fate == Fate::Done { opened } else { failed };
                    return (Some((ticket, outcome)), Vec::new());
                }
            }
            _ => {}
        }
        let (name, histories) = (&self.name, &mut self.histories);
        let kept = self.topics.entry(topic.clone()).or_insert_with(|| {
            *histories += 1;
            KeptTopic::new(Epoch::new(&format!("{name}.{histories}")))
        });
        let opens = matches!(request, LogRequest::Open { .. } | LogRequest::TakeUp { .. });
        let epoch = kept.epoch.clone();
        kept.trim(most, since_ms);
        let window_ms = u64::try_from(self.window.as_millis()).expect("a window in reason");
        let recent_ms = wall_ms.saturating_sub(window_ms);
        let (outcome, new) = kept.carry_out(writer, request, recent_ms);
        kept.trim(most, since_ms);
        if opens || !new.is_empty() {
            kept.is_held_by(writer);
        }
        let outcome = match outcome {
            LogOutcome::Appended { .. } => LogOutcome::Appended { first: kept.first() },
            other => other,
        };
        let outcome = if fate == Fate::FailedAfter { failed } else { outcome };
        let new = new
            .into_iter()
            .map(|record| Kept { topic: topic.clone(), epoch: epoch.clone(), record })
            .collect();
        (Some((ticket, outcome)), new)
    }

    /// The oldest record's offset that can still be read; one more than the newest if there is none.
    pub(crate) fn first(&self, topic: &Topic, wall_ms: u64) -> u64 {
        let (_, since_ms) = self.bounds(topic, wall_ms);
        let Some(kept) = self.topics.get(topic) else { return 1 };
        let young = kept.records.iter().find(|(_, record)| record.time_ms >= since_ms);
        young.map_or(kept.last + 1, |(offset, _)| *offset)
    }

    /// How many records a topic keeps, and since when.
    fn bounds(&self, topic: &Topic, wall_ms: u64) -> (usize, u64) {
        let (most, age) = if matches!(topic, Topic::Room(..)) { self.rooms } else { self.inboxes };
        (most, wall_ms.saturating_sub(u64::try_from(age.as_millis()).expect("an age in reason")))
    }

    /// How often a topic was written to, an opening being one too.
    #[allow(dead_code, reason = "the simulation of whole clusters does not ask for it")]
    pub(crate) fn writes(&self, topic: &Topic) -> u64 {
        self.topics.get(topic).map_or(0, |kept| kept.writes)
    }

    /// A topic's history, and its newest offset.
    pub(crate) fn standing(&self, topic: &Topic) -> Option<(&Epoch, u64)> {
        self.topics.get(topic).map(|kept| (&kept.epoch, kept.last))
    }

    /// All topics of which something is kept, with their histories and newest offsets.
    #[allow(dead_code)] // the simulation of whole clusters asks for it
    pub(crate) fn standings(&self) -> impl Iterator<Item = (&Topic, &Epoch, u64)> {
        self.topics.iter().map(|(topic, kept)| (topic, &kept.epoch, kept.last))
    }

    fn list(&self, after: Option<&Topic>, limit: usize) -> LogOutcome {
        let behind = self.topics.keys().filter(|topic| after.is_none_or(|after| *topic > after));
        let topics: Vec<Topic> = behind.clone().take(limit).cloned().collect();
        LogOutcome::Topics { more: behind.count() > topics.len(), topics }
    }
}

impl KeptTopic {
    fn new(epoch: Epoch) -> Self {
        let (records, published) = (BTreeMap::new(), Vec::new());
        let (writes, holders) = (0, BTreeMap::new());
        Self { epoch, writes, holders, last_time_ms: 0, last: 0, handed: 0, records, published }
    }

    fn of(held: Held, writer: Writer) -> Self {
        let Held { epoch, first: _, last, last_time_ms, handed, records, publications } = held;
        let records = records.into_iter().map(|record| (record.offset, record)).collect();
        let (writes, holders, published) = (0, BTreeMap::new(), publications);
        let mut kept =
            Self { epoch, writes, holders, last_time_ms, last, handed, records, published };
        kept.is_held_by(writer);
        kept
    }

    /// A process has written to it, and knows where it stands.
    fn is_held_by(&mut self, writer: Writer) {
        self.writes += 1;
        let (writes, standing) = (self.writes, self.standing());
        self.holders.insert(writer, Holder { writes, standing });
    }

    /// A process has it no more. Gives what it knew.
    fn cede(&mut self, writer: Writer) -> Option<Holder> {
        let mut holder = self.holders.remove(&writer)?;
        holder.standing.handed = self.handed;
        let waiting = self.records.range(self.handed + 1..).map(|(_, record)| record.size());
        holder.standing.waiting_bytes = waiting.sum();
        Some(holder)
    }

    /// Where it stands, without what was published.
    fn standing(&self) -> Opened {
        let waiting = self.records.range(self.handed + 1..).map(|(_, record)| record.size());
        Opened {
            epoch: self.epoch.clone(),
            first: self.first(),
            last: self.last,
            last_time_ms: self.last_time_ms,
            handed: self.handed,
            waiting_bytes: waiting.sum(),
            publications: Vec::new(),
        }
    }

    fn held(&self) -> Held {
        Held {
            epoch: self.epoch.clone(),
            first: self.first(),
            last: self.last,
            last_time_ms: self.last_time_ms,
            handed: self.handed,
            records: self.records.values().cloned().collect(),
            publications: self.published.clone(),
        }
    }

    fn first(&self) -> u64 {
        self.records.keys().next().copied().unwrap_or(self.last + 1)
    }

    fn trim(&mut self, most: usize, since_ms: u64) {
        while let Some(oldest) = self.records.first_entry() {
            let (count, old) = (*oldest.key(), oldest.get().time_ms < since_ms);
            if !old && self.last - count < most as u64 {
                break;
            }
            oldest.remove();
        }
    }

    fn carry_out(
        &mut self,
        writer: Writer,
        request: LogRequest,
        recent_ms: u64,
    ) -> (LogOutcome, Vec<Arc<Record>>) {
        match request {
            LogRequest::Append { after, records, .. } => {
                let writes = self.holders.get(&writer).map(|holder| holder.writes);
                let is_fenced = writes != Some(self.writes);
                if is_fenced || after.epoch != self.epoch || after.offset != self.last {
                    return (LogOutcome::Failed(LogFailure::Conflict), Vec::new());
                }
                for record in &records {
                    assert_eq!(record.offset, self.last + 1, "an append has no gap");
                    self.last = record.offset;
                    self.last_time_ms = record.time_ms;
                    self.records.insert(record.offset, Arc::clone(record));
                    self.published.push(Publication::of(record));
                }
                (LogOutcome::Appended { first: self.first() }, records)
            }
            LogRequest::Read { query, .. } => {
                (LogOutcome::Records { records: self.read(query) }, Vec::new())
            }
            _ => {
                self.published.retain(|it| it.time_ms > recent_ms);
                let publications = self.published.clone();
                let opened = Opened { publications, ..self.standing() };
                (LogOutcome::Opened(opened), Vec::new())
            }
        }
    }

    fn read(&self, query: ReadQuery) -> Vec<Arc<Record>> {
        let ReadQuery { after, before, limit, newest } = query;
        let within = |offset: &u64| after < *offset && *offset < before;
        let found: Vec<_> =
            self.records.iter().filter(|(offset, _)| within(offset)).map(|(_, it)| it).collect();
        let skip = if newest { found.len().saturating_sub(limit) } else { 0 };
        found.into_iter().skip(skip).take(limit).cloned().collect()
    }
}
