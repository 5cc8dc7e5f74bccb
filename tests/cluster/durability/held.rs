//! Shards die under native clients that stay connected and see nothing of it but a pause.

use serde_json::{Value, json};

use super::kills::EMBEDDED;
use crate::harness::{Cluster, Connection, Setup, get};

async fn start() -> Cluster {
    // Nobody is to be taken for gone because a busy machine takes long to start a process.
    Setup::new().section(EMBEDDED).section("[presence]\ngrace = \"60s\"").start().await
}

/// Kills a shard and starts it again.
async fn restart(cluster: &mut Cluster, shard: &str) {
    cluster.kill_shard(shard).await;
    cluster.start_shard(shard).await;
    cluster.all_trunks_are_up().await;
}

/// Publishes until it is granted: while the owner is away it is refused.
async fn publish(person: &mut Connection, room: &str, data: &str) -> Value {
    let request = json!({"type": "publish", "room": room, "event": "e", "data": data, "key": data});
    loop {
        let answer = person.ask(request.clone()).await;
        if answer["type"] == "ok" {
            return answer;
        }
        assert_eq!(answer["code"], "unavailable");
    }
}

/// What a client has seen of a room: texts, with comings, goings and gaps by their names.
async fn seen(person: &mut Connection) -> Vec<String> {
    let text = |it: &Value| match it["type"].as_str().unwrap() {
        "message" | "private" => it["data"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    person.so_far().await.iter().map(text).collect()
}

#[tokio::test]
async fn a_client_stays_connected_when_its_shard_is_killed() {
    let mut cluster = start().await;
    let room = cluster.room_on("a");
    let mut alice = cluster.connect(&cluster.user_on("b", 0)).await;
    let mut bob = cluster.connect(&cluster.user_on("c", 0)).await;
    for person in [&mut alice, &mut bob] {
        person.join(&room).await;
    }
    publish(&mut bob, &room, "before").await;
    alice.next_of("message").await;
    seen(&mut bob).await;
    for round in 0..3 {
        // Said by bob while alice's shard is away.
        cluster.kill_shard("b").await;
        publish(&mut bob, &room, &format!("away-{round}")).await;
        cluster.start_shard("b").await;
        cluster.all_trunks_are_up().await;
        publish(&mut alice, &room, &format!("back-{round}")).await;
        let expected = [format!("away-{round}"), format!("back-{round}")];
        assert_eq!(seen(&mut alice).await, expected);
        assert_eq!(seen(&mut bob).await, expected, "nobody is said to have come or gone");
    }
    let presence = alice.ok(json!({"type": "presence", "room": room})).await;
    assert_eq!(presence["users"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_room_goes_on_for_its_members_when_its_owner_is_killed() {
    let mut cluster = start().await;
    let room = cluster.room_on("a");
    let mut home = cluster.connect(&cluster.user_on("a", 0)).await;
    let mut away = cluster.connect(&cluster.user_on("b", 0)).await;
    for person in [&mut home, &mut away] {
        person.join(&room).await;
    }
    seen(&mut home).await;
    for round in 0..3 {
        restart(&mut cluster, "a").await;
        let texts = [format!("home-{round}"), format!("away-{round}")];
        publish(&mut home, &room, &texts[0]).await;
        publish(&mut away, &room, &texts[1]).await;
        for person in [&mut home, &mut away] {
            assert_eq!(seen(person).await, texts);
        }
    }
}

#[tokio::test]
async fn a_shard_that_is_back_waits_for_nobody_who_is_still_dead() {
    let mut cluster = start().await;
    let room = cluster.room_on("a");
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&room).await;
    publish(&mut alice, &room, "before").await;
    for shard in ["b", "a"] {
        cluster.kill_shard(shard).await;
    }
    // It won't call itself ready while it misses a peer.
    cluster.spawn_shard("a");
    let answer = publish(&mut alice, &room, "after").await;
    assert_eq!(answer["offset"], 2);
}

#[tokio::test]
async fn what_is_said_while_the_shard_is_away_is_answered_when_it_is_back() {
    let mut cluster = start().await;
    let room = cluster.room_on("b");
    let user = cluster.user_on("b", 0);
    let mut alice = cluster.connect(&user).await;
    alice.join(&room).await;
    cluster.kill_shard("b").await;
    for id in 100..110 {
        let publish = json!({"type": "publish", "id": id, "room": room, "event": "e", "data": id});
        alice.wire.send_json(&publish).await.unwrap();
    }
    cluster.start_shard("b").await;
    cluster.all_trunks_are_up().await;
    let mut answered = Vec::new();
    let mut heard = Vec::new();
    while heard.len() < 10 {
        let object = alice.wire.next_json().await.unwrap();
        match object["type"].as_str().unwrap() {
            "ok" => {
                answered.push((object["id"].as_u64().unwrap(), object["offset"].as_u64().unwrap()));
            }
            "message" => heard.push(object["data"].as_u64().unwrap()),
            _ => panic!("nobody waits for {object}"),
        }
    }
    assert_eq!(answered, (100..110).zip(1..).collect::<Vec<_>>());
    assert_eq!(heard, (100..110).collect::<Vec<_>>());
}

#[tokio::test]
async fn private_messages_reach_a_client_whose_shard_was_killed() {
    let mut cluster = start().await;
    let user = cluster.user_on("b", 0);
    let mut alice = cluster.connect(&user).await;
    let mut bob = cluster.connect(&cluster.user_on("a", 0)).await;
    assert_eq!(bob.send(&user, "one").await, "delivered");
    assert_eq!(alice.next_of("private").await["data"], "one");
    restart(&mut cluster, "b").await;
    cluster
        .eventually("alice can be reached", async || bob.send(&user, "two").await == "delivered")
        .await;
    let private = alice.next_of("private").await;
    assert_eq!(private["data"], "two");
}

#[tokio::test]
async fn the_router_counts_whom_it_holds() {
    let mut cluster = start().await;
    let _alice = cluster.connect(&cluster.user_on("b", 0)).await;
    cluster.kill_shard("b").await;
    cluster
        .eventually("she is held", async || cluster.router_metric("trunkline_held").await > 0.5)
        .await;
    cluster.start_shard("b").await;
    cluster.all_trunks_are_up().await;
    cluster
        .eventually("she is attached again", async || {
            cluster.router_metric("trunkline_reattached_total").await > 0.5
                && cluster.router_metric("trunkline_held").await < 0.5
        })
        .await;
    assert_eq!(get(cluster.port, "/healthz").await.status, 200);
}
