//! Limits of the configuration: each has its answer, and who keeps to them is not disturbed.

use std::time::Duration;

use serde_json::{Value, json};
use trunkline_client::tungstenite::http::StatusCode;
use trunkline_client::{CloseCode, ConnectError, Options, Wire};

use crate::harness::{Cluster, Raw, Setup, frame, get, upgrade_request};

const TEXT: u8 = 0x81;

/// The status with which an upgrade is refused; 101 if it is not.
async fn status(options: &Options) -> StatusCode {
    match Wire::connect(options).await {
        Ok(_) => StatusCode::SWITCHING_PROTOCOLS,
        Err(ConnectError::Refused { status, .. }) => status,
        Err(error) => panic!("neither upgraded nor refused: {error}"),
    }
}

fn publish(room: &str, data: impl Into<Value>) -> Value {
    json!({"type": "publish", "room": room, "event": "e", "data": data.into()})
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009_and_one_of_the_limit_passes() {
    let cluster = Setup::new().section("[limits]\nmessage = \"1KiB\"").start().await;
    let mut alice = cluster.connect("alice").await;
    alice.join("lobby").await;
    let length = |data: &str| publish("lobby", data).to_string().len();
    let data = "x".repeat(1024 - length(""));
    alice.wire.send_json(&publish("lobby", data.clone())).await.unwrap();
    assert_eq!(alice.next_of("message").await["data"], json!(data));
    alice.wire.send_json(&publish("lobby", data + "x")).await.unwrap();
    assert_eq!(alice.closed().await.code, CloseCode::TOO_LARGE);
}

#[tokio::test]
async fn a_session_has_so_many_rooms_and_no_more() {
    let cluster = Setup::new().section("[limits]\nrooms_per_session = 3").start().await;
    let mut alice = cluster.connect("alice").await;
    for room in ["one", "two", "three", "one"] {
        alice.join(room).await;
    }
    let four = json!({"type": "join", "room": "four"});
    assert_eq!(alice.refused(four).await, "too_many_rooms");
    alice.leave("two").await;
    alice.join("four").await;
}

#[tokio::test]
async fn who_publishes_faster_than_the_rate_is_told_so_and_may_go_on_later() {
    let limits = "[limits]\npublish_rate = 1\npublish_burst = 3";
    let cluster = Setup::new().section(limits).start().await;
    let mut alice = cluster.connect("alice").await;
    let mut bob = cluster.connect("bob").await;
    alice.join("lobby").await;
    bob.join("lobby").await;
    for _ in 0..3 {
        alice.ok(publish("lobby", 1)).await;
    }
    // Both ways of sending count, whoever may be slow here.
    let send = json!({"type": "send", "to": "bob", "event": "e", "data": 1});
    cluster
        .eventually("a refusal", async || alice.ask(send.clone()).await["type"] == "error")
        .await;
    cluster
        .eventually("a refusal", async || {
            alice.ask(publish("lobby", 1)).await["code"] == "rate_limited"
        })
        .await;
    alice.ok(json!({"type": "history", "room": "lobby"})).await;
    bob.ok(publish("lobby", 1)).await;
    cluster
        .eventually("a place", async || alice.ask(publish("lobby", 1)).await["type"] == "ok")
        .await;
}

#[tokio::test]
async fn a_full_worker_refuses_with_503_until_somebody_leaves() {
    let cluster = Setup::new()
        .router("workers = 1")
        .section("[limits]\nconnections_per_worker = 2")
        .start()
        .await;
    let mut alice = cluster.connect("alice").await;
    let bob = cluster.connect("bob").await;
    let carol = cluster.options().user("carol");
    assert_eq!(status(&carol).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(cluster.port, "/healthz").await.status, 200);
    assert_eq!(alice.send("bob", "still here?").await, "delivered");
    bob.close().await;
    cluster
        .eventually("a free place", async || {
            status(&carol).await == StatusCode::SWITCHING_PROTOCOLS
        })
        .await;
}

/// A client that joins a room and then reads nothing.
async fn sluggard(cluster: &Cluster, room: &str) -> Raw {
    let mut raw = Raw::upgrade_narrow(cluster.address(), "/ws?user=slow").await;
    let join = json!({"type": "join", "id": 1, "room": room});
    raw.write(&frame(TEXT, join.to_string().as_bytes())).await;
    loop {
        let (_, text) = raw.read().await;
        if serde_json::from_slice::<Value>(&text).unwrap()["type"] == "ok" {
            return raw;
        }
    }
}

#[tokio::test]
async fn who_reads_too_slowly_is_closed_with_1013_and_recovers_while_others_notice_nothing() {
    let limits = "[limits]\nout_queue = \"64KiB\"\n[history]\nmessages = 5000\nbytes = \"32MiB\"";
    let cluster = Setup::new().section(limits).start().await;
    let room = cluster.room_on("b");
    let mut slow = sluggard(&cluster, &room).await;
    let mut alice = cluster.connect("alice").await;
    alice.join(&room).await;
    let data = "x".repeat(50_000);
    let dropped = "trunkline_dropped_total{queue=\"out\",why=\"full\"}";
    let mut newest = 0;
    while cluster.router_metric(dropped).await < 1.0 {
        newest = alice.publish(&room, data.as_str()).await["offset"].as_u64().unwrap();
        assert_eq!(alice.next_of("message").await["offset"], newest);
    }

    // What had left before comes whole and without a gap, then the reason.
    let mut seen = Value::Null;
    let code = loop {
        let (first, payload) = slow.read().await;
        if first == 0x88 {
            break u16::from_be_bytes([payload[0], payload[1]]);
        }
        let object: Value = serde_json::from_slice(&payload).unwrap();
        if object["type"] == "message" {
            assert_eq!(object["offset"].as_u64(), Some(seen["offset"].as_u64().unwrap_or(0) + 1));
            seen = object;
        }
    };
    assert_eq!(CloseCode(code), CloseCode::OVERLOADED);

    let mut again = cluster.connect("slow").await;
    let after = json!({"epoch": seen["epoch"], "offset": seen["offset"]});
    let ok = again.ok(json!({"type": "join", "room": room, "after": after})).await;
    assert_eq!(ok["recovered"], true);
    for offset in seen["offset"].as_u64().unwrap() + 1..=newest {
        assert_eq!(again.next_of("message").await["offset"], offset);
    }
    assert_eq!(alice.publish(&room, "on").await["offset"], newest + 1);
    assert_eq!(again.next_of("message").await["data"], "on");
}

#[tokio::test]
async fn history_is_bounded_by_bytes() {
    let cluster = Setup::new().section("[history]\nbytes = \"2KiB\"").start().await;
    let mut alice = cluster.connect("alice").await;
    alice.join("lobby").await;
    for n in 1..=10 {
        alice.publish("lobby", format!("{n}{}", "x".repeat(500))).await;
    }
    let history = alice.ok(json!({"type": "history", "room": "lobby"})).await;
    let offsets: Vec<u64> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["offset"].as_u64().unwrap())
        .collect();
    assert!((1..=4).contains(&offsets.len()), "{offsets:?}");
    assert_eq!(offsets.last(), Some(&10));
}

#[tokio::test]
async fn history_is_bounded_by_age() {
    let cluster = Setup::new().section("[history]\nage = \"300ms\"").start().await;
    let mut alice = cluster.connect("alice").await;
    alice.join("lobby").await;
    let old = alice.publish("lobby", "old").await;
    let history = json!({"type": "history", "room": "lobby"});
    cluster
        .eventually("it is forgotten", async || {
            alice.ok(history.clone()).await["messages"] == json!([])
        })
        .await;
    let mut bob = cluster.connect("bob").await;
    let after = json!({"epoch": old["epoch"], "offset": 0});
    let ok = bob.ok(json!({"type": "join", "room": "lobby", "after": after})).await;
    assert_eq!((&ok["recovered"], &ok["offset"]), (&json!(false), &json!(1)));
    assert_eq!(bob.next_of("gap").await["offset"], 1);
}

#[tokio::test]
async fn without_a_list_only_pages_of_the_same_origin_connect() {
    let cluster = Setup::new().start().await;
    let from = |origin: &str| cluster.options().origin(origin);
    let own = format!("http://127.0.0.1:{}", cluster.port);
    assert_eq!(status(&from(&own)).await, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(status(&cluster.options()).await, StatusCode::SWITCHING_PROTOCOLS);
    for other in ["https://evil.example", "http://127.0.0.1:1", "null"] {
        assert_eq!(status(&from(other)).await, StatusCode::FORBIDDEN, "{other}");
    }
}

#[tokio::test]
async fn listed_origins_connect_and_others_do_not() {
    let list = "allowed_origins = [\"https://app.example\"]";
    let cluster = Setup::new().router(list).start().await;
    let from = |origin: &str| cluster.options().origin(origin);
    assert_eq!(status(&from("https://app.example")).await, StatusCode::SWITCHING_PROTOCOLS);
    for other in ["http://app.example", "https://app.example.evil.example"] {
        assert_eq!(status(&from(other)).await, StatusCode::FORBIDDEN, "{other}");
    }
}

#[tokio::test]
async fn a_star_lets_pages_of_any_origin_connect() {
    let cluster = Setup::new().router("allowed_origins = [\"*\"]").start().await;
    let anybody = cluster.options().origin("https://evil.example");
    assert_eq!(status(&anybody).await, StatusCode::SWITCHING_PROTOCOLS);
}

#[tokio::test]
async fn a_header_has_so_many_bytes_and_no_more() {
    let cluster = Setup::new().section("[limits]\nheader = \"2KiB\"").start().await;
    let head = async |bytes: usize| {
        let mut raw = Raw::connect(cluster.address()).await;
        let header = format!("X-Filler: {}\r\n", "x".repeat(bytes));
        raw.write(upgrade_request(cluster.address(), "/ws", &header).as_bytes()).await;
        raw.head().await
    };
    assert!(head(1000).await.starts_with("HTTP/1.1 101 "));
    assert!(head(2048).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_header_that_is_not_there_in_time_ends_the_connection() {
    let cluster = Setup::new().section("[limits]\nheader_timeout = \"1s\"").start().await;
    let mut silent = Raw::connect(cluster.address()).await;
    let mut half = Raw::connect(cluster.address()).await;
    half.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n").await;
    let mut dripping = Raw::connect(cluster.address()).await;
    dripping.drip(b"GET /ws HTTP/1.1\r\nX-Slow: ", Duration::from_millis(50)).await;
    silent.ended().await;
    half.rest().await;
    cluster.connect("alice").await;
}
