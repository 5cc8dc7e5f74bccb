//! The embedded store: topics in one file, which is the shard's alone.
//!
//! Two threads do the work, because redb blocks. One writes: whatever waits is one transaction,
//! and outcomes follow its sync. The other reads. Nothing is held in memory of a topic but what
//! is on its way, and the pages that redb caches. What the file holds is in `tables.rs`.
//!
//! Every record has a checksum, and all of them are verified when the file is opened. A disk that
//! is full or fails makes requests fail with [`LogFailure::Unavailable`], and the database is
//! opened again for the next ones; damage is never served.

mod changes;
mod damage;
mod database;
mod error;
mod export;
mod fault;
mod frame;
mod import;
mod job;
mod list;
mod opening;
mod outcomes;
mod overlay;
mod read;
mod reader;
mod repair;
mod scan;
mod standing;
mod state;
mod survey;
mod sweep;
mod tables;
mod trim;
mod usage;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use bytes::Bytes;
use rand::rngs::StdRng;
use redb::{Builder, DatabaseError};
use tokio::sync::mpsc;
use trunkline_core::{LogFailure, LogOutcome, LogRequest, Ticket};

pub use damage::TopicDamage;
pub use error::{OpenError, RepairError};
pub use repair::{RepairReport, repair};

use self::database::{Database, Opener};
use self::job::{Asked, Job, size};
use self::outcomes::Outcomes;
use self::reader::{Reader, Reading};
use self::usage::Seen;
use self::writer::{Health, Work, Writer};
use crate::settings::LogSettings;
use crate::{NOTE_MAX, TopicLog, Usage};

/// What the records that wait to be written may take, in bytes; beyond that publishing is
/// unavailable.
const WAITING_MAX: usize = 64 << 20;

/// Topics in a file, within the configured bounds.
///
/// Dropping it writes what has been submitted and closes the file, which blocks as long as that
/// takes.
#[derive(Debug)]
pub struct EmbeddedLog {
    requests: Option<(Sender<Job>, Sender<Reading>)>,
    given: mpsc::UnboundedReceiver<(Ticket, LogOutcome)>,
    outcomes: Outcomes,
    threads: Vec<JoinHandle<()>>,
    noted: Option<Bytes>,
    seen: Seen,
}

impl EmbeddedLog {
    /// Opens the store of `name`, the shard's ID, in a file; makes the file and its folder if they
    /// aren't there, for this user alone. Everything in the file is verified, which blocks: about
    /// a second per gigabyte. The newest records of a topic are cut if they are damaged, and that
    /// is logged as an error.
    ///
    /// # Errors
    /// [`OpenError`]: it can't be read, belongs to another, or is damaged so that `repair` has to
    /// be asked.
    pub fn open(
        path: &Path,
        name: &str,
        settings: LogSettings,
        mut entropy: StdRng,
    ) -> Result<Self, OpenError> {
        let wrong = |source| OpenError::File { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        if !path.exists() {
            opening::make(path, name, &mut entropy)?;
        }
        let file: PathBuf = path.to_owned();
        let opener = move |builder: &Builder| builder.open(&file);
        Self::open_with(opener, path, name, settings, entropy)
    }

    /// Like [`Self::open`], from wherever `opener` opens the database, now and after each fault.
    /// `path` is what messages call it.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn open_with(
        opener: impl Fn(&Builder) -> Result<redb::Database, DatabaseError> + Send + Sync + 'static,
        path: &Path,
        name: &str,
        settings: LogSettings,
        mut entropy: StdRng,
    ) -> Result<Self, OpenError> {
        let opener: Opener = Box::new(opener);
        let database = Arc::new(Database::new(opener));
        opening::open(&database, path, name, &mut entropy)?;
        let noted = opening::noted(&database, path)?;
        let seen = Seen::default();
        seen.see(opening::topics(&database, path)?, path);
        let wrong = |source| OpenError::File { path: path.to_owned(), source };
        let (queue, given) = mpsc::unbounded_channel();
        let outcomes = Outcomes { queue, waiting: Arc::default() };
        let (jobs, to_write) = channel();
        let (reads, to_read) = channel();
        let reader = Reader {
            database: Arc::clone(&database),
            settings,
            outcomes: outcomes.clone(),
            writer: jobs.clone(),
        };
        let writer = Writer {
            database,
            path: path.to_owned(),
            name: name.to_owned(),
            settings,
            entropy,
            outcomes: outcomes.clone(),
            work: Work::default(),
            health: Health::default(),
            note: None,
            removals: Vec::new(),
            seen: seen.clone(),
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let reader = thread("log-reader").spawn(move || reader.run(&to_read)).map_err(wrong)?;
        let writer = thread("log-writer").spawn(move || writer.run(&to_write)).map_err(wrong)?;
        let (requests, threads) = (Some((jobs, reads)), vec![reader, writer]);
        Ok(Self { requests, given, outcomes, threads, noted, seen })
    }

    /// Gives a request to its thread. A ticket comes back if there is none any more.
    fn pass_on(&self, request: LogRequest, wall_ms: u64) -> Result<(), Option<Ticket>> {
        let Some((jobs, reads)) = &self.requests else {
            return Err(None);
        };
        match request {
            LogRequest::Open { ticket, topic } | LogRequest::TakeUp { ticket, topic, .. } => {
                jobs.send(Job::Open { ticket, topic, wall_ms }).map_err(|_| Some(ticket))
            }
            LogRequest::Cede { ticket, .. } => {
                // What this shard's log has says nothing to another's.
                self.outcomes.give(ticket, LogOutcome::Ceded(None));
                Ok(())
            }
            LogRequest::Append { ticket, topic, after, records } => {
                if !self.outcomes.admit(size(&records), WAITING_MAX) {
                    return Err(Some(ticket));
                }
                let job = Job::Append { ticket, topic, after, records, wall_ms };
                jobs.send(job).map_err(|_| Some(ticket))
            }
            LogRequest::Read { ticket, topic, query } => {
                let read = Reading::Read { ticket, topic, query, wall_ms };
                reads.send(read).map_err(|_| Some(ticket))
            }
            LogRequest::Mark { topic, handed } => {
                jobs.send(Job::Mark { topic, handed }).map_err(|_| None)
            }
            LogRequest::List { ticket, after, limit } => {
                let asked = Asked::List { after, limit };
                let reader = reads.clone();
                jobs.send(Job::Ask { ticket, asked, wall_ms, reader }).map_err(|_| Some(ticket))
            }
            LogRequest::Export { ticket, topic } => {
                let (asked, reader) = (Asked::Export { topic }, reads.clone());
                jobs.send(Job::Ask { ticket, asked, wall_ms, reader }).map_err(|_| Some(ticket))
            }
            LogRequest::Import { ticket, topic, held } => {
                if !self.outcomes.admit(size(&held.records), WAITING_MAX) {
                    return Err(Some(ticket));
                }
                jobs.send(Job::Import { ticket, topic, held, wall_ms }).map_err(|_| Some(ticket))
            }
            LogRequest::Remove { topic } => jobs.send(Job::Remove { topic }).map_err(|_| None),
        }
    }
}

impl TopicLog for EmbeddedLog {
    fn submit(&mut self, request: LogRequest, wall_ms: u64) {
        if let Err(Some(ticket)) = self.pass_on(request, wall_ms) {
            self.outcomes.give(ticket, LogOutcome::Failed(LogFailure::Unavailable));
        }
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)> {
        // It doesn't end as long as `outcomes` is here.
        match self.given.poll_recv(cx) {
            Poll::Ready(Some(outcome)) => Poll::Ready(outcome),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn sweep(&mut self, wall_ms: u64) {
        if let Some((jobs, _)) = &self.requests {
            let _ = jobs.send(Job::Sweep { wall_ms });
        }
    }

    fn note(&mut self, note: Bytes) {
        if note.len() > NOTE_MAX {
            tracing::error!(length = note.len(), "a note is too long and isn't kept");
        } else if let Some((jobs, _)) = &self.requests {
            let _ = jobs.send(Job::Note(note));
        }
    }

    fn usage(&self) -> Usage {
        self.seen.usage()
    }

    fn noted(&self) -> Option<Bytes> {
        self.noted.clone()
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.requests = None;
        // The reader first: it holds a way to the writer.
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
