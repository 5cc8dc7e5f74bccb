//! What a shard sends reaches the right sockets, in the order in which it was sent.

use trunkline_proto::trunk::{FrameKind, Part, down};

use crate::harness::{Stage, acknowledge, close, fan, join, leave, live, send};

#[tokio::test]
async fn a_group_hears_in_the_order_of_the_trunk_and_one_can_be_left_out() {
    let mut stage = Stage::set().await;
    let (mut alice, a) = stage.client("user=alice").await;
    let (mut bob, b) = stage.client("user=bob").await;
    stage
        .trunk
        .batch(vec![
            live(a, "welcome"),
            join(7, a),
            join(7, b),
            fan(7, "one", FrameKind::Live, 0),
            fan(7, "not to alice", FrameKind::Live, a),
            live(a, "only to alice"),
            fan(7, "two", FrameKind::Ephemeral, 0),
            leave(7, b),
            fan(7, "three", FrameKind::Live, 0),
            live(b, "bye"),
        ])
        .await;
    for text in ["welcome", "one", "only to alice", "two", "three"] {
        assert_eq!(alice.hear().await, text);
    }
    for text in ["one", "not to alice", "two", "bye"] {
        assert_eq!(bob.hear().await, text);
    }
    assert_eq!(stage.metric("trunkline_deliveries_total"), 9);
}

#[tokio::test]
async fn a_frame_of_several_messages_arrives_together() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    let mut item = send(&[number], "head", FrameKind::Live, 0);
    if let down::Item::Send(send) = &mut item {
        let parts = &mut send.frame.as_mut().expect("a frame").parts;
        parts.push(Part { payload: vec![1, 2, 3].into(), binary: true });
    }
    stage.trunk.batch(vec![item]).await;
    assert_eq!(raw.read().await, (0x81, b"head".to_vec()));
    assert_eq!(raw.read().await, (0x82, vec![1, 2, 3]));
    assert_eq!(stage.metric("trunkline_deliveries_total"), 2);
}

#[tokio::test]
async fn a_receipt_says_whether_anybody_took_it() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = stage.client("user=alice").await;
    stage
        .trunk
        .batch(vec![
            send(&[999, number], "hi", FrameKind::Live, 5),
            send(&[999], "hi", FrameKind::Live, 6),
            send(&[number], "no receipt wanted", FrameKind::Live, 0),
            send(&[], "hi", FrameKind::Live, 7),
        ])
        .await;
    assert_eq!(stage.trunk.receipt().await, (5, true));
    assert_eq!(stage.trunk.receipt().await, (6, false));
    assert_eq!(stage.trunk.receipt().await, (7, false));
    assert_eq!(alice.hear().await, "hi");
}

#[tokio::test]
async fn messages_go_up_verbatim_and_counted() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = stage.client("user=alice").await;
    for text in ["{\"type\":\"ping\"}", "not json", ""] {
        alice.say(text).await;
    }
    assert_eq!(stage.trunk.message().await, (number, 1, "{\"type\":\"ping\"}".to_owned()));
    assert_eq!(stage.trunk.message().await, (number, 2, "not json".to_owned()));
    assert_eq!(stage.trunk.message().await, (number, 3, String::new()));
    assert_eq!(stage.metric("trunkline_messages_in_total{dialect=\"native\"}"), 3);
}

#[tokio::test]
async fn who_closes_is_detached_once_and_hears_no_more() {
    let mut stage = Stage::set().await;
    let (alice, a) = stage.client("user=alice").await;
    let (mut bob, b) = stage.client("user=bob").await;
    stage.trunk.batch(vec![join(7, a), join(7, b)]).await;
    alice.close().await;
    assert_eq!(stage.trunk.detach().await, a);
    stage
        .trunk
        .batch(vec![join(8, a), acknowledge(a, 1), close(a, 1000, ""), live(a, "too late")])
        .await;
    stage.trunk.batch(vec![fan(7, "still here", FrameKind::Live, 0)]).await;
    assert_eq!(bob.hear().await, "still here");
    bob.say("me too").await;
    assert_eq!(stage.trunk.message().await, (b, 1, "me too".to_owned()));
}

#[tokio::test]
async fn a_shard_closes_after_what_is_queued() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    stage
        .trunk
        .batch(vec![live(number, "last words"), close(number, 4001, "expired"), live(number, "no")])
        .await;
    assert_eq!(raw.read().await, (0x81, b"last words".to_vec()));
    let (first, payload) = raw.read().await;
    assert_eq!((first, &payload[..]), (0x88, &b"\x0f\xa1expired"[..]));
    raw.ended().await;
    drop(raw);
    assert_eq!(stage.trunk.detach().await, number);
    assert_eq!(stage.metric("trunkline_closes_total{code=\"4001\"}"), 1);
}
