//! Shards die under Socket.IO clients that stay connected and see nothing of it but a pause.

use serde_json::{Value, json};

use super::kills::EMBEDDED;
use crate::harness::{Cluster, Setup, Socket};

async fn start() -> Cluster {
    Setup::new().section(EMBEDDED).start().await
}

/// Publishes until it is granted: while the owner is away it is refused.
async fn publish(person: &mut Socket, room: &str, data: &str) {
    loop {
        let answer = person.ask(&json!(["message", room, data])).await;
        if answer[0]["type"] == "ok" {
            return;
        }
        assert_eq!(answer[0]["code"], "unavailable");
    }
}

/// So many messages that a client hears next.
async fn hears(person: &mut Socket, count: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.push(person.event_of("message").await.args[1].clone());
    }
    heard
}

#[tokio::test]
async fn a_socketio_client_stays_connected_when_its_shard_is_killed() {
    let mut cluster = start().await;
    let room = cluster.room_on("a");
    let mut alice = Socket::open(cluster.port, &cluster.user_on("b", 0)).await;
    let mut bob = Socket::open(cluster.port, &cluster.user_on("c", 0)).await;
    for person in [&mut alice, &mut bob] {
        person.join(&room).await;
    }
    for round in 0..3 {
        // Said by bob while alice's shard is away.
        cluster.kill_shard("b").await;
        publish(&mut bob, &room, &format!("away-{round}")).await;
        cluster.start_shard("b").await;
        cluster.all_trunks_are_up().await;
        publish(&mut alice, &room, &format!("back-{round}")).await;
        let expected = [json!(format!("away-{round}")), json!(format!("back-{round}"))];
        assert_eq!(hears(&mut alice, 2).await, expected);
        assert_eq!(hears(&mut bob, 2).await, expected);
    }
    let presence = alice.ask(&json!(["presence", room])).await;
    assert_eq!(presence[0]["users"].as_array().unwrap().len(), 2, "{presence:?}");
}

#[tokio::test]
async fn a_room_goes_on_for_its_socketio_members_when_its_owner_is_killed() {
    let mut cluster = start().await;
    let room = cluster.room_on("a");
    let mut home = Socket::open(cluster.port, &cluster.user_on("a", 0)).await;
    let mut away = Socket::open(cluster.port, &cluster.user_on("b", 0)).await;
    for person in [&mut home, &mut away] {
        person.join(&room).await;
    }
    for round in 0..3 {
        cluster.kill_shard("a").await;
        cluster.start_shard("a").await;
        cluster.all_trunks_are_up().await;
        let texts = [format!("home-{round}"), format!("away-{round}")];
        publish(&mut home, &room, &texts[0]).await;
        publish(&mut away, &room, &texts[1]).await;
        for person in [&mut home, &mut away] {
            assert_eq!(hears(person, 2).await, texts.each_ref().map(|text| json!(text)));
        }
    }
}

#[tokio::test]
async fn what_is_emitted_while_the_shard_is_away_is_acknowledged_once_with_its_attachments() {
    let mut cluster = start().await;
    let room = cluster.room_on("b");
    let mut alice = Socket::open(cluster.port, &cluster.user_on("b", 0)).await;
    alice.join(&room).await;
    cluster.kill_shard("b").await;
    let mut asked = Vec::new();
    for number in 0..5 {
        let place = json!({"_placeholder": true, "num": 0});
        asked.push(alice.emit(&json!(["message", room, number])).await);
        asked.push(alice.emit_with(&json!(["message", room, number, place]), b"\0\xff").await);
    }
    cluster.start_shard("b").await;
    cluster.all_trunks_are_up().await;
    let answers = alice.acknowledgements(10).await;
    let offsets = answers.iter().map(|(_, args)| args[0]["offset"].as_u64().unwrap());
    assert_eq!(offsets.collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), asked);
    for number in 0..10 {
        let event = alice.event_of("message").await;
        assert_eq!(event.args[1], number / 2);
        let attached = [b"\0\xff".to_vec()];
        assert_eq!(event.attachments, if number % 2 == 1 { &attached[..] } else { &[] });
    }
    // Nothing comes behind it a second time.
    let last = alice.ask(&json!(["message", room, "last"])).await;
    assert_eq!(last[0]["offset"], 11);
    assert_eq!(hears(&mut alice, 1).await, [json!("last")]);
}
