//! Trunks without streams, for unit tests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rand::SeedableRng;
use rand::rngs::StdRng;
use trunkline_config::settings;
use trunkline_config::{HashKey, Shard, ShardMap, ShardStatus, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;
use trunkline_proto::transport::Security;

use super::board::Board;
use super::escrow::Escrow;
use super::{Dialer, Trunk, Trunks};
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
    let escrow = Rc::new(Escrow::new(PATIENCE, metrics.deposits.clone()));
    Rc::new(Trunk::new(0, cluster(&["a"]), PATIENCE, escrow, Rc::default(), metrics))
}

/// Trunks to these shards, which are dialled when tokio has a turn.
pub(super) fn trunks(ids: &[&str]) -> (Trunks, Rc<Metrics>) {
    let metrics = Rc::new(Metrics::register(&Registry::new()).expect("registers"));
    let (cluster, machine) = (cluster(ids), Machine::real());
    let dialer = Dialer {
        board: Arc::new(Board::new(1, cluster.clone(), metrics.trunk_up.clone())),
        cluster,
        router: 1,
        worker: 0,
        security: Arc::new(Security::new(&settings::Cluster::default()).expect("none")),
        connector: machine.connector,
        clock: machine.clock,
    };
    let entropy = StdRng::seed_from_u64(0);
    (Trunks::new(dialer, Rc::clone(&metrics), PATIENCE, PATIENCE, entropy), metrics)
}

impl Trunks {
    /// Goes over to what follows from what is said of a shard.
    pub(super) fn learn(&self, status: &ShardStatus) {
        assert!(self.dialer.cluster.learn(status), "no news");
        self.take(self.dialer.cluster.outlook().view);
    }
}
