//! Reading back what a stream has of a topic.

use std::sync::Arc;

use bytes::Bytes;
use trunkline_core::Record;

use super::entry::{Entry, Standing};
use super::held::Held;
use super::patience::{Late, Patience};
use super::server::{Failure, Server};
use crate::record;

/// A topic, and all its records that are still in the stream: those that were let go too.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) held: Held,
    pub(super) records: Vec<Arc<Record>>,
}

impl Server {
    /// The subject's newest message, asked for until there is an answer.
    pub(super) async fn tail(
        &self,
        subject: &str,
        patience: &mut Patience,
    ) -> Result<Option<Entry>, Late> {
        loop {
            match patience.wait(self.newest(subject)).await? {
                Ok(newest) => return Ok(newest),
                Err(failure) => note(subject, &failure),
            }
            patience.pause().await?;
        }
    }

    /// All messages of a subject from one place in the stream to another, that one included: a
    /// server that doesn't have it yet is asked until it does.
    pub(super) async fn messages(
        &self,
        subject: &str,
        (mut from, to): (u64, u64),
        patience: &mut Patience,
    ) -> Result<Vec<Entry>, Late> {
        let mut entries = Vec::new();
        loop {
            match patience.wait(self.range(subject, (from, to))).await? {
                Ok(range) => {
                    let some = range.entries.last().map(|last| last.sequence);
                    entries.extend(range.entries);
                    if range.whole {
                        return Ok(entries);
                    }
                    if let Some(last) = some {
                        from = last + 1;
                        continue;
                    }
                }
                Err(failure) => note(subject, &failure),
            }
            patience.pause().await?;
        }
    }

    /// A topic that stands so by its newest message, the one at `sequence`.
    pub(super) async fn load(
        &self,
        subject: &str,
        standing: Standing,
        sequence: u64,
        wall_ms: u64,
        patience: &mut Patience,
    ) -> Result<Loaded, Late> {
        let mut held = Held::new(standing, sequence, wall_ms);
        let mut records: Vec<Arc<Record>> = Vec::new();
        if held.standing.last == 0 {
            return Ok(Loaded { held, records });
        }
        for entry in self.messages(subject, (1, sequence), patience).await? {
            let Entry { sequence, standing, records: encoded, .. } = entry;
            if standing.epoch != held.standing.epoch {
                continue;
            }
            for record in decoded(subject, sequence, encoded) {
                // What comes before a gap can't be told from what was let go.
                if records.last().is_some_and(|before| before.offset + 1 != record.offset) {
                    records.clear();
                    held.clear();
                }
                held.push(sequence, &record);
                records.push(record);
            }
        }
        if records.last().is_none_or(|newest| newest.offset != held.standing.last) {
            records.clear();
            held.clear();
        }
        Ok(Loaded { held, records })
    }
}

/// The records of a message. One that can't be read is left out.
pub(super) fn decoded(
    subject: &str,
    sequence: u64,
    encoded: Vec<Bytes>,
) -> impl Iterator<Item = Arc<Record>> {
    encoded.into_iter().filter_map(move |record| {
        record::decode(record)
            .inspect_err(|bad| tracing::error!(subject, sequence, %bad, "a record can't be read"))
            .ok()
    })
}

fn note(subject: &str, failure: &Failure) {
    tracing::debug!(subject, %failure, "a read is tried again");
}
