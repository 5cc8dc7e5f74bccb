//! What tests of several modules need.

use std::sync::Arc;

use trunkline_config::{HashKey, Shard, ShardMap};

/// A map of these shards, which can't be reached anywhere and have equal weights.
pub(crate) fn map(version: u64, ids: &[&str]) -> Arc<ShardMap> {
    let shard = |id: &&str| Shard {
        id: (*id).to_owned(),
        grpc: String::new(),
        metrics: String::new(),
        weight: 1.0,
    };
    Arc::new(ShardMap::new(version, HashKey([7; 16]), ids.iter().map(shard).collect()))
}
