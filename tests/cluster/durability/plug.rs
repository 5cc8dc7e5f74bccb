//! `trunkline up`, and the plug is pulled: every process of it dies at once.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use trunkline_client::Options;

use crate::harness::{Connection, Process, children, eventually, lives, signal};

/// A folder with a configuration in which every port is open.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cluster = "[router]\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n";
    std::fs::write(folder.path().join("cluster.toml"), cluster).unwrap();
    let shard = |id: &str| {
        format!("[[shard]]\nid = \"{id}\"\ngrpc = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n")
    };
    let shards = ["a", "b", "c"].map(shard).concat();
    let map = format!("version = 1\nhash_key = \"0123456789abcdef0123456789abcdef\"\n{shards}");
    std::fs::write(folder.path().join("shards.toml"), map).unwrap();
    folder
}

/// `trunkline up` in such a folder.
struct Up {
    process: Process,
    url: String,
}

impl Up {
    async fn start(folder: &Path) -> Self {
        let arguments = ["up", "--config", "cluster.toml", "--data", "kept"];
        let mut process = Process::start_in(folder, &arguments);
        let ready = process.line("ready http").await;
        Self { process, url: ready.replace("ready http", "ws") }
    }

    async fn connect(&self, user: &str) -> Connection {
        Connection::open(Options::new(&self.url).user(user)).await
    }

    /// Kills the parent and all its children at once.
    async fn pull_the_plug(mut self) {
        let children: Vec<u32> = children(self.process.id()).into_values().collect();
        assert_eq!(children.len(), 4, "a router and three shards");
        self.process.signal("KILL").await;
        for child in &children {
            // The parent's death may have ended it already.
            if lives(*child) {
                signal("KILL", *child).await;
            }
        }
        self.process.ended().await;
        eventually("all are dead", async || children.iter().all(|child| !lives(*child))).await;
    }
}

fn keyed(room: &str, data: &str, key: &str) -> Value {
    json!({"type": "publish", "room": room, "event": "say", "data": data, "key": key})
}

#[tokio::test]
async fn everything_acknowledged_is_there_when_the_plug_was_pulled() {
    let folder = folder();
    let rooms: Vec<String> = (0..12).map(|number| format!("room-{number}")).collect();
    let up = Up::start(folder.path()).await;
    let mut alice = up.connect("alice").await;
    let mut places = Vec::new();
    for room in &rooms {
        alice.join(room).await;
        for text in ["one", "two", "three"] {
            alice.publish(room, text).await;
        }
        places.push(alice.ok(keyed(room, "four", "the-key")).await);
    }
    for number in 0..5 {
        assert_eq!(alice.send("bob", number).await, "queued");
    }
    up.pull_the_plug().await;

    let up = Up::start(folder.path()).await;
    let mut alice = up.connect("alice").await;
    for (room, place) in rooms.iter().zip(&places) {
        let after = json!({"epoch": place["epoch"], "offset": 2});
        let ok = alice.ok(json!({"type": "join", "room": room, "after": after})).await;
        assert_eq!((&ok["recovered"], &ok["offset"]), (&json!(true), &json!(4)));
        let missed = [alice.next().await, alice.next().await];
        assert_eq!(missed.map(|it| it["data"].clone()), ["three", "four"]);
        let history = alice.ok(json!({"type": "history", "room": room})).await;
        assert_eq!(history["messages"].as_array().unwrap().len(), 4);
        let again = alice.ok(keyed(room, "four", "the-key")).await;
        assert_eq!(again["offset"], 4, "the key is remembered");
        assert_eq!(alice.publish(room, "five").await["offset"], 5);
        assert_eq!(alice.next_of("message").await["data"], "five");
    }
    let mut bob = up.connect("bob").await;
    let waited: Vec<Value> = bob.so_far().await.iter().map(|it| it["data"].clone()).collect();
    assert_eq!(waited, [0, 1, 2, 3, 4]);
    // That something was handed over is kept with what comes next.
    for number in 5..7 {
        assert_eq!(alice.send("bob", number).await, "delivered");
    }
    up.pull_the_plug().await;

    let up = Up::start(folder.path()).await;
    let mut bob = up.connect("bob").await;
    let again: Vec<Value> = bob.so_far().await.iter().map(|it| it["data"].clone()).collect();
    assert!(
        again.iter().all(|it| *it == 6),
        "{again:?} was handed over before the plug was pulled"
    );
}

#[tokio::test]
async fn an_up_without_a_folder_keeps_its_data_beside_its_settings() {
    let folder = folder();
    let start = async || {
        let mut process = Process::start_in(folder.path(), &["up", "--config", "cluster.toml"]);
        let ready = process.line("ready http").await;
        Up { process, url: ready.replace("ready http", "ws") }
    };
    let up = start().await;
    let mut alice = up.connect("alice").await;
    alice.join("lobby").await;
    let before = alice.publish("lobby", "hi").await;
    up.pull_the_plug().await;
    assert!(folder.path().join("trunkline-data").is_dir());
    let up = start().await;
    let mut alice = up.connect("alice").await;
    let ok = alice.join("lobby").await;
    assert_eq!((&ok["epoch"], &ok["offset"]), (&before["epoch"], &json!(1)));
    up.pull_the_plug().await;
    let with = async |shards| {
        let arguments = ["up", "--config", "cluster.toml", "--shards", shards];
        let mut process = Process::start_in(folder.path(), &arguments);
        let ready = process.line("ready http").await;
        Up { process, url: ready.replace("ready http", "ws") }
    };
    // More shards take over what is theirs now.
    let mut up = with("12").await;
    let mut alice = up.connect("alice").await;
    let ok = alice.join("lobby").await;
    assert_eq!((&ok["epoch"], &ok["offset"]), (&before["epoch"], &json!(1)));
    assert!(!up.process.errors().contains("are no more"), "{}", up.process.errors());
    assert_eq!(up.process.terminate().await, Some(0));
    let up = with("2").await;
    assert!(up.process.errors().contains("which are no more"), "{}", up.process.errors());
}
