//! Shards whose store is a cluster of NATS servers.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::kills::{KEEP_ALL, survive};
use super::nats::Nats;
use crate::harness::{Cluster, Connection, Process, Setup, eventually, shard_map};

/// Keeps everything on these servers.
pub(crate) fn store(servers: &[Nats], more: &str) -> String {
    let list = |of: fn(&Nats) -> String| {
        let quoted: Vec<String> = servers.iter().map(|it| format!("{:?}", of(it))).collect();
        quoted.join(", ")
    };
    format!(
        "[store]\nkind = \"jetstream\"\n[store.jetstream]\nservers = [{}]\nmonitors = [{}]\n\
         replicas = {}\n{more}\n",
        list(Nats::url),
        list(Nats::monitor),
        servers.len()
    )
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_shards_and_servers_are_killed() {
    let servers = Nats::start_cluster(3);
    let setup = Setup::new().section(&store(&servers, "")).section(KEEP_ALL);
    let mut cluster = setup.start().await;
    let mut chance = StdRng::seed_from_u64(12);
    // A shard, a server, both together; with three servers the leader is among them.
    let returns = survive(&mut cluster, 12, async |cluster, number| {
        let server = &servers[number / 3 % 3];
        let shard = ["a", "b", "c"][chance.random_range(0..3)];
        let (kills_shard, kills_server) = (number % 3 != 1, number % 3 != 0);
        if kills_server {
            server.kill();
        }
        if kills_shard {
            cluster.kill_shard(shard).await;
        }
        if kills_server {
            server.restart();
        }
        if kills_shard {
            cluster.start_shard(shard).await;
            cluster.all_trunks_are_up().await;
        }
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}

#[tokio::test]
async fn of_two_shards_that_believe_that_they_own_a_room_only_one_can_append() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "");
    // Two clusters that know nothing of each other and have the same stream.
    let clusters = [
        Setup::new().section(&section).start().await,
        Setup::new().shards(1).section(&section).start().await,
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for (cluster, name) in clusters.iter().zip(["one", "two"]) {
        let options = cluster.options().user(name);
        tasks.spawn(async move {
            let mut person = Connection::open(options).await;
            person.join("lobby").await;
            let mut places = Vec::new();
            for number in 0..60 {
                let publish = json!({
                    "type": "publish", "room": "lobby", "event": "e", "data": format!("{name}-{number}"),
                });
                let answer = person.ask(publish).await;
                match answer["code"].as_str() {
                    None => places.push((answer["offset"].as_u64().unwrap(), format!("{name}-{number}"))),
                    Some(code) => assert_eq!(code, "unavailable"),
                }
            }
            places
        });
    }
    let mut accepted = Vec::new();
    while let Some(places) = tasks.join_next().await {
        let places = places.unwrap();
        assert!(!places.is_empty(), "each gets its turn");
        accepted.extend(places);
    }
    let offsets: BTreeSet<u64> = accepted.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets.len(), accepted.len(), "no place is given twice");
    for cluster in &clusters {
        let mut reader = cluster.connect("reader").await;
        reader.join("lobby").await;
        // Whoever has been passed over sees so when it appends.
        let publish = json!({"type": "publish", "room": "lobby", "event": "e", "data": "last"});
        eventually("it has its turn", async || reader.ask(publish.clone()).await["type"] == "ok")
            .await;
        let history = reader.ok(json!({"type": "history", "room": "lobby", "limit": 1000})).await;
        let history: Vec<(u64, String)> = history["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["offset"].as_u64().unwrap(), it["data"].as_str().unwrap().to_owned()))
            .collect();
        let in_order: Vec<u64> = history.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(in_order, (1..=history.len() as u64).collect::<Vec<_>>());
        for place in &accepted {
            let there = history.iter().find(|(offset, _)| *offset == place.0);
            assert_eq!(there, Some(place), "what stands where {place:?} was acknowledged");
        }
    }
}

/// Pushes a map, as an operator does, and waits until it is there.
pub(crate) async fn push(cluster: &Cluster, map: &str) {
    let file = cluster.path("pushed.toml");
    std::fs::write(&file, map).unwrap();
    let (config, file) = (cluster.config(), file.to_str().unwrap().to_owned());
    let errors = cluster.path("push.log");
    let mut push = Process::start(&errors, &["map", "push", "--config", &config, &file]);
    assert_eq!(push.ended().await, Some(0), "{}", push.errors());
}

#[tokio::test]
async fn a_map_that_is_pushed_moves_the_rooms_of_a_dead_shard_with_all_they_have() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "map_bucket = \"maps\"");
    let mut cluster = Setup::new().section(&section).start().await;
    let (room, absent) = (cluster.room_on("c"), cluster.user_on("c", 0));
    let user = cluster.user_on("a", 0);
    let mut alice = cluster.connect(&user).await;
    alice.join(&room).await;
    let mut last = Value::Null;
    for text in ["one", "two"] {
        last = alice.publish(&room, text).await;
    }
    let keyed = json!({
        "type": "publish", "room": room, "event": "e", "data": "three", "key": "the-key",
    });
    alice.ok(keyed.clone()).await;
    assert_eq!(alice.send(&absent, "hi").await, "queued");

    // Its machine is gone for good.
    cluster.kill_shard("c").await;
    let first = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    let without_c = first.split("\n[[shard]]").take(3).collect::<Vec<_>>().join("\n[[shard]]");
    push(&cluster, &without_c.replace("version = 1", "version = 2")).await;
    cluster.all_trunks_are_up().await;

    // Who was there goes on, and who comes later gets what the room had.
    let four = json!({"type": "publish", "room": room, "event": "e", "data": "four", "key": "k"});
    let goes_on = async || alice.ask(four.clone()).await["offset"] == 4;
    eventually("the room goes on", goes_on).await;
    let mut alice = cluster.connect(&user).await;
    let after = json!({"epoch": last["epoch"], "offset": 1});
    let ok = alice.ok(json!({"type": "join", "room": room, "after": after})).await;
    assert_eq!((&ok["recovered"], &ok["offset"]), (&json!(true), &json!(4)));
    let missed = [alice.next().await, alice.next().await, alice.next().await];
    assert_eq!(missed.map(|it| it["data"].clone()), ["two", "three", "four"]);
    assert_eq!(alice.ok(keyed).await["offset"], 3, "the key is remembered");
    assert_eq!(alice.publish(&room, "five").await["offset"], 5);
    let mut absent = cluster.connect(&absent).await;
    assert_eq!(absent.so_far().await[0]["data"], "hi");
}

#[tokio::test]
async fn a_map_that_is_no_newer_is_not_pushed() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "map_bucket = \"maps\"");
    let mut cluster = Setup::new().section(&section).start().await;
    let before = cluster.ids();
    let map = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    push(&cluster, &map).await;
    // The same once more is no mistake; another of the same version is one.
    push(&cluster, &map).await;
    let refused = push_refused(&cluster, &shard_map(2, 1)).await;
    assert!(refused.contains("count its version up"), "{refused}");
    cluster.goes_on_as(&before).await;
}

/// Why a map is not pushed.
async fn push_refused(cluster: &Cluster, map: &str) -> String {
    let other = cluster.path("other.toml");
    std::fs::write(&other, map).unwrap();
    let (config, other) = (cluster.config(), other.to_str().unwrap().to_owned());
    let mut refused =
        Process::start(&cluster.path("refused.log"), &["map", "push", "--config", &config, &other]);
    assert_eq!(refused.ended().await, Some(1));
    refused.errors()
}

#[tokio::test]
async fn a_map_by_which_no_process_could_go_on_is_not_pushed() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "map_bucket = \"maps\"");
    let mut cluster = Setup::new().section(&section).start().await;
    let before = cluster.ids();
    let map = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    let key = map.lines().find(|line| line.starts_with("hash_key")).unwrap();
    let newer = map.replace("version = 1", "version = 2");
    let rekeyed = newer.replace(key, &format!("hash_key = \"{}\"", "7".repeat(32)));
    // By the map of the file, and by that of the bucket.
    let refused = push_refused(&cluster, &rekeyed).await;
    assert!(refused.contains("another hash_key"), "{refused}");
    push(&cluster, &map).await;
    let refused = push_refused(&cluster, &rekeyed).await;
    assert!(refused.contains("--rekey"), "{refused}");
    push(&cluster, &newer).await;
    cluster.goes_on_as(&before).await;
}
