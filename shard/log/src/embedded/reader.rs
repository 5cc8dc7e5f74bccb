//! The thread that reads, so that history doesn't wait for a sync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use redb::ReadableDatabase;
use trunkline_core::{LogFailure, LogOutcome, ReadQuery, Ticket, Topic};

use super::database::Database;
use super::fault::Fault;
use super::outcomes::Outcomes;
use super::read::read;
use super::writer::Job;
use crate::settings::LogSettings;

/// A request to read.
pub(super) struct Read {
    pub(super) ticket: Ticket,
    pub(super) topic: Topic,
    pub(super) query: ReadQuery,
    pub(super) wall_ms: u64,
}

/// What the thread has.
pub(super) struct Reader {
    pub(super) database: Arc<Database>,
    pub(super) settings: LogSettings,
    pub(super) outcomes: Outcomes,
    /// The writer, who closes the database after a fault.
    pub(super) writer: Sender<Job>,
}

impl Reader {
    /// Works until nobody can ask for anything any more.
    pub(super) fn run(self, reads: &Receiver<Read>) {
        while let Ok(first) = reads.recv() {
            // Begun after they came: it sees every append that they may know of.
            let waiting: Vec<Read> = std::iter::once(first).chain(reads.try_iter()).collect();
            let mut answered = 0;
            let result = self.database.with(|database| {
                let transaction = database.begin_read()?;
                for Read { ticket, topic, query, wall_ms } in &waiting {
                    let records = read(&transaction, &self.settings, topic, *query, *wall_ms)?;
                    self.outcomes.give(*ticket, LogOutcome::Records { records });
                    answered += 1;
                }
                Ok(())
            });
            let Err(fault) = result else { continue };
            for read in &waiting[answered..] {
                self.outcomes.give(read.ticket, LogOutcome::Failed(LogFailure::Unavailable));
            }
            self.tell(fault);
        }
    }

    fn tell(&self, fault: Fault) {
        // Whoever closed it knows; but it is opened again when somebody asks for something.
        let _ = self.writer.send(Job::Fault(fault));
    }
}
