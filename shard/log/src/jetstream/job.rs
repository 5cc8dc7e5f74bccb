//! What is done about one topic, one after the other.

use std::sync::Arc;

use bytes::Bytes;
use trunkline_core::{Epoch, LogFailure, LogOutcome, Position, ReadQuery, Record, Ticket, Topic};

use super::entry::AppendId;
use super::held::Held;
use super::mark;
use super::patience::{Late, Patience};
use super::publish::NotKept;
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
    /// Have it no more, and say all that the next owner needs.
    Cede {
        ticket: Ticket,
    },
    /// Go on with it as the owner before says, or else open it.
    TakeUp {
        ticket: Ticket,
        deed: Bytes,
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
            Task::Cede { ticket } => at.cede(ticket, held, &mut patience).await,
            Task::TakeUp { ticket, deed, epoch } => {
                at.take_up(ticket, deed, epoch, held, &mut patience).await
            }
            Task::Append { ticket, after, records } => {
                at.append(ticket, &after, &records, held, &mut patience).await
            }
            Task::Read { ticket, query } => at.read(ticket, query, held, &mut patience).await,
            Task::Mark { handed } => mark::note(held, handed),
            Task::KeepMark => at.keep_mark(held, &mut patience).await,
        }
    }
}

/// A job under way.
pub(super) struct At<'a> {
    pub(super) shared: &'a Shared,
    pub(super) topic: &'a Topic,
    pub(super) subject: &'a str,
    pub(super) append: AppendId,
    pub(super) wall_ms: u64,
}

impl At<'_> {
    /// Makes sure that the places of a topic are known.
    pub(super) async fn wake(&self, held: &mut Held, patience: &mut Patience) -> Result<(), Late> {
        held.used_ms = self.wall_ms;
        if held.at_rest {
            let Self { shared: Shared { server, .. }, subject, wall_ms, .. } = *self;
            let standing = held.standing.clone();
            let read = server.load(subject, standing, held.sequence, wall_ms, patience).await?;
            held.wake(read.held);
        }
        Ok(())
    }

    /// Lets go of what is beyond the bounds.
    pub(super) fn tidy(&self, done: &mut Done) {
        let Some(held) = &mut done.held else { return };
        let settings = &self.shared.settings;
        let since_ms = settings.window_start(self.wall_ms);
        held.trim(settings.retention(self.topic), since_ms, self.wall_ms);
        done.chores.extend(held.take_purge().map(Chore::Purge));
    }

    /// The topic is no longer this process's until it is opened again.
    pub(super) fn failed(&self, ticket: Ticket, not_kept: &NotKept) -> Done {
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
