//! Shards that share a log take over from one that is dead.

use std::path::Path;

use serde_json::json;

use super::ask;
use super::maps::map;
use crate::durability::jetstream::{push, store};
use crate::durability::kills::{KEEP_ALL, survive};
use crate::durability::nats::Nats;
use crate::harness::{Cluster, Connection, Process, Setup, eventually, free};

async fn start(servers: &[Nats]) -> Cluster {
    let section = store(servers, "map_bucket = \"maps\"");
    Setup::new().section(&section).section(KEEP_ALL).start().await
}

fn all_logs(cluster: &Cluster) -> String {
    cluster.shards.values().map(Process::errors).collect()
}

#[tokio::test]
async fn the_rooms_of_a_shard_that_is_dead_go_on_at_others() {
    let servers = [Nats::start("sync_interval: always")];
    let mut cluster = start(&servers).await;
    let returns = survive(&mut cluster, 6, async |cluster, number| {
        let shard = ["a", "b", "c"][number % 3];
        if number % 2 == 0 {
            let (room, user) = (cluster.room_on(shard), cluster.user_on(shard, 3));
            let mut person = cluster.connect(&user).await;
            person.join(&room).await;
            cluster.kill_shard(shard).await;
            // It stays dead, and its clients and rooms go on at others.
            eventually("the room goes on", async || {
                let leave = json!({"type": "leave", "room": room});
                person.ask(leave).await["type"] == "ok"
            })
            .await;
        } else {
            let shard = ["a", "b", "c"][(number - 1) % 3];
            cluster.start_shard(shard).await;
        }
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}

#[tokio::test]
async fn a_shard_that_was_stopped_and_goes_on_has_given_up_what_others_have() {
    let servers = [Nats::start("sync_interval: always")];
    let mut cluster = start(&servers).await;
    let before = cluster.ids();
    let returns = survive(&mut cluster, 4, async |cluster, number| {
        let shard = ["a", "b", "c"][number % 3];
        let (room, user) = (cluster.room_on(shard), cluster.user_on(shard, 3));
        let mut person = cluster.connect(&user).await;
        person.join(&room).await;
        cluster.shards[shard].signal("STOP").await;
        let found = |logs: String| logs.matches("found dead; others take over").count();
        eventually("it is found dead", async || found(all_logs(cluster)) > number).await;
        // The others serve what was its own.
        eventually("the room goes on", async || {
            let leave = json!({"type": "leave", "room": room});
            person.ask(leave).await["type"] == "ok"
        })
        .await;
        cluster.shards[shard].signal("CONT").await;
        let gave_up =
            || cluster.shards[shard].errors().matches("this shard was found dead").count();
        eventually("it has heard", async || gave_up() > number / 3).await;
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
    cluster.runs_as(&before);
}

#[tokio::test]
async fn what_belongs_to_a_shard_that_is_never_started_goes_on_at_others() {
    let servers = [Nats::start("sync_interval: always")];
    let mut cluster = start(&servers).await;
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    std::fs::copy(cluster.path("shards.toml"), cluster.path("first.toml")).unwrap();
    let text = map(&cluster, 2, Some([free(), free()]));
    push(&cluster, &text).await;
    std::fs::write(cluster.path("shards.toml"), text).unwrap();
    cluster.map = trunkline_config::load(Path::new(&cluster.config())).unwrap().map;
    let (room, bob) = (cluster.room_on("d"), cluster.user_on("d", 0));
    let join = json!({"type": "join", "room": room});
    eventually("the room is served", async || alice.ask(join.clone()).await["type"] == "ok").await;
    let (options, mut bob) = (cluster.options().user(&bob), None);
    eventually("who is placed on it is let in", async || {
        bob = Connection::try_open(options.clone()).await.ok();
        bob.is_some()
    })
    .await;
    let mut bob = bob.unwrap();
    bob.join(&room).await;
    // It starts after all, and gets what is its own.
    cluster.start_shard("d").await;
    eventually("it has its own", async || {
        cluster.shard_metric("d", "trunkline_topics").await > 0.0
    })
    .await;
    bob.publish(&room, "hello").await;
    assert_eq!(alice.next_of("message").await["data"], "hello");
}

#[tokio::test]
async fn nobody_is_found_dead_because_the_servers_are() {
    let servers = [Nats::start("sync_interval: always")];
    let mut cluster = start(&servers).await;
    let before = cluster.ids();
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join("lobby").await;
    for _ in 0..2 {
        servers[0].kill();
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        servers[0].restart();
        let publish = json!({"type": "publish", "room": "lobby", "event": "e", "data": 1});
        eventually("it goes on", async || alice.ask(publish.clone()).await["type"] == "ok").await;
    }
    assert!(!all_logs(&cluster).contains("found dead"), "{}", all_logs(&cluster));
    ask(&cluster, "drain", "b").await;
    cluster.goes_on_as(&before).await;
}
