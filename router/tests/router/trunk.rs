//! Trunks break, come back, and refuse who is not meant.

use trunkline_config::settings::Settings;
use trunkline_proto::trunk::MapId;

use crate::harness::{Client, FakeShard, Raw, Says, Stage, live, map, soon, start};

#[tokio::test]
async fn a_broken_trunk_closes_its_connections_with_1012() {
    let mut stage = Stage::set().await;
    let (mut alice, _) = stage.client("user=alice").await;
    assert_eq!(stage.metric("trunkline_trunk_up{shard=\"a\"}"), 1);
    let Stage { router, shard, trunk, .. } = stage;
    shard.stop().await;
    drop(trunk);
    assert_eq!(alice.close_code().await, 1012);
    let mut ready = router.readiness();
    soon("unreadiness", ready.wait_for(|ready| !ready)).await.expect("the router runs");
    let mut raw = Raw::upgrade(router.local_addr(), "/ws").await;
    assert_eq!(raw.close_code().await, 1012);
}

#[tokio::test]
async fn a_shard_that_comes_back_is_found_again() {
    let mut stage = Stage::set().await;
    assert_eq!(stage.trunk.hello.last_incarnation, 0);
    let address = stage.shard.stop().await;
    drop(stage.trunk);
    let mut ready = stage.router.readiness();
    soon("unreadiness", ready.wait_for(|ready| !ready)).await.expect("the router runs");

    stage.shard = FakeShard::start_at(address, None).await;
    stage.trunk = stage.shard.trunk().await;
    assert_eq!(stage.trunk.hello.last_incarnation, 1);
    soon("readiness", ready.wait_for(|ready| *ready)).await.expect("the router runs");
    let mut client = Client::connect(stage.router.local_addr(), "/ws?user=alice").await;
    let number = stage.trunk.attach().await.connection;
    stage.trunk.batch(vec![live(number, "again")]).await;
    assert_eq!(client.hear().await, "again");
}

#[tokio::test]
async fn every_worker_has_a_trunk_of_its_own() {
    let mut shard = FakeShard::start().await;
    let workers = |settings: &mut Settings| settings.router.workers = 3;
    let router = start(&prometheus::Registry::new(), shard.address, workers).await;
    let mut ready = router.readiness();
    let mut trunks = Vec::new();
    for _ in 0..3 {
        trunks.push(shard.trunk().await);
    }
    soon("readiness", ready.wait_for(|ready| *ready)).await.expect("the router runs");
    let mut numbers: Vec<u32> = trunks.iter().map(|trunk| trunk.hello.worker).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(trunks.iter().all(|trunk| trunk.hello.router == trunks[0].hello.router));
    // Each has its own hello, and the hello names the map.
    let id = map(shard.address).id();
    let wire = MapId { version: id.version, digest: id.digest };
    assert!(trunks.iter().all(|trunk| trunk.hello.map == Some(wire)));
    assert_eq!(trunks[0].hello.shard, "a");
}

/// Starts a router whose shard says `says`, and waits for it to try twice.
async fn is_refused(says: impl FnOnce(Says) -> Says) {
    let mut shard = FakeShard::start().await;
    let id = map(shard.address).id();
    let truth = Says {
        map: Some(MapId { version: id.version, digest: id.digest }),
        shard: "a".to_owned(),
        incarnation: 1,
        statuses: Vec::new(),
    };
    // The address is part of no digest, so that the same map fits the second shard.
    let address = shard.stop().await;
    shard = FakeShard::start_at(address, Some(says(truth))).await;
    let router = start(&prometheus::Registry::new(), address, |_| {}).await;
    for _ in 0..2 {
        let mut trunk = shard.trunk().await;
        assert!(trunk.ended().await);
    }
    assert!(!*router.readiness().borrow());
    let mut raw = Raw::upgrade(router.local_addr(), "/ws").await;
    assert_eq!(raw.close_code().await, 1012);
}

#[tokio::test]
async fn a_shard_with_another_map_is_refused() {
    is_refused(|says| Says { map: says.map.map(|map| MapId { digest: 1, ..map }), ..says }).await;
    is_refused(|says| Says { map: says.map.map(|map| MapId { version: 2, ..map }), ..says }).await;
    is_refused(|says| Says { map: None, ..says }).await;
}

#[tokio::test]
async fn another_shard_than_the_one_that_is_meant_is_refused() {
    is_refused(|says| Says { shard: "b".to_owned(), ..says }).await;
}
