//! The store that the settings name.

use std::path::Path;

use rand::rngs::StdRng;
use trunkline_config::settings::Settings;
use trunkline_config::store::Store;
use trunkline_log::{
    ConnectError, EmbeddedLog, JetStreamLog, LogSettings, MemoryLog, OpenError, TopicLog,
};

/// Why a shard's store can't be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The embedded one can't be opened.
    #[error(transparent)]
    Embedded(#[from] OpenError),
    /// The thread that opens it has ended.
    #[error("cannot open the store: {0}")]
    Thread(#[from] tokio::task::JoinError),
    /// JetStream can't be used.
    #[error(transparent)]
    JetStream(#[from] ConnectError),
}

/// Opens it. Verifying an embedded one takes about a second per gigabyte, JetStream is waited for
/// half a minute.
pub(crate) async fn open(
    settings: &Settings,
    keeps: LogSettings,
    id: &str,
    data: Option<&Path>,
    entropy: StdRng,
) -> Result<Box<dyn TopicLog>, StoreError> {
    match settings.store.choose(data) {
        Store::Memory => Ok(Box::new(MemoryLog::new(keeps, settings.limits.memory, entropy))),
        Store::Embedded(folder) => {
            let (path, id) = (folder.join(format!("shard-{id}.redb")), id.to_owned());
            let open = move || EmbeddedLog::open(&path, &id, keeps, entropy);
            Ok(Box::new(tokio::task::spawn_blocking(open).await??))
        }
        Store::JetStream(servers) => {
            Ok(Box::new(JetStreamLog::connect(servers, id, keeps, entropy).await?))
        }
    }
}
