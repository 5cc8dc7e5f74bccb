//! One router and two shards, `a` and `b`, both played by the test, in views that the test changes.

use std::sync::Arc;

use prometheus::Registry;
use trunkline_config::{Settings, Shard, ShardKey, ShardMap, ShardStatus, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::trunk::{self, Attach, up};
use trunkline_router::Router;

use super::{Client, FakeShard, HASH_KEY, TrunkEnd, checkpoint, count, live, options, soon};

/// A map with a shard for each of these.
pub(crate) fn map_of(version: u64, shards: &[(&str, &FakeShard)]) -> Arc<ShardMap> {
    let entry = |(id, shard): &(&str, &FakeShard)| Shard {
        id: (*id).to_owned(),
        grpc: shard.address.to_string(),
        metrics: "127.0.0.1:0".to_owned(),
        weight: 1.0,
    };
    Arc::new(ShardMap::new(version, HASH_KEY, shards.iter().map(entry).collect()))
}

pub(crate) struct Pair {
    pub(crate) router: Router,
    pub(crate) cluster: Cluster,
    pub(crate) map: Arc<ShardMap>,
    pub(crate) shards: [FakeShard; 2],
    pub(crate) trunks: [TrunkEnd; 2],
    registry: Registry,
    stamp: u64,
}

impl Pair {
    pub(crate) async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    /// A router with one worker whose trunks are up.
    pub(crate) async fn set_with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut shards = [FakeShard::start().await, FakeShard::start().await];
        let map = map_of(1, &[("a", &shards[0]), ("b", &shards[1])]);
        let cluster = Cluster::new(Arc::clone(&map), Statuses::default());
        let registry = Registry::new();
        let mut options = options(&registry, shards[0].address, change);
        options.cluster = cluster.clone();
        let router = Router::start(options).await.expect("starts");
        let [a, b] = &mut shards;
        let trunks = [a.trunk().await, b.trunk().await];
        let pair = Self { router, cluster, map, shards, trunks, registry, stamp: 0 };
        pair.is_ready().await;
        pair
    }

    pub(crate) async fn is_ready(&self) {
        let mut ready = self.router.readiness();
        soon("readiness", ready.wait_for(|ready| *ready)).await.expect("the router runs");
    }

    /// Names of users who belong to a shard when both serve.
    pub(crate) fn users_of(&self, shard: u16) -> impl Iterator<Item = String> + use<> {
        let map = Arc::clone(&self.map);
        let users = (0..).map(|number: u32| format!("user-{number}"));
        users.filter(move |user| map.owner(&ShardKey::User(user)) == shard)
    }

    /// A client of a user, for which its shard has given a checkpoint, and its number.
    pub(crate) async fn client(&mut self, shard: usize, user: &str) -> (Client, u64) {
        let (mut client, number) = self.bare(shard, user).await;
        let trunk = &self.trunks[shard];
        trunk.batch(vec![checkpoint(number, "state"), live(number, "welcome")]).await;
        assert_eq!(client.hear().await, "welcome");
        (client, number)
    }

    /// The same without a checkpoint.
    pub(crate) async fn bare(&mut self, shard: usize, user: &str) -> (Client, u64) {
        let path = format!("/ws?user={user}");
        let client = Client::connect(self.router.local_addr(), &path).await;
        let attach = attach(&mut self.trunks[shard]).await;
        (client, attach.connection)
    }

    /// It becomes known whether a shard is away.
    pub(crate) fn learn(&mut self, shard: &str, away: bool) {
        self.stamp += 1;
        let status = ShardStatus { shard: shard.to_owned(), stamp_ms: self.stamp, away };
        assert!(self.cluster.learn(&status), "no news");
    }

    /// Both shards' streams end; they are not there to be dialled, either.
    pub(crate) async fn lose(&mut self, shard: usize) {
        self.shards[shard].go_away().await;
        self.trunks[shard].hang_up();
        let id = ["a", "b"][shard];
        self.counts(&format!("trunkline_trunk_up{{shard=\"{id}\"}}"), 0).await;
    }

    pub(crate) async fn regain(&mut self, shard: usize) {
        self.shards[shard].come_back().await;
        self.trunks[shard] = self.shards[shard].trunk().await;
    }

    /// Waits until a metric has a value.
    pub(crate) async fn counts(&self, name: &str, value: u64) {
        count(&self.registry, name, value).await;
    }
}

/// The next item that isn't what is known of shards.
pub(crate) async fn item(trunk: &mut TrunkEnd) -> up::Item {
    loop {
        match trunk.next().await {
            up::Item::Status(_) => {}
            other => return other,
        }
    }
}

/// The next such item, which must be an attach.
pub(crate) async fn attach(trunk: &mut TrunkEnd) -> Attach {
    match item(trunk).await {
        up::Item::Attach(attach) => attach,
        other => panic!("not an attach: {other:?}"),
    }
}

/// The number of the next such item, which must be that a connection has moved.
pub(crate) async fn moved(trunk: &mut TrunkEnd) -> u64 {
    match item(trunk).await {
        up::Item::Detach(detach) if detach.moved => detach.connection,
        other => panic!("nobody has moved: {other:?}"),
    }
}

/// The next item, which must be what is known of a shard.
pub(crate) async fn status(trunk: &mut TrunkEnd) -> trunk::ShardStatus {
    match trunk.next().await {
        up::Item::Status(status) => status,
        other => panic!("not a status: {other:?}"),
    }
}
