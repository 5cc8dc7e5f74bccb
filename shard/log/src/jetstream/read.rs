//! Reading records: of a topic that this process has by their places, of another by all that there
//! is.

use std::sync::Arc;

use trunkline_core::{LogFailure, LogOutcome, ReadQuery, Record, Ticket};

use super::append::follow;
use super::held::{Held, Span};
use super::job::{At, Done, Shared};
use super::load::{Loaded, decoded};
use super::patience::{Late, Patience};

impl At<'_> {
    /// The records that a query asks for.
    pub(super) async fn read(
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
        if let Some(held) = &mut done.held {
            let rested = held.at_rest;
            self.wake(held, patience).await?;
            if rested && held.is_empty() {
                // Somebody else may have it by now: it is read as that one left it.
                done.held = None;
            }
        }
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
}

/// Whether these are all the records of a span.
fn is_whole(span: Span, records: &[Arc<Record>]) -> bool {
    let (from, to) = span.offsets;
    records.len() as u64 == to - from + 1 && follow(from - 1, records)
}
