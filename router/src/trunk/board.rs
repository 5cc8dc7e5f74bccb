//! Which trunks of the whole router are up: what `/readyz`, `trunk_up` and whoever waits for the
//! router want to know. The only state that workers share; it changes when a trunk breaks or
//! comes back, never per message.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGaugeVec;
use tokio::sync::watch;
use trunkline_config::ShardMap;

pub(crate) struct Board {
    workers: usize,
    map: Arc<ShardMap>,
    /// Per shard of the map, how many workers' trunks to it are up.
    up: Mutex<Vec<usize>>,
    ready: watch::Sender<bool>,
    gauge: IntGaugeVec,
}

impl Board {
    pub(crate) fn new(workers: usize, map: Arc<ShardMap>, gauge: IntGaugeVec) -> Self {
        for shard in map.shards() {
            gauge.with_label_values(&[&shard.id]).set(0);
        }
        let up = Mutex::new(vec![0; map.shards().len()]);
        Self { workers, map, up, ready: watch::Sender::new(false), gauge }
    }

    /// True while every worker's trunk to every shard is up.
    pub(crate) fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The IDs of the shards that not every worker reaches.
    pub(crate) fn missing(&self) -> Vec<String> {
        let up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let shards = self.map.shards().iter().zip(up.iter());
        shards.filter(|(_, up)| **up < self.workers).map(|(shard, _)| shard.id.clone()).collect()
    }

    /// A worker's trunk to a shard, by index in the map, has come up.
    pub(super) fn came_up(&self, shard: u16) {
        self.change(shard, |up| up + 1);
    }

    /// A worker's trunk to a shard, by index in the map, has gone down.
    pub(super) fn went_down(&self, shard: u16) {
        self.change(shard, |up| up.saturating_sub(1));
    }

    fn change(&self, shard: u16, change: impl Fn(usize) -> usize) {
        let index = usize::from(shard);
        let mut up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(count), Some(shard)) = (up.get_mut(index), self.map.shards().get(index)) else {
            return;
        };
        *count = change(*count);
        self.gauge.with_label_values(&[&shard.id]).set(i64::from(*count >= self.workers));
        let ready = up.iter().all(|up| *up >= self.workers);
        self.ready.send_replace(ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;
    use trunkline_config::{HashKey, Shard};

    #[test]
    fn a_router_is_ready_when_every_worker_reaches_every_shard() {
        let shard = |id: &str| Shard {
            id: id.to_owned(),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        let map = ShardMap::new(1, HashKey([0; 16]), vec![shard("a"), shard("b")]);
        let gauge = IntGaugeVec::new(Opts::new("up", "up"), &["shard"]).expect("a gauge");
        let board = Board::new(2, Arc::new(map), gauge.clone());
        let ready = board.readiness();
        for shard in [0, 0, 1] {
            board.came_up(shard);
        }
        assert!(!*ready.borrow());
        assert_eq!(board.missing(), ["b"]);
        assert_eq!(gauge.with_label_values(&["a"]).get(), 1);
        board.came_up(1);
        assert!(*ready.borrow());
        board.went_down(0);
        assert!(!*ready.borrow());
        assert_eq!(gauge.with_label_values(&["a"]).get(), 0);
    }
}
