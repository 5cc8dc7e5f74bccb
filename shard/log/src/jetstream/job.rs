//! What is done about one topic, one after the other.

use std::sync::Arc;

use trunkline_core::{
    Epoch, LogFailure, LogOutcome, Opened, Position, Publication, ReadQuery, Record, Ticket, Topic,
};

use super::entry::{AppendId, Standing, encode_records, encode_standing};
use super::held::{Held, Span};
use super::load::{Loaded, decoded};
use super::patience::{Late, Patience};
use super::publish::{NotKept, Publish};
use super::server::Server;
use crate::settings::LogSettings;

/// What all jobs have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) settings: LogSettings,
    /// The shard, and which of its lives: it is written where it takes a topic over.
    pub(super) owner: String,
    /// Opens and reads at once: a burst of them must not keep appends from the connection.
    pub(super) readers: tokio::sync::Semaphore,
}

/// Something to do about a topic.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: Task,
    /// For what it appends.
    pub(super) append: AppendId,
    pub(super) wall_ms: u64,
    pub(super) patience: Patience,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Take it over. If nobody has written to it this is its epoch.
    Open {
        ticket: Ticket,
        epoch: Epoch,
    },
    Append {
        ticket: Ticket,
        after: Position,
        records: Vec<Arc<Record>>,
    },
    Read {
        ticket: Ticket,
        query: ReadQuery,
    },
    /// Note that messages were handed over; it is kept with the next append.
    Mark {
        handed: u64,
    },
    /// Keep what was noted, unless an append has done so.
    KeepMark,
}

/// What came of a job.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The topic, if this process still has it.
    pub(super) held: Option<Held>,
    pub(super) outcome: Option<(Ticket, LogOutcome)>,
    /// There is a mark that an append has not kept yet.
    pub(super) mark_noted: bool,
    pub(super) chores: Vec<Chore>,
}

/// What can be done later, and may fail: then a later one does it, or the messages' age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// Remove the topic's messages before this place.
    Purge(u64),
    /// Remove a message that another one has replaced.
    Delete(u64),
}

impl Job {
    /// Does it. `held` is what this process knows of the topic, if it has it.
    pub(super) async fn run(self, shared: &Shared, topic: &Topic, held: Option<Held>) -> Done {
        let Self { task, append, wall_ms, mut patience } = self;
        let subject = super::subject::subject(shared.server.stream(), topic);
        let at = At { shared, topic, subject: &subject, append, wall_ms };
        match task {
            Task::Open { ticket, epoch } => at.open(ticket, epoch, held, &mut patience).await,
            Task::Append { ticket, after, records } => {
                at.append(ticket, &after, &records, held, &mut patience).await
            }
            Task::Read { ticket, query } => at.read(ticket, query, held, &mut patience).await,
            Task::Mark { handed } => mark(held, handed),
            Task::KeepMark => at.keep_mark(held, &mut patience).await,
        }
    }
}

/// Notes what was handed over. One of a topic that this process doesn't have is lost.
fn mark(held: Option<Held>, handed: u64) -> Done {
    let mut done = Done { held, ..Done::default() };
    if let Some(held) = &mut done.held {
        let handed = handed.min(held.standing.last);
        if handed > held.standing.handed {
            held.standing.handed = handed;
            // The one before has its time set.
            done.mark_noted = !held.mark_due;
            held.mark_due = true;
        }
    }
    done
}

/// A job under way.
struct At<'a> {
    shared: &'a Shared,
    topic: &'a Topic,
    subject: &'a str,
    append: AppendId,
    wall_ms: u64,
}

impl At<'_> {
    /// Takes the topic over: whoever had it can't append from here on.
    async fn open(
        &self,
        ticket: Ticket,
        epoch: Epoch,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Done {
        match self.take_over(epoch, held, patience).await {
            Ok((Loaded { held, records }, chores)) => {
                let mut done = Done { held: Some(held), chores, ..Done::default() };
                self.tidy(&mut done);
                let opened = done.held.as_ref().map(|held| self.opened(held, &records));
                done.outcome = opened.map(|opened| (ticket, LogOutcome::Opened(opened)));
                done
            }
            Err(not_kept) => self.failed(ticket, &not_kept),
        }
    }

    async fn take_over(
        &self,
        epoch: Epoch,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Result<(Loaded, Vec<Chore>), NotKept> {
        let Self { shared: Shared { server, owner, readers, .. }, subject, append, .. } = *self;
        let _turn = patience.wait(readers.acquire()).await?;
        loop {
            let tail = server.tail(subject, patience).await?;
            let expected = tail.as_ref().map_or(0, |tail| tail.sequence);
            let spent = held.as_ref().is_some_and(|it| it.spent && it.sequence == expected);
            let replaced = tail.as_ref().is_some_and(|tail| tail.records.is_empty());
            let mut standing = match tail {
                Some(tail) if !spent => tail.standing,
                _ => Standing::new(epoch.clone()),
            };
            if let Some(held) = held.as_ref().filter(|it| it.standing.epoch == standing.epoch) {
                standing.handed = standing.handed.max(held.standing.handed);
            }
            let payloads = [encode_standing(append, &standing, owner)];
            let publish = Publish { subject, expected, append, payloads: &payloads };
            match server.keep(publish, patience).await {
                Ok(sequence) => {
                    let loaded =
                        server.load(subject, standing, sequence, self.wall_ms, patience).await?;
                    let chores = replaced.then_some(Chore::Delete(expected)).into_iter().collect();
                    return Ok((loaded, chores));
                }
                // Its owner is still writing, or another one takes it over too. Who pauses loses.
                Err(NotKept::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
    }

    fn opened(&self, held: &Held, records: &[Arc<Record>]) -> Opened {
        let Standing { epoch, last, last_time_ms, handed } = held.standing.clone();
        let since_ms = self.shared.settings.window_start(self.wall_ms);
        let recent = records.iter().filter(|record| record.time_ms >= since_ms);
        let publications = recent.map(|record| Publication::of(record)).collect();
        let (first, waiting_bytes) = (held.first(), held.waiting_bytes());
        Opened { epoch, first, last, last_time_ms, handed, waiting_bytes, publications }
    }

    async fn append(
        &self,
        ticket: Ticket,
        after: &Position,
        records: &[Arc<Record>],
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Done {
        let Self { shared: Shared { server, .. }, subject, append, .. } = *self;
        // Only what was opened has a place that an append can expect: nothing is written blindly.
        let Some(mut held) = held.filter(|held| {
            let Standing { epoch, last, .. } = &held.standing;
            *epoch == after.epoch && *last == after.offset && follow(*last, records)
        }) else {
            return self.failed(ticket, &NotKept::Conflict);
        };
        if let Some(newest) = records.last() {
            let (payloads, counts): (Vec<_>, Vec<_>) =
                encode_records(append, &held.standing, records).into_iter().unzip();
            let publish = Publish { subject, expected: held.sequence, append, payloads: &payloads };
            let last = match server.keep(publish, patience).await {
                Ok(last) => last,
                Err(not_kept) => return self.failed(ticket, &not_kept),
            };
            // The messages of a batch follow each other in the stream.
            let mut rest = records.iter();
            for (count, sequence) in counts.into_iter().zip(last + 1 - payloads.len() as u64..) {
                rest.by_ref().take(count).for_each(|record| held.push(sequence, record));
            }
            held.sequence = last;
            held.standing.last = newest.offset;
            held.standing.last_time_ms = newest.time_ms;
            (held.mark_due, held.ends_in_standing) = (false, false);
        }
        (held.used_ms, held.spent) = (self.wall_ms, false);
        let mut done = Done { held: Some(held), ..Done::default() };
        self.tidy(&mut done);
        let first = done.held.as_ref().map_or(0, Held::first);
        done.outcome = Some((ticket, LogOutcome::Appended { first }));
        done
    }

    async fn read(
        &self,
        ticket: Ticket,
        query: ReadQuery,
        held: Option<Held>,
        patience: &mut Patience,
    ) -> Done {
        let mut done = Done { held, ..Done::default() };
        let records = match self.records(query, &mut done, patience).await {
            Ok(records) => LogOutcome::Records { records },
            Err(Late) => LogOutcome::Failed(LogFailure::Unavailable),
        };
        done.outcome = Some((ticket, records));
        done
    }

    async fn records(
        &self,
        query: ReadQuery,
        done: &mut Done,
        patience: &mut Patience,
    ) -> Result<Vec<Arc<Record>>, Late> {
        let Shared { server, settings, readers, .. } = self.shared;
        self.tidy(done);
        if let Some(held) = &done.held {
            let Some(span) = held.span(query) else { return Ok(Vec::new()) };
            let _turn = patience.wait(readers.acquire()).await?;
            let entries = server.messages(self.subject, span.sequences, patience).await?;
            let (from, to) = span.offsets;
            let records: Vec<_> = entries
                .into_iter()
                .flat_map(|entry| decoded(self.subject, entry.sequence, entry.records))
                .filter(|record| (from..=to).contains(&record.offset))
                .collect();
            if is_whole(span, &records) {
                return Ok(records);
            }
            // Somebody else has it by now, and has let go of what was to be read.
            done.held = None;
        }
        let _turn = patience.wait(readers.acquire()).await?;
        let Some(tail) = server.tail(self.subject, patience).await? else { return Ok(Vec::new()) };
        let Loaded { mut held, mut records } =
            server.load(self.subject, tail.standing, tail.sequence, self.wall_ms, patience).await?;
        let since_ms = settings.window_start(self.wall_ms);
        held.trim(settings.retention(self.topic), since_ms, self.wall_ms);
        let Some(Span { offsets: (from, to), .. }) = held.span(query) else {
            return Ok(Vec::new());
        };
        records.retain(|record| (from..=to).contains(&record.offset));
        Ok(records)
    }

    async fn keep_mark(&self, held: Option<Held>, patience: &mut Patience) -> Done {
        let Self { shared: Shared { server, owner, .. }, subject, append, .. } = *self;
        let Some(mut held) = held else { return Done::default() };
        if !held.mark_due {
            return Done { held: Some(held), ..Done::default() };
        }
        let expected = held.sequence;
        let payloads = [encode_standing(append, &held.standing, owner)];
        let publish = Publish { subject, expected, append, payloads: &payloads };
        match server.keep(publish, patience).await {
            Ok(sequence) => {
                let chores = held.ends_in_standing.then_some(Chore::Delete(expected));
                held.sequence = sequence;
                (held.mark_due, held.ends_in_standing) = (false, true);
                let chores = chores.into_iter().collect();
                Done { held: Some(held), chores, ..Done::default() }
            }
            // What it would append next may be refused, or come after this: it must be opened again.
            Err(not_kept) => {
                tracing::debug!(subject, %not_kept, "a mark was not kept");
                Done::default()
            }
        }
    }

    /// Lets go of what is beyond the bounds.
    fn tidy(&self, done: &mut Done) {
        let Some(held) = &mut done.held else { return };
        let settings = &self.shared.settings;
        let since_ms = settings.window_start(self.wall_ms);
        held.trim(settings.retention(self.topic), since_ms, self.wall_ms);
        done.chores.extend(held.take_purge().map(Chore::Purge));
    }

    /// The topic is no longer this process's until it is opened again.
    fn failed(&self, ticket: Ticket, not_kept: &NotKept) -> Done {
        let failure = match not_kept {
            NotKept::Conflict => LogFailure::Conflict,
            NotKept::Unknown(_) => LogFailure::Unavailable,
            NotKept::Impossible(why) => {
                tracing::error!(topic = %self.topic, %why, "records can't be kept");
                LogFailure::Unavailable
            }
        };
        let outcome = Some((ticket, LogOutcome::Failed(failure)));
        Done { outcome, ..Done::default() }
    }
}

/// Whether the records' offsets follow.
fn follow(last: u64, records: &[Arc<Record>]) -> bool {
    records.iter().zip(last + 1..).all(|(record, offset)| record.offset == offset)
}

/// Whether these are all the records of a span.
fn is_whole(span: Span, records: &[Arc<Record>]) -> bool {
    let (from, to) = span.offsets;
    records.len() as u64 == to - from + 1 && follow(from - 1, records)
}
