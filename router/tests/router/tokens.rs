//! Who speaks, as the shard is told, and who is not let in.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use trunkline_config::ShardKey;
use trunkline_config::settings::{Auth, JwtAlgorithm, JwtSettings};

use crate::harness::{Raw, Stage, map, request};

const SECRET: &[u8] = b"a secret of the tests, long enough";

async fn guarded() -> Stage {
    Stage::set_with(|settings| {
        let algorithm = JwtAlgorithm::Hs256;
        let jwt = JwtSettings { algorithm, key: SECRET.to_vec(), audience: None };
        settings.auth = Auth::Jwt(jwt);
    })
    .await
}

fn in_an_hour_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 3600
}

fn token(claims: &Value, secret: &[u8]) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("signs")
}

#[tokio::test]
async fn an_open_user_is_believed_and_placed_by_name() {
    let mut stage = Stage::set().await;
    let _raw = Raw::upgrade(stage.address(), "/ws?user=alice&inbox=9k2f:58").await;
    let attach = stage.trunk.attach().await;
    let digest = map(stage.shard.address).digest(&ShardKey::User("alice"));
    assert_eq!(attach.session.len(), 24);
    assert_eq!(attach.session[..8], digest.0.to_be_bytes());
    assert_eq!((attach.user.as_str(), attach.namespace.as_str()), ("alice", "/"));
    assert_eq!((attach.authenticated, attach.expires_ms, attach.rights), (false, 0, None));
    let position = attach.inbox_after.expect("a position");
    assert_eq!((position.epoch.as_str(), position.offset), ("9k2f", 58));
}

#[tokio::test]
async fn a_room_places_a_connection_whoever_speaks() {
    let mut stage = Stage::set().await;
    let _raw = Raw::upgrade(stage.address(), "/ws?user=alice&room=lobby&ns=game").await;
    let attach = stage.trunk.attach().await;
    let key = ShardKey::Room { namespace: "/game", room: "lobby" };
    assert_eq!(attach.session[..8], map(stage.shard.address).digest(&key).0.to_be_bytes());
    assert_eq!((attach.user.as_str(), attach.namespace.as_str()), ("alice", "/game"));
}

#[tokio::test]
async fn who_gives_no_name_is_a_guest_of_their_own() {
    let mut stage = Stage::set().await;
    let mut guests = Vec::new();
    for _ in 0..2 {
        let raw = Raw::upgrade(stage.address(), "/ws").await;
        let attach = stage.trunk.attach().await;
        let random: String = attach.session[8..14].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(attach.user, format!("guest-{random}"));
        guests.push(attach.session);
        drop(raw);
        stage.trunk.detach().await;
    }
    assert_ne!(guests[0], guests[1]);
}

#[tokio::test]
async fn a_token_speaks_for_its_subject_in_either_place() {
    let mut stage = guarded().await;
    let exp = in_an_hour_s();
    let rooms = json!([{ "pattern": "team-*", "can": ["join"] }]);
    let token = token(&json!({ "sub": "alice", "exp": exp, "rooms": rooms }), SECRET);
    let in_query = format!("/ws?user=mallory&token={token}");
    let in_header = format!("Authorization: Bearer {token}\r\n");
    for (path, headers) in [(in_query.as_str(), ""), ("/ws", in_header.as_str())] {
        let mut raw = Raw::connect(stage.address()).await;
        raw.write(request(stage.address(), path, headers).as_bytes()).await;
        let attach = stage.trunk.attach().await;
        assert_eq!((attach.user.as_str(), attach.authenticated), ("alice", true));
        assert_eq!(attach.expires_ms, exp * 1000);
        let rights = attach.rights.expect("rights").rights;
        assert_eq!(rights.len(), 1);
        assert_eq!((rights[0].pattern.as_str(), rights[0].join), ("team-*", true));
        assert!(!rights[0].publish && !rights[0].history);
        drop(raw);
        stage.trunk.detach().await;
    }
}

#[tokio::test]
async fn a_bad_token_upgrades_and_closes_with_4001() {
    let stage = guarded().await;
    let good = json!({ "sub": "alice", "exp": in_an_hour_s() });
    // {"alg":"none"}
    let none = format!(
        "eyJhbGciOiJub25lIn0.{}.",
        token(&good, SECRET).split('.').nth(1).expect("three parts")
    );
    let bad = [
        none,
        token(&good, b"another secret of the tests, too"),
        token(&json!({ "sub": "alice", "exp": 1_000_000 }), SECRET),
        token(&json!({ "sub": "~alice", "exp": in_an_hour_s() }), SECRET),
        "nonsense".to_owned(),
    ];
    for token in bad {
        let mut raw = Raw::upgrade(stage.address(), &format!("/ws?token={token}")).await;
        assert_eq!(raw.close_code().await, 4001, "{token}");
    }
    let mut without = Raw::upgrade(stage.address(), "/ws?user=alice").await;
    assert_eq!(without.close_code().await, 4001);
    assert_eq!(stage.metric("trunkline_handshake_failures_total{why=\"token\"}"), 6);
}
