//! The store that the settings name.

use std::path::Path;

use rand::rngs::StdRng;
use trunkline_config::settings::Settings;
use trunkline_config::store::Store;
use trunkline_log::{LogSettings, MemoryLog, TopicLog};

/// Why a shard's store can't be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {}

/// Opens it, within a time that its kind sets.
pub(crate) async fn open(
    settings: &Settings,
    keeps: LogSettings,
    id: &str,
    data: Option<&Path>,
    entropy: StdRng,
) -> Result<Box<dyn TopicLog>, StoreError> {
    match settings.store.choose(data) {
        Store::Memory => Ok(Box::new(MemoryLog::new(keeps, settings.limits.memory, entropy))),
        Store::Embedded(_folder) => todo!("{id}"),
        Store::JetStream(_) => todo!(),
    }
}
