//! Appending to a topic that this process has.

use std::sync::Arc;

use trunkline_core::{LogOutcome, Position, Record, Ticket};

use super::entry::{Standing, encode_records};
use super::held::Held;
use super::job::{At, Done, Shared};
use super::patience::Patience;
use super::publish::{NotKept, Publish};

impl At<'_> {
    /// Keeps records after the newest, all of them or none.
    pub(super) async fn append(
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
        if let Err(late) = self.wake(&mut held, patience).await {
            return self.failed(ticket, &NotKept::Unknown(late));
        }
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
        held.spent = false;
        let mut done = Done { held: Some(held), ..Done::default() };
        self.tidy(&mut done);
        let first = done.held.as_ref().map_or(0, Held::first);
        done.outcome = Some((ticket, LogOutcome::Appended { first }));
        done
    }
}

/// Whether the records' offsets follow.
pub(super) fn follow(last: u64, records: &[Arc<Record>]) -> bool {
    records.iter().zip(last + 1..).all(|(record, offset)| record.offset == offset)
}
