//! Private messages across shards.

use serde_json::json;
use trunkline_client::Position;

use crate::harness::{Connection, Setup};

#[tokio::test]
async fn every_connection_of_the_user_gets_it_wherever_it_is_homed() {
    let cluster = Setup::new().start().await;
    let bob = cluster.user_on("b", 0);
    let mut by_user = cluster.connect(&bob).await;
    let mut by_room = cluster.connect_to(&cluster.room_on("c"), &bob).await;
    let mut by_other = cluster.connect_to(&cluster.room_on("a"), &bob).await;
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    assert_eq!(alice.send(&bob, "hello").await, "delivered");
    for connection in [&mut by_user, &mut by_room, &mut by_other] {
        let private = connection.next_of("private").await;
        assert_eq!((&private["data"], &private["offset"]), (&json!("hello"), &json!(1)));
    }
}

#[tokio::test]
async fn what_comes_while_nobody_is_there_waits_and_comes_once() {
    let cluster = Setup::new().start().await;
    let bob = cluster.user_on("b", 0);
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    for n in 0..3 {
        assert_eq!(alice.send(&bob, n).await, "queued");
    }
    let mut first = cluster.connect(&bob).await;
    for n in 0..3 {
        assert_eq!(first.next_of("private").await["data"], n);
    }
    // The inbox hears from the router that they were handed over; a later connection gets none.
    assert_eq!(alice.send(&bob, "now").await, "delivered");
    assert_eq!(first.next_of("private").await["data"], "now");
    first.close().await;
    let mut second = cluster.connect(&bob).await;
    assert_eq!(alice.send(&bob, "later").await, "delivered");
    assert_eq!(second.next_of("private").await["data"], "later");
}

#[tokio::test]
async fn an_inbox_is_resumed_after_a_position() {
    let cluster = Setup::new().start().await;
    let mut bob = cluster.connect("bob").await;
    let mut alice = cluster.connect("alice").await;
    for n in 1..=4 {
        assert_eq!(alice.send("bob", n).await, "delivered");
    }
    let first = bob.next_of("private").await;
    bob.close().await;
    let after = Position::new(first["epoch"].as_str().unwrap(), first["offset"].as_u64().unwrap());
    let mut again = Connection::open(cluster.options().user("bob").inbox(after)).await;
    for n in 2..=4 {
        assert_eq!(again.next_of("private").await["data"], n);
    }
}

#[tokio::test]
async fn an_ephemeral_one_reaches_who_is_there_and_waits_for_nobody() {
    let cluster = Setup::new().start().await;
    let mut alice = cluster.connect("alice").await;
    let whisper =
        json!({"type": "send", "to": "bob", "event": "typing", "data": true, "ephemeral": true});
    assert_eq!(alice.ok(whisper.clone()).await["status"], "offline");
    let mut bob = cluster.connect("bob").await;
    assert_eq!(alice.ok(whisper).await["status"], "delivered");
    assert!(bob.next_of("private").await.get("offset").is_none());
}

#[tokio::test]
async fn a_message_to_a_session_goes_to_that_session_alone() {
    let cluster = Setup::new().start().await;
    let mut one = cluster.connect("bob").await;
    let mut other = cluster.connect("bob").await;
    let mut alice = cluster.connect("alice").await;
    let session = one.session.clone();
    assert_eq!(alice.send(&session, "you").await, "delivered");
    assert_eq!(one.next_of("private").await["data"], "you");
    assert!(other.so_far().await.is_empty());
    one.close().await;
    cluster
        .eventually("the session is gone", async || {
            cluster.router_metric("trunkline_connections").await == 2.0
        })
        .await;
    assert_eq!(alice.send(&session, "gone").await, "offline");
}

#[tokio::test]
async fn a_repeated_key_is_delivered_once() {
    let cluster = Setup::new().start().await;
    let mut bob = cluster.connect("bob").await;
    let mut alice = cluster.connect("alice").await;
    let send = json!({"type": "send", "to": "bob", "event": "pay", "data": 1, "key": "k"});
    for _ in 0..3 {
        assert_eq!(alice.ok(send.clone()).await["status"], "delivered");
    }
    alice.send("bob", "last").await;
    assert_eq!(bob.next_of("private").await["data"], 1);
    assert_eq!(bob.next_of("private").await["data"], "last");
}
