//! The thread that writes: whatever waits becomes one transaction, and while that one syncs the
//! next gathers. Outcomes are given out when the sync is over.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use redb::ReadableDatabase;
use trunkline_core::{LogFailure, LogOutcome, Ticket, Topic};

use super::changes::{Changes, Note};
use super::database::Database;
use super::fault::Fault;
use super::job::{Job, later};
use super::opening::{self, begin_write};
use super::outcomes::Outcomes;
use super::reader::Reading;
use super::sweep::Sweep;
use super::usage::Seen;
use crate::settings::LogSettings;

/// How long notes wait for something to be written with them.
const NOTES_WAIT: Duration = Duration::from_millis(50);
/// How many topics' notes may wait.
const NOTES_MAX: usize = 1_024;
/// How many requests one transaction takes.
const REQUESTS_MAX: usize = 16_384;
/// What the records of one transaction may take, in bytes; it has one append at least.
const BYTES_MAX: usize = 16 << 20;
/// How long a database that doesn't open is left alone.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
/// The same if all of it has to be read to open it.
const VERIFY_PAUSE: Duration = Duration::from_secs(10);

/// What the thread has.
pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) settings: LogSettings,
    pub(super) entropy: StdRng,
    pub(super) outcomes: Outcomes,
    pub(super) work: Work,
    pub(super) health: Health,
    /// What the shard has noted, until it is kept.
    pub(super) note: Option<Bytes>,
    /// Topics that are another shard's, until the file has them no more.
    pub(super) removals: Vec<Topic>,
    pub(super) seen: Seen,
}

/// What is written when there is time.
#[derive(Default)]
pub(super) struct Work {
    notes: BTreeMap<Topic, Note>,
    /// When the oldest note was made.
    since: Option<Instant>,
    sweep: Option<Sweep>,
}

impl Work {
    fn note(&mut self, topic: Topic, note: Note) {
        let noted = self.notes.entry(topic).or_default();
        noted.handed = noted.handed.max(note.handed);
        noted.used_ms = noted.used_ms.max(note.used_ms);
        self.since.get_or_insert_with(Instant::now);
    }

    /// How long it can wait for something else to be written; `None` if there is none.
    fn patience(&self) -> Option<Duration> {
        if self.sweep.is_some() || self.notes.len() >= NOTES_MAX {
            return Some(Duration::ZERO);
        }
        Some(NOTES_WAIT.saturating_sub(self.since?.elapsed()))
    }
}

/// Whether the database works.
#[derive(Default)]
pub(super) struct Health {
    /// Whether what has happened since it last worked has been told.
    told: bool,
    /// Whether the file has to be verified.
    verify: bool,
    /// When it is tried again.
    retry: Option<Instant>,
}

impl Writer {
    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Some(mut batch) = self.gather(jobs) {
            let due = self.work.patience() == Some(Duration::ZERO);
            loop {
                let later = later(&mut batch);
                self.carry_out(batch, due);
                if later.is_empty() {
                    break;
                }
                batch = later;
            }
        }
        self.carry_out(VecDeque::new(), true);
    }

    /// What waits, or nothing if notes have waited long enough. `None` when the log is dropped.
    fn gather(&self, jobs: &Receiver<Job>) -> Option<VecDeque<Job>> {
        // What nobody waits for but has to be done all the same was in a transaction that failed.
        let undone = self.note.is_some() || !self.removals.is_empty();
        let first = match self.work.patience().or(undone.then_some(REOPEN_PAUSE)) {
            None => Some(jobs.recv().ok()?),
            Some(patience) => match jobs.recv_timeout(patience) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return None,
            },
        };
        let mut batch = VecDeque::from_iter(first);
        let mut bytes: usize = batch.iter().map(Job::size).sum();
        while batch.len() < REQUESTS_MAX && bytes < BYTES_MAX {
            match jobs.try_recv() {
                Ok(job) => {
                    bytes += job.size();
                    batch.push_back(job);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    /// Does what was asked for; with `due` what was noted too, if nothing else is written.
    fn carry_out(&mut self, batch: VecDeque<Job>, due: bool) {
        let bytes = batch.iter().map(Job::size).sum();
        self.take_note(&batch);
        let tickets: Vec<Ticket> = batch.iter().filter_map(Job::ticket).collect();
        let removed: Vec<Topic> = batch.iter().filter_map(Job::removed).cloned().collect();
        let result = self.reopen().and_then(|()| self.transact(batch, due));
        match result {
            Ok(outcomes) => {
                self.recovered();
                outcomes.into_iter().for_each(|(ticket, outcome)| {
                    self.outcomes.give(ticket, outcome);
                });
            }
            Err(fault) => {
                self.fail(&fault);
                // Marks are made again by the next, and topics that age are found by the next
                // sweep: to keep them would be to try at every turn.
                self.work = Work::default();
                self.removals.extend(removed);
                for ticket in tickets {
                    self.outcomes.give(ticket, LogOutcome::Failed(LogFailure::Unavailable));
                }
            }
        }
        self.outcomes.settled(bytes);
    }

    /// Keeps what is noted with the next transaction, even if this one fails.
    fn take_note(&mut self, batch: &VecDeque<Job>) {
        let noted = batch.iter().rev().find_map(|job| match job {
            Job::Note(note) => Some(note.clone()),
            _ => None,
        });
        self.note = noted.or(self.note.take());
    }

    /// One transaction. Its outcomes, when it has been synced.
    fn transact(
        &mut self,
        batch: VecDeque<Job>,
        due: bool,
    ) -> Result<Vec<(Ticket, LogOutcome)>, Fault> {
        let Self { database, path, settings, entropy, work, note, removals, seen, .. } = self;
        let is_idle = work.notes.is_empty() && work.sweep.is_none();
        if batch.is_empty() && is_idle && note.is_none() && removals.is_empty() {
            return Ok(Vec::new());
        }
        database.with(|database| {
            let transaction = begin_write(database)?;
            let mut changes = Changes::begin(&transaction, *settings)?;
            let mut outcomes = Vec::with_capacity(batch.len());
            let mut asks = Vec::new();
            if let Some(note) = &note {
                changes.keep_note(note)?;
            }
            for topic in &*removals {
                changes.remove(topic, entropy)?;
            }
            if let Some(sweep) = &mut work.sweep
                && !sweep.step(&mut changes, entropy)?
            {
                work.sweep = None;
            }
            for job in batch {
                match job {
                    Job::Open { ticket, topic, wall_ms } => {
                        if let Some(note) = work.notes.remove(&topic) {
                            changes.note(&topic, note)?;
                        }
                        let (opened, note) = changes.open(&topic, wall_ms)?;
                        outcomes.push((ticket, LogOutcome::Opened(opened)));
                        if let Some(note) = note {
                            work.note(topic, note);
                        }
                    }
                    Job::Append { ticket, topic, after, records, wall_ms } => {
                        let outcome = changes.append(&topic, &after, &records, wall_ms)?;
                        outcomes.push((ticket, outcome));
                    }
                    Job::Import { ticket, topic, held, wall_ms } => {
                        work.notes.remove(&topic);
                        let outcome = changes.import(&topic, &held, wall_ms, entropy)?;
                        outcomes.push((ticket, outcome));
                    }
                    Job::Remove { topic } => {
                        work.notes.remove(&topic);
                        changes.remove(&topic, entropy)?;
                    }
                    Job::Ask { ticket, asked, wall_ms, reader } => {
                        asks.push((ticket, asked, wall_ms, reader));
                    }
                    Job::Note(_) => {}
                    Job::Mark { topic, handed } => work.note(topic, Note { handed, used_ms: 0 }),
                    Job::Sweep { wall_ms } => {
                        // One under way goes on: to begin again each time might never end.
                        let mut sweep = work.sweep.take().unwrap_or_default();
                        sweep.set_time(wall_ms);
                        let more = sweep.step(&mut changes, entropy)?;
                        work.sweep = more.then_some(sweep);
                    }
                    // It was closed, and has just been opened again.
                    Job::Fault(Fault::Closed) => {}
                    Job::Fault(fault) => return Err(fault),
                }
            }
            if due || changes.changed() || !asks.is_empty() || work.notes.len() >= NOTES_MAX {
                for (topic, note) in std::mem::take(&mut work.notes) {
                    changes.note(&topic, note)?;
                }
                work.since = None;
            }
            let (changed, topics) = (changes.changed(), changes.count()?);
            drop(changes);
            if changed {
                transaction.commit()?;
                seen.see(topics, path);
            } else {
                transaction.abort()?;
            }
            *note = None;
            removals.clear();
            if !asks.is_empty() {
                let snapshot = Arc::new(database.begin_read()?);
                for (ticket, asked, wall_ms, reader) in asks {
                    let snapshot = Arc::clone(&snapshot);
                    // It is there as long as somebody has a way to it.
                    let _ = reader.send(Reading::Ask { ticket, asked, wall_ms, snapshot });
                }
            }
            Ok(outcomes)
        })
    }

    /// Opens the database again if a fault has closed it.
    fn reopen(&mut self) -> Result<(), Fault> {
        if self.database.is_open() {
            return Ok(());
        }
        if self.health.retry.is_some_and(|retry| Instant::now() < retry) {
            return Err(Fault::Closed);
        }
        if !self.health.verify {
            return self.database.reopen(false);
        }
        opening::open(&self.database, &self.path, &self.name, &mut self.entropy)
            .map_err(|error| Fault::Damaged(error.to_string()))
    }

    /// redb refuses everything after a fault: it is closed, and opened again before the next
    /// transaction.
    fn fail(&mut self, fault: &Fault) {
        let was_open = self.database.is_open();
        self.database.close();
        if !was_open && !matches!(fault, Fault::Closed) {
            let pause = if self.health.verify { VERIFY_PAUSE } else { REOPEN_PAUSE };
            self.health.retry = Some(Instant::now() + pause);
        }
        let verify = fault.calls_for_verification();
        if !self.health.told {
            tracing::error!(
                path = %self.path.display(),
                error = %fault,
                "the store can't be used: publishing and opening rooms is unavailable until it can"
            );
        } else if verify && !self.health.verify {
            tracing::error!(path = %self.path.display(), error = %fault, "the store is damaged");
        }
        self.health.told = true;
        self.health.verify |= verify;
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.health).told {
            tracing::warn!(path = %self.path.display(), "the store can be used again");
        }
    }
}
