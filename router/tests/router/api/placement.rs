//! What is asked goes to the shard that owns what it is about.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prometheus::Registry;
use trunkline_config::{Digest, HashKey, Shard, ShardKey, ShardMap, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::trunk::api_answer::What;
use trunkline_router::Router;

use super::{error, with_key};
use crate::harness::{FakeShard, TrunkEnd, ask, options, post, soon};

struct Pair {
    router: Router,
    map: Arc<ShardMap>,
    trunks: [TrunkEnd; 2],
}

async fn pair() -> Pair {
    let mut shards = [FakeShard::start().await, FakeShard::start().await];
    let entry = |id: &str, shard: &FakeShard| Shard {
        id: id.to_owned(),
        grpc: shard.address.to_string(),
        metrics: "127.0.0.1:0".to_owned(),
        weight: 1.0,
    };
    let entries = vec![entry("a", &shards[0]), entry("b", &shards[1])];
    let map = Arc::new(ShardMap::new(1, HashKey([7; 16]), entries));
    let mut options = options(&Registry::new(), shards[0].address, with_key);
    options.cluster = Cluster::new(Arc::clone(&map), Statuses::default());
    let router = Router::start(options).await.expect("starts");
    let [a, b] = &mut shards;
    let trunks = [a.trunk().await, b.trunk().await];
    let mut ready = router.readiness();
    soon("readiness", ready.wait_for(|ready| *ready)).await.expect("the router runs");
    Pair { router, map, trunks }
}

impl Pair {
    /// Which shard was asked; it refuses.
    async fn asked(&mut self, request: impl Future) -> u16 {
        let [a, b] = &mut self.trunks;
        let answer = async {
            let (shard, call, trunk) = tokio::select! {
                call = a.call() => (0, call, a),
                call = b.call() => (1, call, b),
            };
            let refusal: What = error("forbidden");
            trunk.answer(call.request, refusal).await;
            shard
        };
        tokio::join!(request, answer).1
    }
}

#[tokio::test]
async fn rooms_users_and_sessions_are_asked_for_where_they_are() {
    let mut pair = pair().await;
    let address = pair.router.local_addr();
    let map = Arc::clone(&pair.map);
    let body = r#"{"event":"e","data":1}"#;
    let mut seen = [0, 0];
    for number in 0..8_u8 {
        let room = format!("room-{number}");
        let path = format!("/api/v1/rooms/{room}/presence?namespace=/game");
        let owner = map.owner(&ShardKey::Room { namespace: "/game", room: &room });
        assert_eq!(pair.asked(ask(address, "GET", &path)).await, owner);
        seen[usize::from(owner)] += 1;

        let user = format!("user-{number}");
        let path = format!("/api/v1/users/{user}/messages");
        assert_eq!(pair.asked(post(address, &path, body)).await, map.owner(&ShardKey::User(&user)));
        let path = format!("/api/v1/users/{user}/connections");
        let owner = map.owner(&ShardKey::User(&user));
        assert_eq!(pair.asked(ask(address, "DELETE", &path)).await, owner);

        let session = [number.wrapping_mul(37); 24];
        let digest = Digest(u64::from_be_bytes([number.wrapping_mul(37); 8]));
        let path = format!("/api/v1/users/~{}/messages", URL_SAFE_NO_PAD.encode(session));
        let owner = map.placement().owner(digest);
        assert_eq!(pair.asked(post(address, &path, body)).await, owner);
    }
    assert!(seen[0] > 0 && seen[1] > 0, "both were asked: {seen:?}");
}
