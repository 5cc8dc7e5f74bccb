//! What is to be seen of a shard that goes away.

use serde_json::{Value, json};

use super::ask;
use crate::durability::kills::EMBEDDED;
use crate::harness::{Cluster, Connection, Process, Setup, eventually, get};

async fn is_ready(cluster: &Cluster, shard: &str) -> bool {
    let index = cluster.map.index_of(shard).unwrap();
    let address = &cluster.map.shards()[usize::from(index)].metrics;
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    get(port, "/readyz").await.status == 200
}

/// What a client has seen: texts, and all else by its type.
async fn seen(person: &mut Connection) -> Vec<String> {
    let text = |it: &Value| match it["type"].as_str().unwrap() {
        "message" | "private" => it["data"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    person.so_far().await.iter().map(text).collect()
}

#[tokio::test]
async fn nobody_is_said_to_have_come_or_gone_because_a_shard_drains() {
    let mut cluster = Setup::new().section(EMBEDDED).start().await;
    let before = cluster.ids();
    let rooms = ["a", "b", "c"].map(|shard| cluster.room_on(shard));
    let mut people = Vec::new();
    for shard in ["a", "b", "c"] {
        let mut person = cluster.connect(&cluster.user_on(shard, 0)).await;
        for room in &rooms {
            person.join(room).await;
        }
        people.push(person);
    }
    for person in &mut people {
        seen(person).await;
    }
    for shard in ["a", "b", "c"] {
        for what in ["drain", "resume"] {
            ask(&cluster, what, shard).await;
            for room in &rooms {
                let text = format!("{shard}-{what}-{room}");
                let ok = people[0].publish(room, text.as_str()).await;
                assert_eq!(ok["type"], "ok");
                for person in &mut people {
                    assert_eq!(person.next_of("message").await["data"], text);
                }
            }
            for person in &mut people {
                assert_eq!(seen(person).await, [""; 0]);
                for room in &rooms {
                    let presence = person.ok(json!({"type": "presence", "room": room})).await;
                    assert_eq!(presence["users"].as_array().unwrap().len(), 3, "{presence}");
                }
            }
        }
    }
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn a_drained_shard_is_not_ready_and_serves_again_when_asked() {
    let cluster = Setup::new().section(EMBEDDED).start().await;
    assert!(is_ready(&cluster, "b").await);
    let mut alice = cluster.connect(&cluster.user_on("b", 0)).await;
    ask(&cluster, "drain", "b").await;
    assert!(!is_ready(&cluster, "b").await);
    assert!(is_ready(&cluster, "a").await, "others are");
    assert_eq!(get(cluster.port, "/readyz").await.status, 200, "and the router is");
    alice.join("lobby").await;
    ask(&cluster, "resume", "b").await;
    eventually("it is ready", async || is_ready(&cluster, "b").await).await;
    alice.publish("lobby", "here").await;
}

#[tokio::test]
async fn the_last_shard_that_serves_can_not_be_drained_and_ends_at_once() {
    let mut cluster = Setup::new().shards(1).start().await;
    let _alice = cluster.connect("alice").await;
    let errors = cluster.path("drain.log");
    let config = cluster.config();
    let mut drain = Process::start(&errors, &["shard", "drain", "a", "--config", &config]);
    assert_eq!(drain.ended().await, Some(1));
    assert!(drain.errors().contains("no other shard can take over"), "{}", drain.errors());
    let mut shard = cluster.shards.remove("a").unwrap();
    assert_eq!(shard.terminate().await, Some(0));
    assert!(shard.errors().contains("ending at once"), "{}", shard.errors());
}

#[tokio::test]
async fn a_second_signal_ends_a_shard_at_once() {
    let mut cluster = Setup::new().section(EMBEDDED).start().await;
    let room = cluster.room_on("b");
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&room).await;
    alice.publish(&room, "stays").await;
    let mut shard = cluster.shards.remove("b").unwrap();
    // The others can't take anything over.
    for other in cluster.shards.values() {
        other.signal("STOP").await;
    }
    shard.signal("TERM").await;
    eventually("it waits", async || shard.errors().contains("moving to other shards")).await;
    shard.signal("TERM").await;
    assert_eq!(shard.ended().await, Some(0));
    assert!(shard.errors().contains("asked once more; ending at once"), "{}", shard.errors());
    for other in cluster.shards.values() {
        other.signal("CONT").await;
    }
}
