//! Requests that are none: each gets the error that the protocol states, and the connection stays.

use serde_json::{Value, json};

use crate::harness::{Cluster, Connection, Setup};

async fn alice(cluster: &Cluster) -> Connection {
    let mut alice = cluster.connect("alice").await;
    alice.join("lobby").await;
    alice
}

/// The error's code and request number that a text leads to.
async fn answer(connection: &mut Connection, text: &str) -> (String, Value) {
    connection.wire.send_text(text).await.unwrap();
    let error = connection.next_of("error").await;
    assert!(!error["message"].as_str().unwrap().is_empty(), "{text} got {error}");
    (error["code"].as_str().unwrap().to_owned(), error["id"].clone())
}

#[tokio::test]
async fn what_is_no_request_gets_bad_request_and_the_connection_stays() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let mut alice = alice(&cluster).await;
    for text in [
        "",
        "{",
        "null",
        "[]",
        "17",
        "\"join\"",
        "{}",
        "{\"type\":\"join\",\"room\":\"lobby\"} trailing",
        "{\"type\":\"join\",\"room\":\"\\ud800\"}",
        "{'type':'join'}",
        &"[".repeat(60_000),
        &"{\"type\":".repeat(8_000),
    ] {
        let (code, _) = answer(&mut alice, text).await;
        assert_eq!(code, "bad_request", "{}", text.get(..40).unwrap_or(text));
    }
    alice.publish("lobby", "still here").await;
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn an_unknown_type_is_named_as_that() {
    let cluster = Setup::new().start().await;
    let mut alice = alice(&cluster).await;
    for kind in ["dance", "", "Join", "welcome", "ok"] {
        assert_eq!(alice.refused(json!({"type": kind})).await, "unknown_type", "{kind:?}");
    }
}

#[tokio::test]
async fn a_field_of_another_type_gets_bad_request_with_the_request_s_number() {
    let cluster = Setup::new().start().await;
    let mut alice = alice(&cluster).await;
    for wrong in [
        json!({"type": "join"}),
        json!({"type": "join", "room": 7}),
        json!({"type": "join", "room": null}),
        json!({"type": "join", "room": "r", "after": 3}),
        json!({"type": "join", "room": "r", "after": {"epoch": "e", "offset": -1}}),
        json!({"type": "publish", "room": "lobby", "data": 1}),
        json!({"type": "publish", "room": "lobby", "event": ["e"], "data": 1}),
        json!({"type": "publish", "room": "lobby", "event": "e"}),
        json!({"type": "publish", "room": "lobby", "event": "e", "args": {}}),
        json!({"type": "publish", "room": "lobby", "event": "e", "data": 1, "ephemeral": "yes"}),
        json!({"type": "publish", "room": "lobby", "event": "e", "data": 1, "key": 5}),
        json!({"type": "publish", "room": "lobby", "event": "", "data": 1}),
        json!({"type": "publish", "room": "lobby", "event": "disconnect", "data": 1}),
        json!({"type": "publish", "room": "lobby", "event": "e".repeat(257), "data": 1}),
        json!({"type": "send", "to": {}, "event": "e", "data": 1}),
        json!({"type": "history", "room": "lobby", "limit": "all"}),
        json!({"type": "history", "room": "lobby", "after": 1.5}),
        json!({"type": "presence", "room": "lobby", "limit": -1}),
        json!({"type": "auth", "token": []}),
    ] {
        assert_eq!(alice.refused(wrong.clone()).await, "bad_request", "{wrong}");
    }
}

#[tokio::test]
async fn a_number_that_no_request_can_have_gets_bad_request() {
    let cluster = Setup::new().start().await;
    let mut alice = alice(&cluster).await;
    for id in ["-1", "1.5", "\"7\"", "9007199254740992", "1e400", "{}"] {
        let text = format!("{{\"type\":\"ping\",\"id\":{id}}}");
        assert_eq!(answer(&mut alice, &text).await, ("bad_request".to_owned(), Value::Null));
    }
}

#[tokio::test]
async fn ids_that_are_too_long_are_too_large() {
    let cluster = Setup::new().start().await;
    let mut alice = alice(&cluster).await;
    let long = "é".repeat(129);
    alice.join(&long[..256]).await;
    for request in [
        json!({"type": "join", "room": long}),
        json!({"type": "publish", "room": long, "event": "e", "data": 1}),
        json!({"type": "publish", "room": "lobby", "event": "e", "data": 1, "key": &long[..130]}),
        json!({"type": "send", "to": long, "event": "e", "data": 1}),
        json!({"type": "history", "room": long}),
        json!({"type": "presence", "room": long}),
    ] {
        assert_eq!(alice.refused(request.clone()).await, "too_large", "{request}");
    }
}

#[tokio::test]
async fn ids_with_control_characters_or_of_nothing_get_bad_request() {
    let cluster = Setup::new().start().await;
    let mut alice = alice(&cluster).await;
    for id in ["", "a\0b", "a\nb", "\u{7f}", "\u{85}"] {
        for request in [
            json!({"type": "join", "room": id}),
            json!({"type": "publish", "room": id, "event": "e", "data": 1}),
            json!({"type": "send", "to": id, "event": "e", "data": 1}),
            json!({"type": "presence", "room": id}),
        ] {
            assert_eq!(alice.refused(request.clone()).await, "bad_request", "{request}");
        }
    }
}

#[tokio::test]
async fn an_error_without_a_number_answers_a_request_without_one() {
    let cluster = Setup::new().start().await;
    let mut alice = alice(&cluster).await;
    let text = json!({"type": "leave", "room": "elsewhere"}).to_string();
    assert_eq!(answer(&mut alice, &text).await, ("not_joined".to_owned(), Value::Null));
    // What succeeds without a number gets no reply at all.
    alice.wire.send_text("{\"type\":\"leave\",\"room\":\"lobby\"}").await.unwrap();
    assert!(alice.so_far().await.is_empty());
}
