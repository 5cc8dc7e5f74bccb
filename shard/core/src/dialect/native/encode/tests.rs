//! What is written reads as the protocol says.

use super::*;
use crate::message::Arguments;
use std::sync::Arc;

fn record(json: &str, count: u32) -> Record {
    Record {
        offset: 58,
        time_ms: 1_790_000_000_000,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([0; 24]),
        sequence: 1,
        key: None,
        echo: true,
        body: Body {
            event: Arc::from("chat \"x\""),
            arguments: Arguments::new(json, count),
            attachments: Vec::new(),
        },
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_message_reads_as_the_protocol_says() {
    let room = RoomId::parse("lobby").unwrap();
    let message = message(Source::Room(&room), &Epoch::new("9k2f"), &record("\"hi\"", 1));
    assert_eq!(
        text(&message),
        r#"{"type":"message","room":"lobby","epoch":"9k2f","offset":58,"from":"alice","event":"chat \"x\"","data":"hi","time":1790000000000}"#
    );
}

#[test]
fn none_or_several_arguments_are_an_array() {
    let room = RoomId::parse("lobby").unwrap();
    let encode = |json, count| {
        let bytes = message(Source::Room(&room), &Epoch::new("e"), &record(json, count));
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    assert_eq!(encode("", 0)["args"], serde_json::json!([]));
    assert_eq!(encode("1, {}", 2)["args"], serde_json::json!([1, {}]));
    assert!(encode("1, {}", 2).get("data").is_none());
}

#[test]
fn an_error_without_id_has_none() {
    let problem = Problem::bad("no");
    assert_eq!(
        text(&error(None, &problem)),
        r#"{"type":"error","code":"bad_request","message":"no"}"#
    );
    assert_eq!(
        text(&error(Some(0), &problem)),
        r#"{"type":"error","id":0,"code":"bad_request","message":"no"}"#
    );
}

#[test]
fn presence_lists_users_with_their_connections() {
    let room = RoomId::parse("lobby").unwrap();
    let user = UserPresence { user: UserId::parse("bob").unwrap(), connections: 2 };
    assert_eq!(
        text(&presence(Some(4), &room, &[user], true)),
        r#"{"type":"ok","id":4,"room":"lobby","users":[{"user":"bob","connections":2}],"sure":true}"#
    );
}

#[test]
fn binary_is_base64_in_an_object_of_its_own() {
    let room = RoomId::parse("lobby").unwrap();
    let mut record = record("{\"_placeholder\":true,\"num\":0}", 1);
    record.body.attachments = vec![Bytes::from_static(b"\0\x01")];
    let message = message(Source::Room(&room), &Epoch::new("e"), &record);
    let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
    assert_eq!(message["data"], serde_json::json!({"$base64": "AAE="}));
}
