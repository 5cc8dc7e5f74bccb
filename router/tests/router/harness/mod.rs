//! Sets the stage: one router, one shard played by the test, and clients of two kinds.

mod caller;
mod client;
mod http;
mod raw;
mod shard;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Encoder, Registry, TextEncoder};
use trunkline_config::{HashKey, Settings, Shard, ShardMap, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_router::{Router, RouterOptions};

pub(crate) use caller::{Answer, KEY, ask, ask_with, post};
pub(crate) use client::Client;
pub(crate) use http::{Answered, Request};
pub(crate) use raw::{Raw, frame, request};
pub(crate) use shard::{
    FakeShard, Says, TrunkEnd, acknowledge, answer, at, checkpoint, close, fan, join, leave, live,
    reply, send,
};

/// Longer than anything here should take, so that a failure is an error and not a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The key of the map.
pub(crate) const HASH_KEY: HashKey = HashKey([7; 16]);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

pub(crate) struct Stage {
    pub(crate) router: Router,
    pub(crate) shard: FakeShard,
    pub(crate) trunk: TrunkEnd,
    registry: Registry,
}

impl Stage {
    /// A router with one worker whose trunk is up.
    pub(crate) async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    pub(crate) async fn set_with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut shard = FakeShard::start().await;
        let registry = Registry::new();
        let router = start(&registry, shard.address, change).await;
        let trunk = shard.trunk().await;
        let mut ready = router.readiness();
        soon("readiness", ready.wait_for(|ready| *ready)).await.expect("the router runs");
        Self { router, shard, trunk, registry }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.router.local_addr()
    }

    /// A client of `/ws` and the number that it was attached with.
    pub(crate) async fn client(&mut self, query: &str) -> (Client, u64) {
        let client = Client::connect(self.address(), &format!("/ws?{query}")).await;
        let attach = self.trunk.attach().await;
        (client, attach.connection)
    }

    /// The same without a library that reads by itself.
    pub(crate) async fn raw(&mut self, query: &str) -> (Raw, u64) {
        let raw = Raw::upgrade(self.address(), &format!("/ws?{query}")).await;
        let attach = self.trunk.attach().await;
        (raw, attach.connection)
    }

    /// The trunk breaks and is up again at once.
    pub(crate) async fn break_trunk(&mut self) {
        self.trunk.hang_up();
        self.trunk = self.shard.trunk().await;
    }

    /// The shard is gone, and the router holds so many connections.
    pub(crate) async fn lose_shard(&mut self, held: u64) {
        self.shard.go_away().await;
        self.trunk.hang_up();
        self.counts("trunkline_held", held).await;
    }

    /// The shard is back, and so is the trunk.
    pub(crate) async fn regain_shard(&mut self) {
        self.shard.come_back().await;
        self.trunk = self.shard.trunk().await;
        let mut ready = self.router.readiness();
        soon("readiness", ready.wait_for(|ready| *ready)).await.expect("the router runs");
    }

    /// Waits until a metric has a value: it may be counted just after the client has noticed.
    pub(crate) async fn counts(&self, name: &str, value: u64) {
        soon(name, async {
            while self.metric(name) != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The value of a metric, by its line's beginning.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("encodes");
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value);
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }
}

pub(crate) fn map(address: SocketAddr) -> Arc<ShardMap> {
    let shard = Shard {
        id: "a".to_owned(),
        grpc: address.to_string(),
        metrics: "127.0.0.1:0".to_owned(),
        weight: 1.0,
    };
    Arc::new(ShardMap::new(1, HASH_KEY, vec![shard]))
}

pub(crate) async fn start(
    registry: &Registry,
    shard: SocketAddr,
    change: impl FnOnce(&mut Settings),
) -> Router {
    Router::start(options(registry, shard, change)).await.expect("starts")
}

pub(crate) fn options(
    registry: &Registry,
    shard: SocketAddr,
    change: impl FnOnce(&mut Settings),
) -> RouterOptions {
    let mut settings = Settings::default();
    settings.router.workers = 1;
    change(&mut settings);
    RouterOptions {
        settings: Arc::new(settings),
        cluster: Cluster::new(map(shard), Statuses::default()),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        registry: registry.clone(),
    }
}
