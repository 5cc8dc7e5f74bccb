//! Trunks without streams, for unit tests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use trunkline_config::{HashKey, Shard, ShardMap, Statuses};
use trunkline_proto::cluster::Cluster;

use super::Trunk;
use crate::metrics::Metrics;

const PATIENCE: Duration = Duration::from_secs(30);

/// A map of these shards.
pub(super) fn map(version: u64, ids: &[&str]) -> Arc<ShardMap> {
    let shard = |id: &&str| Shard {
        id: (*id).to_owned(),
        grpc: String::new(),
        metrics: String::new(),
        weight: 1.0,
    };
    Arc::new(ShardMap::new(version, HashKey([7; 16]), ids.iter().map(shard).collect()))
}

pub(super) fn cluster(ids: &[&str]) -> Cluster {
    Cluster::new(map(1, ids), Statuses::default())
}

/// A trunk to the only shard.
pub(super) fn trunk() -> Rc<Trunk> {
    let metrics = Rc::new(Metrics::register(&Registry::new()).expect("registers"));
    Rc::new(Trunk::new(0, cluster(&["a"]), PATIENCE, Rc::default(), metrics))
}
