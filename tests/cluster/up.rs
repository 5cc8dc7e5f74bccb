//! `trunkline up`: one command runs everything, keeps it running, and ends all of it.

use std::net::TcpListener;

use tempfile::TempDir;
use trunkline_client::Options;

use crate::harness::{Connection, Process, children, eventually, get, lives, signal};

/// A running `trunkline up` in a folder of its own.
struct Up {
    process: Process,
    port: u16,
    folder: TempDir,
}

/// A folder whose configuration leaves every port open.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::create_dir(&config).unwrap();
    let cluster = "[router]\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n";
    std::fs::write(config.join("cluster.toml"), cluster).unwrap();
    let shard = |id: &str| {
        format!("[[shard]]\nid = \"{id}\"\ngrpc = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n")
    };
    let map = format!(
        "version = 1\nhash_key = \"0123456789abcdef0123456789abcdef\"\n{}{}{}",
        shard("a"),
        shard("b"),
        shard("c")
    );
    std::fs::write(config.join("shards.toml"), map).unwrap();
    folder
}

impl Up {
    /// Starts it and takes the line that says that it is ready.
    async fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        let mut process = Process::start_in(folder.path(), arguments);
        let port = port(&process.line("ready ").await);
        Self { process, port, folder }
    }

    fn children(&self) -> std::collections::BTreeMap<String, u32> {
        children(self.process.id())
    }

    fn names(&self) -> Vec<String> {
        self.children().into_keys().collect()
    }

    async fn connect(&self, user: &str) -> Connection {
        Connection::open(Options::new(format!("ws://127.0.0.1:{}", self.port)).user(user)).await
    }

    /// People on every shard meet in a room where nobody was before, and write to each other. (In a
    /// room of before those who went with a dead router would still be listed for the grace.)
    async fn serves(&self, room: &str) {
        let mut people = Vec::new();
        for n in 0..10 {
            let mut person = self.connect(&format!("person-{n}")).await;
            assert_eq!(person.join(room).await["members"], n + 1);
            people.push(person);
        }
        people[0].publish(room, "hi").await;
        for person in &mut people {
            assert_eq!(person.next_of("message").await["data"], "hi");
        }
        for n in 1..10 {
            assert_eq!(people[0].send(&format!("person-{n}"), n).await, "delivered");
        }
    }
}

/// The port of `ready http://127.0.0.1:PORT`.
fn port(ready: &str) -> u16 {
    ready.strip_prefix("ready http://127.0.0.1:").expect(ready).parse().expect(ready)
}

async fn all_are_gone(ids: impl IntoIterator<Item = u32>) {
    for id in ids {
        eventually("no child remains", async || !lives(id)).await;
    }
}

#[tokio::test]
async fn ready_is_said_when_the_service_is_and_the_page_is_there() {
    let up = Up::start(&[]).await;
    assert_eq!(get(up.port, "/readyz").await.status, 200);
    assert!(get(up.port, "/").await.body.contains("<!doctype html>"));
    assert_eq!(up.names(), ["a", "b", "c", "router"]);
    up.serves("lobby").await;
}

#[tokio::test]
async fn in_an_empty_folder_the_defaults_run_or_say_which_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let ports = [8080, 9080, 7101, 7102, 7103, 9101, 9102, 9103];
    let taken = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_err());
    let mut process = Process::start_in(folder.path(), &["up"]);
    match taken {
        None => {
            assert_eq!(process.line("ready").await, "ready http://127.0.0.1:8080");
            assert_eq!(get(8080, "/readyz").await.status, 200);
        }
        Some(port) => {
            assert_eq!(process.ended().await, Some(1));
            assert!(process.errors().contains(&port.to_string()), "{}", process.errors());
        }
    }
}

#[tokio::test]
async fn another_number_of_shards_runs_if_that_is_asked_for() {
    let up = Up::start(&["up", "--shards", "5"]).await;
    assert_eq!(up.names(), ["a", "b", "c", "d", "e", "router"]);
    up.serves("lobby").await;
    let one = Up::start(&["up", "--shards", "1"]).await;
    assert_eq!(one.names(), ["a", "router"]);
    one.serves("lobby").await;
}

#[tokio::test]
async fn ctrl_c_ends_everything_and_clients_are_told_to_come_back() {
    let mut up = Up::start(&[]).await;
    let children = up.children();
    let alice = up.connect("alice").await;
    // A terminal tells the whole group.
    for id in children.values() {
        signal("INT", *id).await;
    }
    up.process.signal("INT").await;
    assert_eq!(up.process.ended().await, Some(0));
    assert!(alice.closed().await.code.comes_back());
    assert_eq!(children.values().filter(|id| lives(**id)).count(), 0);
    let said = up.process.errors();
    assert!(!said.contains("panicked") && !said.contains("killing"), "{said}");
}

#[tokio::test]
async fn a_termination_ends_everything_too() {
    let mut up = Up::start(&[]).await;
    let children = up.children();
    assert_eq!(up.process.terminate().await, Some(0));
    assert_eq!(children.values().filter(|id| lives(**id)).count(), 0);
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_and_the_service_works() {
    let up = Up::start(&[]).await;
    for name in ["b", "router"] {
        let old = up.children()[name];
        signal("KILL", old).await;
        eventually("another child", async || up.children().get(name).is_some_and(|id| *id != old))
            .await;
        eventually("it is ready", async || get(up.port, "/readyz").await.status == 200).await;
        eventually("links are up", async || {
            let mut client = up.connect("probe").await;
            let mut all = true;
            for n in 0..10 {
                let join = serde_json::json!({"type": "join", "room": format!("probe-{n}")});
                all &= client.ask(join).await["type"] == "ok";
            }
            all
        })
        .await;
        up.serves(&format!("after {name} died")).await;
    }
}

#[tokio::test]
async fn children_do_not_outlive_a_parent_that_is_killed() {
    let mut up = Up::start(&[]).await;
    let children = up.children();
    assert_eq!(children.len(), 4);
    up.process.kill().await;
    all_are_gone(children.into_values()).await;
}

#[tokio::test]
async fn a_configuration_with_mistakes_starts_nothing_and_names_them() {
    let folder = folder();
    std::fs::write(folder.path().join("config/cluster.toml"), "[router]\nlisten = 8080\n").unwrap();
    let mut process = Process::start_in(folder.path(), &[]);
    assert_eq!(process.ended().await, Some(1));
    assert!(process.errors().contains("cluster.toml:2"), "{}", process.errors());
}

#[tokio::test]
async fn what_it_writes_goes_to_the_folder_that_it_is_given() {
    let up = Up::start(&["up", "--data", "data"]).await;
    let written = std::fs::read_dir(up.folder.path().join("data")).unwrap().count();
    assert!(written > 0);
    up.serves("lobby").await;
}
