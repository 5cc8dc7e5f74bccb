//! Random bytes and texts that look like requests: nothing may panic, and nobody may hang.
//!
//! The seed is fixed: a failure is the same each time, and the inputs don't grow stale, as every
//! change of a strategy makes others.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::harness::{Cluster, Raw, Setup, frame, upgrade_request};

/// So many values of a strategy, the same ones each time.
fn values<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Waits until every connection was seen to end, so that all that was sent has been looked at.
async fn all_have_ended(cluster: &Cluster) {
    cluster
        .eventually("all have ended", async || {
            cluster.router_metric("trunkline_connections").await < 1.0
        })
        .await;
}

#[tokio::test]
async fn random_bytes_after_the_upgrade_break_nothing_but_their_connection() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    for bytes in values(prop::collection::vec(any::<u8>(), 1..200), 200) {
        let mut raw = cluster.raw("noise").await;
        raw.try_write(&bytes).await;
    }
    all_have_ended(&cluster).await;
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn random_frames_break_nothing_but_their_connection() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let payload = prop::collection::vec(any::<u8>(), 0..150);
    let frames = prop::collection::vec((any::<u8>(), payload), 1..6);
    for frames in values(frames, 200) {
        let mut raw = cluster.raw("noise").await;
        for (first, payload) in frames {
            raw.try_write(&frame(first, &payload)).await;
        }
    }
    all_have_ended(&cluster).await;
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn random_bytes_in_place_of_an_upgrade_break_nothing() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let good = upgrade_request(cluster.address(), "/ws?room=lobby&user=a", "").into_bytes();
    let change = (0..good.len(), any::<u8>());
    let changes = prop::collection::vec(change, 1..5);
    for changes in values(changes, 200) {
        let mut bytes = good.clone();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        Raw::connect(cluster.address()).await.try_write(&bytes).await;
    }
    all_have_ended(&cluster).await;
    cluster.goes_on_as(&before).await;
}

/// Objects with the fields of requests, of any type and in any number.
fn near_request() -> impl Strategy<Value = String> {
    let kinds =
        ["join", "leave", "publish", "send", "history", "presence", "auth", "ping", "message"];
    let fields = [
        "type",
        "id",
        "room",
        "event",
        "data",
        "args",
        "key",
        "to",
        "after",
        "before",
        "limit",
        "echo",
        "ephemeral",
        "token",
    ];
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1e999".to_owned()),
        Just("{\"epoch\":\"e\",\"offset\":18446744073709551615}".to_owned()),
        Just("[[],{},\"\\u0000\",{\"$base64\":\"???\"}]".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        "\"[a-c~]{0,3}\"",
    ];
    let pair = (prop::sample::select(fields.to_vec()).prop_map(str::to_owned), value);
    (prop::sample::select(kinds.to_vec()), prop::collection::vec(pair, 0..8)).prop_map(
        |(kind, pairs)| {
            let pairs: String =
                pairs.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
            format!("{{\"type\":\"{kind}\"{pairs}}}")
        },
    )
}

#[tokio::test]
async fn no_text_closes_a_connection_or_stops_what_comes_after_it() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    for shard in ["a", "b", "c"] {
        let mut alice = cluster.connect(&cluster.user_on(shard, 1)).await;
        let texts = values(prop_oneof![1 => any::<String>(), 5 => near_request()], 300);
        for (number, text) in (1_u64 << 52..).zip(texts) {
            alice.wire.send_text(text.as_str()).await.unwrap();
            let ping = format!("{{\"type\":\"ping\",\"id\":{number}}}");
            alice.wire.send_text(ping).await.unwrap();
            loop {
                let object = alice.wire.next_json().await.unwrap_or_else(|error| {
                    panic!("{error} after {text:?}");
                });
                if object["id"] == number && object["type"] == "ok" {
                    break;
                }
            }
        }
    }
    cluster.goes_on_as(&before).await;
}
