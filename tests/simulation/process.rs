//! Processes on simulated machines, each from its start to its end.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::time::sleep;
use trunkline_log::{LogSettings, TopicLog};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;
use trunkline_router::{Router, RouterOptions};
use trunkline_shard::{Ground, Incoming, Shard, ShardOptions, StoreError};

use crate::network::{self, Door, PORT};
use crate::plan::{router_name, shard_name};
use crate::store::{Disk, Store};
use crate::world::World;
use crate::{clock, held};

/// How often a process that can't start yet looks whether it can.
const LOOK: Duration = Duration::from_millis(20);

/// A process, from its start to its end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) cluster: Cluster,
    pub(crate) stop: Notify,
    /// Others are to take over what it has first.
    pub(crate) orderly: Cell<bool>,
    pub(crate) ended: Cell<bool>,
}

impl Life {
    pub(crate) fn new(cluster: Cluster) -> Self {
        let (orderly, ended) = (Cell::new(false), Cell::new(false));
        Self { cluster, stop: Notify::new(), orderly, ended }
    }
}

/// The ground that a simulated shard stands on.
struct Simulated {
    machine: Machine,
    disk: Arc<Mutex<Disk>>,
}

impl Ground for Simulated {
    type Socket = network::Wire;

    fn machine(&self) -> Machine {
        self.machine.clone()
    }

    async fn listen(&self, _: &str) -> std::io::Result<Incoming<network::Wire>> {
        network::incoming().await
    }

    async fn open(
        &self,
        _: &ShardOptions,
        _: LogSettings,
        _: StdRng,
    ) -> Result<Box<dyn TopicLog>, StoreError> {
        Ok(Box::new(Store::open(&self.disk)))
    }
}

/// A shard's process.
pub(crate) async fn shard(world: Rc<World>, shard: usize) -> turmoil::Result {
    let id = shard_name(shard);
    // Nobody starts a shard that isn't in the map.
    while world.file(&id).index_of(&id).is_none() {
        sleep(LOOK).await;
    }
    let (machine, life) = world.begin(&id);
    let disk = Arc::clone(&world.disks[shard]);
    let options = ShardOptions {
        settings: Arc::clone(&world.plan.settings),
        cluster: life.cluster.clone(),
        id,
        data: None,
        registry: Registry::new(),
    };
    let ground = Simulated { machine, disk: Arc::clone(&disk) };
    let running = Shard::start_on(&ground, options).await?;
    life.stop.notified().await;
    let asked = clock::since();
    if life.orderly.get() {
        // Who asks again has it end at once.
        tokio::select! {
            biased;
            () = life.stop.notified() => {}
            () = running.drain() => {}
        }
    }
    let took = clock::since() - asked;
    held(&disk).ends();
    running.shutdown().await;
    if life.orderly.get() {
        world.judge_end(shard, took);
    }
    life.ended.set(true);
    Ok(())
}

/// A router's process.
pub(crate) async fn router(world: Rc<World>, router: usize) -> turmoil::Result {
    let (machine, life) = world.begin(&router_name(router));
    let options = RouterOptions {
        settings: Arc::clone(&world.plan.settings),
        cluster: life.cluster.clone(),
        listen: SocketAddr::from(([0, 0, 0, 0], PORT)),
        registry: Registry::new(),
    };
    let mut running = Router::start_on(machine, Door::open().await?, options).await?;
    life.stop.notified().await;
    if life.orderly.get() {
        running.drain().await;
    }
    running.shutdown().await;
    life.ended.set(true);
    Ok(())
}
