//! `reshard`: what going over to another map would move, and how far a cluster is.

mod under_load;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{Cluster, Process, Setup, TRUNKLINE, free, write_files};

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(TRUNKLINE);
    command.arg("reshard").args(arguments).args(["--config", "cluster.toml"]);
    command.current_dir(folder).output().await.unwrap()
}

async fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments).await;
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), &Setup::new(), free(), free());
    folder
}

/// Writes `new.toml`: the map of the folder, changed.
fn write_new(folder: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(folder.join("shards.toml")).unwrap();
    std::fs::write(folder.join("new.toml"), change(text)).unwrap();
}

fn version(text: &str, version: u64) -> String {
    text.replacen("version = 1\n", &format!("version = {version}\n"), 1)
}

/// A fourth shard, where the third is no more and the first has twice the weight.
fn another(text: &str) -> String {
    let third = text.find("[[shard]]\nid = \"c\"").unwrap();
    let text = version(&text[..third], 2).replacen("id = \"a\"\n", "id = \"a\"\nweight = 2.0\n", 1);
    let (grpc, metrics) = (free(), free());
    text + &format!(
        "[[shard]]\nid = \"d\"\ngrpc = \"127.0.0.1:{grpc}\"\nmetrics = \"127.0.0.1:{metrics}\"\n"
    )
}

fn shard<'a>(plan: &'a Value, id: &str) -> &'a Value {
    plan["shards"].as_array().unwrap().iter().find(|shard| shard["id"] == id).unwrap()
}

#[tokio::test]
async fn a_plan_says_what_each_shard_gives_and_gets_and_who_cannot_be_asked() {
    let folder = files();
    write_new(folder.path(), |text| another(&text));
    let text = said(folder.path(), &["plan", "new.toml", "--json"]).await;
    let plan: Value = serde_json::from_str(&text).unwrap();
    let changes = ["a", "b", "c", "d"].map(|id| shard(&plan, id)["change"].as_str().unwrap());
    assert_eq!(changes, ["weight 1 -> 2", "stays", "goes", "comes"]);
    let share = |id: &str, what: &str| shard(&plan, id)[what].as_f64().unwrap();
    for (id, before, after) in
        [("a", 0.333, 0.5), ("b", 0.333, 0.25), ("c", 0.333, 0.0), ("d", 0.0, 0.25)]
    {
        assert!((share(id, "before") - before).abs() < 0.01, "{text}");
        assert!((share(id, "after") - after).abs() < 0.01, "{text}");
    }
    assert_eq!((share("c", "out"), share("c", "in")), (share("c", "before"), 0.0));
    let moved = plan["moved"].as_f64().unwrap();
    let given: f64 = ["a", "b", "c", "d"].map(|id| share(id, "out")).iter().sum();
    let got: f64 = ["a", "b", "c", "d"].map(|id| share(id, "in")).iter().sum();
    assert!((moved - given).abs() < 1e-9 && (moved - got).abs() < 1e-9, "{text}");
    for id in ["a", "b", "c"] {
        assert!(shard(&plan, id)["error"].as_str().unwrap().contains("refused"), "{text}");
    }
    assert_eq!((&plan["sessions"], shard(&plan, "d").get("error")), (&Value::from(0), None));

    let table = said(folder.path(), &["plan", "new.toml"]).await;
    assert!(table.contains("\nc can't be asked, and isn't counted: 127.0.0.1:"), "{table}");
}

#[tokio::test]
async fn a_map_that_cannot_be_gone_over_to_is_refused_with_what_to_do() {
    let folder = files();
    write_new(folder.path(), |text| version(&text, 2));
    std::fs::rename(folder.path().join("new.toml"), folder.path().join("shards.toml")).unwrap();
    let key = "hash_key = \"0123456789abcdef0123456789abcdef\"";
    let other_key = "hash_key = \"ffffffffffffffffffffffffffffffff\"";
    let weight = |text: &str| text.replacen("id = \"a\"\n", "id = \"a\"\nweight = 2.0\n", 1);
    let changes: [(&str, &dyn Fn(String) -> String); 3] = [
        ("put the old key back", &|text| text.replace("= 2\n", "= 3\n").replace(key, other_key)),
        ("count its version up", &|text| weight(&text).replace("= 2\n", "= 1\n")),
        ("count its version up", &|text| weight(&text)),
    ];
    for (what, change) in changes {
        write_new(folder.path(), change);
        for action in ["plan", "apply"] {
            let errors = refused(folder.path(), &[action, "new.toml"]).await;
            assert!(errors.contains(what), "{action}: {errors}");
        }
    }
    write_new(folder.path(), |text| text);
    let errors = refused(folder.path(), &["plan", "new.toml"]).await;
    assert!(errors.contains("already") && errors.contains("nothing would move"), "{errors}");
}

fn folder(cluster: &Cluster) -> std::path::PathBuf {
    cluster.path("")
}

#[tokio::test]
async fn a_plan_counts_what_running_shards_have() {
    let cluster = Setup::new().start().await;
    let mut clients = Vec::new();
    for id in ["a", "b", "c"] {
        for nth in 0..4 {
            let mut client = cluster.connect(&cluster.user_on(id, nth)).await;
            client.join(&cluster.room_on(id)).await;
            client.publish(&cluster.room_on(id), "hello").await;
            clients.push(client);
        }
    }
    write_new(&folder(&cluster), |text| another(&text));
    let text = said(&folder(&cluster), &["plan", "new.toml", "--json"]).await;
    let plan: Value = serde_json::from_str(&text).unwrap();
    for id in ["a", "b", "c"] {
        let has = &shard(&plan, id)["has"];
        assert_eq!(has["sessions"], 4, "{text}");
        assert!(has["topics"].as_u64().unwrap() >= 1, "{text}");
        assert!(has["bytes"].as_u64().unwrap() > 0, "{text}");
    }
    // All that c has, and some of what the others have.
    let sessions = plan["sessions"].as_u64().unwrap();
    assert!((4..=12).contains(&sessions), "{text}");
    assert_eq!(plan["seconds_per_worker"], 1, "{text}");
    assert!(plan["topics"].as_u64() >= shard(&plan, "c")["has"]["topics"].as_u64(), "{text}");
}

#[tokio::test]
async fn a_map_is_put_in_force_and_watched_until_all_go_by_it() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    // Of the weights alone their proportions count, so that no key moves.
    let heavier = |text: String| version(&text, 2).replace("grpc =", "weight = 2.0\ngrpc =");
    write_new(&folder(&cluster), heavier);
    let text = said(&folder(&cluster), &["apply", "new.toml"]).await;
    assert!(text.contains("everything is where it belongs by map version 2"), "{text}");
    let read = |name: &str| std::fs::read(cluster.path(name)).unwrap();
    assert_eq!(read("shards.toml"), read("new.toml"));
    for id in ["a", "b", "c"] {
        assert_eq!(cluster.shard_metric(id, "trunkline_map_version").await, 2.0);
    }
    assert_eq!(cluster.router_metric("trunkline_map_version").await, 2.0);
    // Once more, it only looks.
    let text = said(&folder(&cluster), &["apply", "new.toml"]).await;
    assert!(text.starts_with("the cluster has map version 2"), "{text}");
    assert!(text.contains("everything is where it belongs"), "{text}");
    cluster.runs_as(&before);
}

#[tokio::test]
async fn watching_may_be_stopped_and_resumed() {
    let mut cluster = Setup::new().start().await;
    cluster.kill_shard("b").await;
    write_new(&folder(&cluster), |text| version(&text, 2));
    let errors = cluster.path("apply.log");
    let new = cluster.path("new.toml").to_str().unwrap().to_owned();
    let arguments = ["reshard", "apply", &new, "--config", &cluster.config()];
    let mut apply = Process::start(&errors, &arguments);
    apply.line(cluster.path("shards.toml").to_str().unwrap()).await;
    apply.signal("INT").await;
    let again = format!("`trunkline {}`", arguments.join(" "));
    assert_eq!(apply.ended().await, Some(1), "it is no success");
    let said = apply.errors();
    assert!(said.contains(&format!("the cluster goes on by itself; {again}")), "{said}");

    let mut apply = Process::start(&errors, &arguments);
    apply.line("the cluster has map version 2").await;
    cluster.start_shard("b").await;
    apply.line("everything is where it belongs by map version 2").await;
    assert_eq!(apply.ended().await, Some(0));
}

#[tokio::test]
async fn a_move_that_is_stuck_ends_with_who_keeps_it() {
    let mut cluster = Setup::new().start().await;
    cluster.kill_shard("b").await;
    write_new(&folder(&cluster), |text| version(&text, 2));
    let errors = refused(&folder(&cluster), &["apply", "new.toml", "--patience", "3s"]).await;
    assert!(errors.contains("nothing has moved for 3 s"), "{errors}");
    let stuck: Vec<&str> = errors.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(stuck.len(), 1, "{errors}");
    assert!(stuck[0].starts_with("  shard b can't be asked: 127.0.0.1:"), "{errors}");
}
