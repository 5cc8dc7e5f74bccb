//! Auth mode "jwt": who may speak, for how long, and where.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::{Value, json};
use trunkline_client::{CloseCode, Options, WireError};

use crate::harness::{Cluster, Connection, Setup};

const SECRET: &str = "a secret that is long enough to be one";

async fn cluster() -> Cluster {
    with_jwt(&format!("algorithm = \"HS256\", key = \"{SECRET}\"")).await
}

async fn with_jwt(jwt: &str) -> Cluster {
    Setup::new().section(&format!("[auth]\nmode = \"jwt\"\njwt = {{ {jwt} }}")).start().await
}

/// The time in seconds since 1970, moved by this many.
fn at(seconds: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
        + seconds
}

/// A token of the test's issuer; `more` adds claims or replaces them.
fn token(sub: &str, more: Value) -> String {
    sign(sub, more, Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn sign(sub: &str, more: Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    let mut claims = json!({"sub": sub, "exp": at(3600)});
    let Value::Object(more) = more else { panic!("no claims: {more}") };
    claims.as_object_mut().unwrap().extend(more);
    encode(&Header::new(algorithm), &claims, key).unwrap()
}

/// The code with which the connection closes in place of a welcome.
async fn refused(options: Options) -> CloseCode {
    match Connection::try_open(options).await {
        Err(WireError::Closed(closed)) => closed.code,
        Err(error) => panic!("not closed: {error}"),
        Ok(connection) => panic!("welcomed as {}", connection.user),
    }
}

#[tokio::test]
async fn who_speaks_is_the_token_s_subject_wherever_the_token_is() {
    let cluster = cluster().await;
    let by_header = Connection::open(cluster.options().token(token("alice", json!({})))).await;
    assert_eq!(by_header.user, "alice");
    let url = format!("{}/ws?token={}", cluster.url(), token("bob", json!({})));
    let mut by_query = Connection::open(Options::new(url)).await;
    assert_eq!(by_query.user, "bob");
    assert_eq!(by_query.send("alice", "hi").await, "delivered");
}

#[tokio::test]
async fn a_name_in_the_query_is_not_believed() {
    let cluster = cluster().await;
    assert_eq!(refused(cluster.options().user("alice")).await, CloseCode::NOT_AUTHENTICATED);
}

#[tokio::test]
async fn what_is_no_valid_token_is_closed_with_4001_after_the_upgrade() {
    let cluster = cluster().await;
    let other = EncodingKey::from_secret(b"the secret of somebody else, also long");
    // {"alg":"none","typ":"JWT"}, the claims of a good token, and no signature.
    let good = token("alice", json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let (claims, others) = (parts[1], token("mallory", json!({})));
    let changed = format!("{}.{}.{}", parts[0], others.split('.').nth(1).unwrap(), parts[2]);
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let own = EncodingKey::from_secret(SECRET.as_bytes());
    let cases = [
        ("not a token", "rubbish".to_owned()),
        ("alg none", unsigned),
        ("another key", sign("alice", json!({}), Algorithm::HS256, &other)),
        ("another algorithm", sign("alice", json!({}), Algorithm::HS384, &own)),
        ("changed after it was signed", changed),
        ("expired", token("alice", json!({"exp": at(-60)}))),
        ("never expires", token("alice", json!({"exp": null}))),
        ("not valid yet", token("alice", json!({"nbf": at(600)}))),
        ("the name of a session", token("~alice", json!({}))),
    ];
    for (what, token) in cases {
        let code = refused(cluster.options().token(token)).await;
        assert_eq!(code, CloseCode::NOT_AUTHENTICATED, "{what}");
    }
    assert_eq!(refused(cluster.options()).await, CloseCode::NOT_AUTHENTICATED, "no token");
    assert_eq!(Connection::open(cluster.options().token(good)).await.user, "alice");
}

#[tokio::test]
async fn a_token_must_be_meant_for_this_service_where_an_audience_is_set() {
    let jwt = format!("algorithm = \"HS256\", key = \"{SECRET}\", audience = \"chat\"");
    let cluster = with_jwt(&jwt).await;
    for aud in [json!(null), json!("shop"), json!(["shop", "mail"])] {
        let options = cluster.options().token(token("alice", json!({"aud": aud})));
        assert_eq!(refused(options).await, CloseCode::NOT_AUTHENTICATED, "{aud}");
    }
    for aud in [json!("chat"), json!(["shop", "chat"])] {
        Connection::open(cluster.options().token(token("alice", json!({"aud": aud})))).await;
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let cluster = cluster().await;
    let options = cluster.options().token(token("alice", json!({"exp": at(2)})));
    let mut alice = Connection::open(options).await;
    alice.join("lobby").await;
    assert_eq!(alice.closed().await.code, CloseCode::NOT_AUTHENTICATED);
}

#[tokio::test]
async fn a_connection_outlives_its_first_token_by_renewing_it() {
    let cluster = cluster().await;
    let open = async |exp| Connection::open(cluster.options().token(token("alice", exp))).await;
    let mut renews = open(json!({"exp": at(4)})).await;
    let forgets = open(json!({"exp": at(5)})).await;
    renews.ok(json!({"type": "auth", "token": token("alice", json!({}))})).await;
    assert_eq!(forgets.closed().await.code, CloseCode::NOT_AUTHENTICATED);
    // The other one's end has come later than its own would have.
    renews.join("lobby").await;
}

#[tokio::test]
async fn a_token_of_somebody_else_or_of_no_worth_renews_nothing() {
    let cluster = cluster().await;
    let mut alice = Connection::open(cluster.options().token(token("alice", json!({})))).await;
    for bad in
        [token("bob", json!({})), token("alice", json!({"exp": at(-60)})), "rubbish".to_owned()]
    {
        assert_eq!(alice.refused(json!({"type": "auth", "token": bad})).await, "forbidden");
    }
    alice.join("lobby").await;
}

#[tokio::test]
async fn the_claim_rooms_says_what_may_be_done_where() {
    let cluster = cluster().await;
    let rooms = json!({"rooms": [
        {"pattern": "team-*", "can": ["join", "publish"]},
        {"pattern": "news", "can": ["join"]},
        {"pattern": "inbox-of-ideas", "can": ["publish"]},
        {"pattern": "archive", "can": ["history"]},
    ]});
    let mut alice = Connection::open(cluster.options().token(token("alice", rooms))).await;
    let ask = |kind: &str, room: &str| json!({"type": kind, "room": room, "event": "e", "data": 1});

    alice.join("team-red").await;
    alice.publish("team-red", 1).await;
    alice.join("news").await;
    // Rights that need no joining.
    alice.ok(ask("publish", "inbox-of-ideas")).await;
    alice.ok(ask("history", "archive")).await;

    for (kind, room) in [
        ("join", "secret"),
        ("join", "team"),
        ("join", "inbox-of-ideas"),
        ("publish", "news"),
        ("publish", "secret"),
        ("publish", "archive"),
        ("history", "secret"),
        ("history", "inbox-of-ideas"),
    ] {
        assert_eq!(alice.refused(ask(kind, room)).await, "forbidden", "{kind} {room}");
    }
}

#[tokio::test]
async fn a_renewed_token_brings_its_own_rights() {
    let cluster = cluster().await;
    let only = |room: &str| json!({"rooms": [{"pattern": room, "can": ["join", "publish"]}]});
    let options = cluster.options().token(token("alice", only("old")));
    let mut alice = Connection::open(options).await;
    alice.ok(json!({"type": "auth", "token": token("alice", only("new"))})).await;
    alice.join("new").await;
    assert_eq!(alice.refused(json!({"type": "join", "room": "old"})).await, "forbidden");
}

#[tokio::test]
async fn a_renewed_token_that_allows_less_ends_what_it_does_not_allow() {
    let cluster = cluster().await;
    let mut watcher = Connection::open(cluster.options().token(token("bob", json!({})))).await;
    let mut alice = Connection::open(cluster.options().token(token("alice", json!({})))).await;
    for room in ["lobby", "team-a"] {
        watcher.join(room).await;
        alice.join(room).await;
    }
    let rights = json!([{"pattern": "team-*", "can": ["join", "publish"]}]);
    let less = token("alice", json!({"rooms": rights}));
    alice.ok(json!({"type": "auth", "token": less})).await;
    let told = alice.next_of("error").await;
    assert_eq!((&told["code"], &told["id"]), (&json!("forbidden"), &json!(null)));
    let left = watcher.next_of("left").await;
    assert_eq!((&left["room"], &left["user"]), (&json!("lobby"), &json!("alice")));
    watcher.publish("lobby", "alone").await;
    watcher.publish("team-a", "together").await;
    assert_eq!(alice.next_of("message").await["data"], "together");
}

#[tokio::test]
async fn public_keys_verify_what_their_private_keys_have_signed() {
    for (name, algorithm, generated) in [
        ("ES256", Algorithm::ES256, &PKCS_ECDSA_P256_SHA256),
        ("EdDSA", Algorithm::EdDSA, &PKCS_ED25519),
    ] {
        let pair = KeyPair::generate_for(generated).unwrap();
        let key = |pair: &KeyPair| {
            let pem = pair.serialize_pem();
            match algorithm {
                Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
                _ => EncodingKey::from_ed_pem(pem.as_bytes()).unwrap(),
            }
        };
        let jwt = format!("algorithm = \"{name}\", key = \"file:public.pem\"");
        let cluster = Setup::new()
            .file("public.pem", pair.public_key_pem())
            .section(&format!("[auth]\nmode = \"jwt\"\njwt = {{ {jwt} }}"))
            .start()
            .await;
        let good = sign("alice", json!({}), algorithm, &key(&pair));
        assert_eq!(Connection::open(cluster.options().token(good)).await.user, "alice");
        let stranger = KeyPair::generate_for(generated).unwrap();
        // The public key as an HMAC secret is the oldest trick (RFC 8725 §2.1).
        let public = EncodingKey::from_secret(pair.public_key_pem().as_bytes());
        for bad in [
            sign("alice", json!({}), algorithm, &key(&stranger)),
            sign("alice", json!({}), Algorithm::HS256, &public),
        ] {
            let code = refused(cluster.options().token(bad)).await;
            assert_eq!(code, CloseCode::NOT_AUTHENTICATED, "{name}");
        }
    }
}
