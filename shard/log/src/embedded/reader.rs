//! The thread that reads, so that history doesn't wait for a sync, nor syncs for history.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use redb::{ReadTransaction, ReadableDatabase};
use trunkline_core::{LogFailure, LogOutcome, ReadQuery, Ticket, Topic};

use super::database::Database;
use super::export::export;
use super::fault::Fault;
use super::job::{Asked, Job};
use super::list::list;
use super::outcomes::Outcomes;
use super::read::read;
use crate::settings::LogSettings;

/// What there is to read.
pub(super) enum Reading {
    Read {
        ticket: Ticket,
        topic: Topic,
        query: ReadQuery,
        wall_ms: u64,
    },
    /// As it was when the writer had done all that was submitted before.
    Ask {
        ticket: Ticket,
        asked: Asked,
        wall_ms: u64,
        snapshot: Arc<ReadTransaction>,
    },
}

impl Reading {
    fn ticket(&self) -> Ticket {
        match self {
            Reading::Read { ticket, .. } | Reading::Ask { ticket, .. } => *ticket,
        }
    }
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
    pub(super) fn run(self, readings: &Receiver<Reading>) {
        while let Ok(first) = readings.recv() {
            // Begun after they came: it sees every append that they may know of.
            let waiting: Vec<Reading> = std::iter::once(first).chain(readings.try_iter()).collect();
            let mut answered = 0;
            let result = self.database.with(|database| {
                let transaction = database.begin_read()?;
                for reading in &waiting {
                    let outcome = self.carry_out(reading, &transaction)?;
                    self.outcomes.give(reading.ticket(), outcome);
                    answered += 1;
                }
                Ok(())
            });
            let Err(fault) = result else { continue };
            for reading in &waiting[answered..] {
                let failed = LogOutcome::Failed(LogFailure::Unavailable);
                self.outcomes.give(reading.ticket(), failed);
            }
            self.tell(fault);
        }
    }

    fn carry_out(
        &self,
        reading: &Reading,
        transaction: &ReadTransaction,
    ) -> Result<LogOutcome, Fault> {
        let settings = &self.settings;
        match reading {
            Reading::Read { ticket: _, topic, query, wall_ms } => {
                let records = read(transaction, settings, topic, *query, *wall_ms)?;
                Ok(LogOutcome::Records { records })
            }
            Reading::Ask { ticket: _, asked, wall_ms, snapshot } => {
                let outcome = match asked {
                    Asked::List { after, limit } => {
                        list(snapshot, settings, after.as_ref(), *limit, *wall_ms)
                    }
                    Asked::Export { topic } => {
                        export(snapshot, settings, topic, *wall_ms).map(LogOutcome::Exported)
                    }
                };
                outcome.map_err(Fault::or_closed)
            }
        }
    }

    fn tell(&self, fault: Fault) {
        // Whoever closed it knows; but it is opened again when somebody asks for something.
        let _ = self.writer.send(Job::Fault(fault));
    }
}
