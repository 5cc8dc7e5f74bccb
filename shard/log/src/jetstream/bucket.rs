//! The shard map of a whole cluster: one value of a key-value bucket, the text of a `shards.toml`.
//!
//! Nobody leases anything here. Who writes names the revision that it has read, and is refused if
//! there is another.

use std::time::Duration;

use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};
use trunkline_config::store::JetStreamSettings;

use super::connect::{ConnectError, client};
use super::patience::{Late, Patience};

/// What who reads or writes it calls itself to the servers.
const WHO: &str = "map";
/// Under which the map stands.
const KEY: &str = "shards.toml";
/// Maps that can be looked at with the servers' own tools after they have been replaced.
const HISTORY: i64 = 20;
/// How long the servers may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long opening and reading may take, and how long one try.
const ALL: Duration = Duration::from_secs(30);
const TRY: Duration = Duration::from_secs(3);
/// Before one who could not watch tries again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the bucket can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// No server can be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The servers refuse, or don't answer in time.
    #[error("cannot {doing} the bucket {bucket}: {why}")]
    Servers {
        /// What was asked for.
        doing: &'static str,
        /// The bucket.
        bucket: String,
        /// What they said.
        why: String,
    },
    /// What stands in it is no text.
    #[error("what the bucket {0} has is no text; push a map")]
    NoText(String),
    /// Somebody else has written since it was read.
    #[error("somebody else has pushed a map meanwhile; look at that one, and push again")]
    Moved,
}

/// A map as it stands in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMap {
    /// The text of a `shards.toml`.
    pub text: String,
    /// Which write it was.
    pub revision: u64,
}

/// The bucket.
pub struct MapBucket {
    name: String,
    store: kv::Store,
    watch: Option<kv::Watch>,
}

impl MapBucket {
    /// Connects, and makes the bucket if it isn't there.
    ///
    /// # Errors
    /// [`BucketError::Connect`], or [`BucketError::Servers`].
    pub async fn open(options: &JetStreamSettings, name: &str) -> Result<Self, BucketError> {
        let context = jetstream::new(client(options, WHO).await?);
        let store = store(&context, options, name).await?;
        Ok(Self { name: name.to_owned(), store, watch: None })
    }

    /// The map that stands in it, if there is one.
    ///
    /// # Errors
    /// [`BucketError::Servers`], or [`BucketError::NoText`].
    pub async fn read(&self) -> Result<Option<StoredMap>, BucketError> {
        let entry = async || self.store.entry(KEY).await.map_err(|error| error.to_string());
        let entry = again("read", &self.name, entry).await?;
        let entry = entry.filter(|entry| entry.operation == kv::Operation::Put);
        entry.map(|entry| self.map_of(&entry)).transpose()
    }

    /// Puts a map in place of the one of this revision, or in place of none.
    ///
    /// # Errors
    /// [`BucketError::Moved`] if another stands there, [`BucketError::Servers`].
    pub async fn write(&self, text: &str, after: Option<u64>) -> Result<u64, BucketError> {
        let bytes = text.to_owned().into();
        let write = replace(&self.store, KEY, bytes, after);
        within("write", &self.name, write).await?.ok_or(BucketError::Moved)
    }

    /// Waits for a map to be there: first the one that is, then each that comes. What can't be read
    /// is passed over, and servers that are away are waited for.
    pub async fn next(&mut self) -> StoredMap {
        loop {
            let entry = match &mut self.watch {
                Some(watch) => watch.next().await,
                None => None,
            };
            match entry {
                Some(Ok(entry)) if entry.operation == kv::Operation::Put => {
                    match self.map_of(&entry) {
                        Ok(map) => return map,
                        Err(error) => tracing::warn!(%error, "the map in use stays in use"),
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    if self.watch.take().is_some() {
                        tracing::warn!(
                            bucket = self.name,
                            "cannot watch the shard map; trying again"
                        );
                        sleep(PAUSE).await;
                    }
                    match timeout(ANSWER, self.store.watch_with_history(KEY)).await {
                        Ok(Ok(watch)) => self.watch = Some(watch),
                        Ok(Err(_)) | Err(_) => sleep(PAUSE).await,
                    }
                }
            }
        }
    }

    fn map_of(&self, entry: &kv::Entry) -> Result<StoredMap, BucketError> {
        let text = std::str::from_utf8(&entry.value);
        let text = text.map_err(|_| BucketError::NoText(self.name.clone()))?.to_owned();
        Ok(StoredMap { text, revision: entry.revision })
    }
}

/// The bucket, which is made if it isn't there.
pub(super) async fn store(
    context: &jetstream::Context,
    options: &JetStreamSettings,
    name: &str,
) -> Result<kv::Store, BucketError> {
    let config = kv::Config {
        bucket: name.to_owned(),
        description: "Trunkline's shard map, and which shards are alive".to_owned(),
        history: HISTORY,
        num_replicas: options.replicas,
        ..kv::Config::default()
    };
    let open = async || match context.get_key_value(name).await {
        Ok(store) => Ok(store),
        // It isn't there yet; if it is and can't be had, that shows once more.
        Err(_) => context.create_key_value(config.clone()).await.map_err(|it| it.to_string()),
    };
    again("open", name, open).await
}

/// Puts a value in place of the one of this revision, or in place of none. No revision if another
/// value stands there.
pub(super) async fn replace(
    store: &kv::Store,
    key: &str,
    value: Bytes,
    after: Option<u64>,
) -> Result<Option<u64>, String> {
    use kv::{CreateErrorKind, UpdateErrorKind};
    match after {
        Some(revision) => match store.update(key, value, revision).await {
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            other => other.map(Some).map_err(|error| error.to_string()),
        },
        None => match store.create(key, value).await {
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
            other => other.map(Some).map_err(|error| error.to_string()),
        },
    }
}

/// Tries what may be done twice until it is done: servers that have just been started are silent
/// until they have agreed on a leader.
pub(super) async fn again<T>(
    doing: &'static str,
    bucket: &str,
    what: impl AsyncFn() -> Result<T, String>,
) -> Result<T, BucketError> {
    let mut patience = Patience::new(ALL);
    loop {
        let done = within(doing, bucket, timeout(TRY, what()).map(late)).await;
        if done.is_ok() || matches!(patience.pause().await, Err(Late)) {
            return done;
        }
    }
}

/// Does something once, within the time of an answer.
async fn within<T>(
    doing: &'static str,
    bucket: &str,
    what: impl Future<Output = Result<T, String>>,
) -> Result<T, BucketError> {
    let done = late(timeout(ANSWER, what).await);
    done.map_err(|why| BucketError::Servers { doing, bucket: bucket.to_owned(), why })
}

fn late<T>(done: Result<Result<T, String>, Elapsed>) -> Result<T, String> {
    done.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}
