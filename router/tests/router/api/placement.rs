//! What is asked goes to the shard that owns what it is about.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trunkline_config::{Digest, ShardKey};
use trunkline_proto::trunk::api_answer::What;

use super::{error, with_key};
use crate::harness::{Pair, ask, post};

/// Which shard was asked; it refuses.
async fn asked(pair: &mut Pair, request: impl Future) -> u16 {
    let [a, b] = &mut pair.trunks;
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

#[tokio::test]
async fn rooms_users_and_sessions_are_asked_for_where_they_are() {
    let mut pair = Pair::set_with(with_key).await;
    let address = pair.router.local_addr();
    let map = Arc::clone(&pair.map);
    let body = r#"{"event":"e","data":1}"#;
    let mut seen = [0, 0];
    for number in 0..8_u8 {
        let room = format!("room-{number}");
        let path = format!("/api/v1/rooms/{room}/presence?namespace=/game");
        let owner = map.owner(&ShardKey::Room { namespace: "/game", room: &room });
        assert_eq!(asked(&mut pair, ask(address, "GET", &path)).await, owner);
        seen[usize::from(owner)] += 1;

        let user = format!("user-{number}");
        let path = format!("/api/v1/users/{user}/messages");
        assert_eq!(
            asked(&mut pair, post(address, &path, body)).await,
            map.owner(&ShardKey::User(&user))
        );
        let path = format!("/api/v1/users/{user}/connections");
        let owner = map.owner(&ShardKey::User(&user));
        assert_eq!(asked(&mut pair, ask(address, "DELETE", &path)).await, owner);

        let session = [number.wrapping_mul(37); 24];
        let digest = Digest(u64::from_be_bytes([number.wrapping_mul(37); 8]));
        let path = format!("/api/v1/users/~{}/messages", URL_SAFE_NO_PAD.encode(session));
        let owner = map.placement().owner(digest);
        assert_eq!(asked(&mut pair, post(address, &path, body)).await, owner);
    }
    assert!(seen[0] > 0 && seen[1] > 0, "both were asked: {seen:?}");
}
