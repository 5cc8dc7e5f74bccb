//! Which shards are alive: an entry of each in the cluster's bucket, beside the map.
//!
//! A shard writes its own again and again, and each write names the one before. So who finds it
//! silent and writes in its place that it is dead, and the shard itself, can't both believe that
//! they were last.

use std::time::Duration;

use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use futures_util::StreamExt;
use prost::Message;
use tokio::time::{sleep, timeout};
use trunkline_config::ShardStatus;
use trunkline_config::store::JetStreamSettings;
use trunkline_proto::log as wire;

use super::bucket::{self, BucketError};
use super::connect::client;

/// What it calls itself to the servers.
const WHO: &str = "health";
/// Before one who could not watch tries again.
const PAUSE: Duration = Duration::from_millis(300);
/// How long the servers may take to begin a watch.
const ANSWER: Duration = Duration::from_secs(3);

/// What stands in the bucket of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vital {
    /// Of the process that is meant.
    pub incarnation: u64,
    /// Counts up with each write.
    pub beat: u64,
    /// What is to be known of the shard.
    pub status: ShardStatus,
    /// Who has found it dead, if somebody has.
    pub dead: Option<String>,
}

/// A shard's entry as it stands in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthEntry {
    /// What it says.
    pub vital: Vital,
    /// What the next write must name.
    pub revision: u64,
    /// When it was written, in Unix milliseconds by the servers' clock.
    pub written_ms: u64,
}

/// Why an entry could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Another entry stands there than the one that was to be replaced.
    #[error("another entry stands there")]
    Moved,
    /// The servers refuse.
    #[error("{0}")]
    Servers(String),
}

/// The entries, to read and to write them.
pub struct HealthBucket {
    store: kv::Store,
}

/// The entries as they are written.
pub struct HealthWatch {
    store: kv::Store,
    watch: Option<kv::Watch>,
}

impl HealthBucket {
    /// Connects, and makes the bucket if it isn't there.
    ///
    /// # Errors
    /// As [`super::MapBucket::open`].
    pub async fn open(options: &JetStreamSettings, name: &str) -> Result<Self, BucketError> {
        let context = jetstream::new(client(options, WHO).await?);
        Ok(Self { store: bucket::store(&context, options, name).await? })
    }

    /// Watches them, over the same connection.
    #[must_use]
    pub fn watch(&self) -> HealthWatch {
        HealthWatch { store: self.store.clone(), watch: None }
    }

    /// A shard's entry, if it has one.
    ///
    /// # Errors
    /// [`HealthError::Servers`].
    pub async fn read(&self, shard: &str) -> Result<Option<HealthEntry>, HealthError> {
        let entry = self.store.entry(key_of(shard)).await;
        let entry = entry.map_err(|error| HealthError::Servers(error.to_string()))?;
        Ok(entry.as_ref().and_then(HealthEntry::of))
    }

    /// Puts an entry in place of the one of this revision, or in place of none.
    ///
    /// # Errors
    /// [`HealthError`]
    pub async fn write(&self, vital: &Vital, after: Option<u64>) -> Result<u64, HealthError> {
        let key = key_of(&vital.status.shard);
        let written = bucket::replace(&self.store, &key, vital.encode(), after).await;
        written.map_err(HealthError::Servers)?.ok_or(HealthError::Moved)
    }
}

impl HealthWatch {
    /// Waits for an entry: first those that are there, then each that is written. Servers that are
    /// away are waited for.
    pub async fn next(&mut self) -> HealthEntry {
        loop {
            let entry = match &mut self.watch {
                Some(watch) => watch.next().await,
                None => None,
            };
            match entry {
                Some(Ok(entry)) => {
                    if let Some(entry) = HealthEntry::of(&entry) {
                        return entry;
                    }
                }
                Some(Err(_)) | None => {
                    if self.watch.take().is_some() {
                        sleep(PAUSE).await;
                    }
                    match timeout(ANSWER, self.store.watch_with_history("health.*")).await {
                        Ok(Ok(watch)) => self.watch = Some(watch),
                        Ok(Err(_)) | Err(_) => sleep(PAUSE).await,
                    }
                }
            }
        }
    }
}

impl HealthEntry {
    /// What was put there, if it is an entry.
    fn of(entry: &kv::Entry) -> Option<Self> {
        let put = Some(entry).filter(|entry| entry.operation == kv::Operation::Put)?;
        let written_ms = put.created.unix_timestamp_nanos() / 1_000_000;
        Some(Self {
            vital: Vital::decode(&put.value)?,
            revision: put.revision,
            written_ms: u64::try_from(written_ms).unwrap_or(0),
        })
    }
}

impl Vital {
    fn encode(&self) -> Bytes {
        let Self { incarnation, beat, status, dead } = self;
        let ShardStatus { shard, stamp_ms, away } = status.clone();
        let health = wire::Health {
            incarnation: *incarnation,
            beat: *beat,
            status: Some(wire::Status { shard, stamp_ms, away }),
            dead: dead.clone().unwrap_or_default(),
        };
        health.encode_to_vec().into()
    }

    /// What stands there, if it is an entry.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let wire::Health { incarnation, beat, status, dead } = wire::Health::decode(bytes).ok()?;
        let wire::Status { shard, stamp_ms, away } = status?;
        let status = ShardStatus { shard, stamp_ms, away };
        Some(Self { incarnation, beat, status, dead: (!dead.is_empty()).then_some(dead) })
    }
}

/// Under which a shard's entry stands. IDs may have dots, and keys are parted by them.
fn key_of(shard: &str) -> String {
    format!("health.{}", shard.replace('.', "="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let status = ShardStatus { shard: "a.b".to_owned(), stamp_ms: 7, away: true };
        for dead in [None, Some("c".to_owned())] {
            let vital = Vital { incarnation: 1, beat: 2, status: status.clone(), dead };
            assert_eq!(Vital::decode(&vital.encode()), Some(vital));
        }
        assert_eq!(Vital::decode(b"\xff"), None);
        assert_eq!(key_of("a.b_c-d"), "health.a=b_c-d");
    }
}
