//! Who lives where, and that the tools say the same as the processes.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Setup, TRUNKLINE};

async fn locate(config: &str, flag: &str, name: &str) -> Value {
    let output = Command::new(TRUNKLINE)
        .args(["locate", "--config", config, flag, name, "--json"])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn alice_and_bob_meet_in_a_room_of_a_third_shard_and_write_to_each_other() {
    let cluster = Setup::new().start().await;
    let (alice, bob) = (cluster.user_on("a", 0), cluster.user_on("b", 0));
    let room = cluster.room_on("c");
    for (flag, name, owner) in
        [("--user", &alice, "a"), ("--user", &bob, "b"), ("--room", &room, "c")]
    {
        assert_eq!(locate(&cluster.config(), flag, name).await["owner"], owner);
    }

    let mut at_a = cluster.connect(&alice).await;
    let mut at_b = cluster.connect(&bob).await;
    assert_eq!(at_a.join(&room).await["members"], 1);
    assert_eq!(at_b.join(&room).await["members"], 2);
    assert_eq!(at_a.next().await, json!({"type": "joined", "room": room, "user": bob}));

    let position = at_a.publish(&room, "hi").await;
    let heard = at_b.next_of("message").await;
    assert_eq!(heard["offset"], position["offset"]);
    assert_eq!((&heard["from"], &heard["data"]), (&json!(alice), &json!("hi")));

    assert_eq!(at_a.send(&bob, json!({"psst": [1, 2.50]})).await, "delivered");
    let private = at_b.next_of("private").await;
    assert_eq!((&private["from"], &private["data"]), (&json!(alice), &json!({"psst": [1, 2.5]})));
    assert_eq!(at_b.send(&alice, "and back").await, "delivered");
    assert_eq!(at_a.next_of("private").await["from"], json!(bob));

    cluster
        .eventually("metrics agree with locate", async || {
            let mut counts = Vec::new();
            for shard in ["a", "b", "c"] {
                let sessions = cluster.shard_metric(shard, "trunkline_sessions").await;
                let rooms = cluster.shard_metric(shard, "trunkline_rooms").await;
                let members = cluster.shard_metric(shard, "trunkline_members").await;
                counts.push((sessions, rooms, members));
            }
            counts == [(1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 2.0)]
        })
        .await;
    assert!(cluster.shard_metric("c", "trunkline_link_up{shard=\"a\"}").await > 0.0);
    assert!(cluster.router_metric("trunkline_connections").await >= 2.0);
}

#[tokio::test]
async fn a_connection_that_names_a_room_lives_with_it() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("b");
    let user = cluster.user_on("c", 0);
    let mut connection = cluster.connect_to(&room, &user).await;
    connection.join(&room).await;
    cluster
        .eventually("the session is on the room's shard", async || {
            cluster.shard_metric("b", "trunkline_sessions").await == 1.0
        })
        .await;
    // Its inbox is on the user's shard all the same.
    let mut other = cluster.connect("somebody").await;
    assert_eq!(other.send(&user, 1).await, "delivered");
    assert_eq!(connection.next_of("private").await["from"], "somebody");
}

#[tokio::test]
async fn a_message_crosses_to_each_shard_once_whoever_is_there() {
    let cluster = Setup::new().start().await;
    let room = cluster.room_on("a");
    let mut members = Vec::new();
    for nth in 0..4 {
        for shard in ["a", "b", "c"] {
            let mut member = cluster.connect(&cluster.user_on(shard, nth)).await;
            member.join(&room).await;
            members.push(member);
        }
    }
    let sent = async |to: &str| {
        let name = format!("trunkline_link_messages_total{{shard=\"{to}\"}}");
        cluster.shard_metric("a", &name).await
    };
    // Joins are settled when the last member has heard of everybody.
    for member in &mut members {
        member.so_far().await;
    }
    let before = (sent("b").await, sent("c").await);
    let publisher = &mut members[0];
    for n in 0..10 {
        publisher.publish(&room, n).await;
    }
    for member in &mut members {
        for n in 0..10 {
            assert_eq!(member.next_of("message").await["data"], n);
        }
    }
    assert_eq!((sent("b").await - before.0, sent("c").await - before.1), (10.0, 10.0));
}
