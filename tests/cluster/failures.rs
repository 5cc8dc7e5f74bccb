//! Processes that die, come back, or do not agree.

use serde_json::json;
use trunkline_client::CloseCode;

use crate::harness::{Process, Setup, eventually, free, get, shard_map};

#[tokio::test]
async fn a_client_of_a_dead_shard_stays_and_gets_what_it_missed() {
    let mut cluster = Setup::new().start().await;
    let room = cluster.room_on("a");
    let mut bob = cluster.connect(&cluster.user_on("b", 0)).await;
    bob.join(&room).await;
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&room).await;
    bob.next_of("joined").await;

    cluster.kill_shard("b").await;
    alice.publish(&room, 1).await;
    cluster.start_shard("b").await;
    assert_eq!(bob.next().await["data"], 1);
    assert_eq!(bob.publish(&room, 2).await["offset"], 2);
}

#[tokio::test]
async fn clients_of_a_dead_shard_that_are_not_held_are_told_to_come_back_and_recover() {
    let mut cluster = Setup::new().router("hold = \"0ms\"").start().await;
    let user = cluster.user_on("b", 0);
    let room = cluster.room_on("a");
    let mut bob = cluster.connect(&user).await;
    bob.join(&room).await;
    let seen = bob.publish(&room, 1).await;
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&room).await;

    cluster.kill_shard("b").await;
    assert_eq!(bob.closed().await.code, CloseCode(1012));
    alice.publish(&room, 2).await;
    cluster.start_shard("b").await;
    cluster.all_trunks_are_up().await;

    let mut bob = cluster.connect(&user).await;
    let after = json!({"epoch": seen["epoch"], "offset": seen["offset"]});
    let ok = bob.ok(json!({"type": "join", "room": room, "after": after})).await;
    assert_eq!(ok["recovered"], true);
    assert_eq!(bob.so_far().await[0]["data"], 2);
}

#[tokio::test]
async fn a_room_whose_owner_is_dead_is_unavailable_and_resumes_with_a_gap() {
    let mut cluster = Setup::new().start().await;
    let room = cluster.room_on("b");
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    let before = alice.join(&room).await;
    alice.publish(&room, 1).await;
    alice.next_of("message").await;

    cluster.kill_shard("b").await;
    let publish = json!({"type": "publish", "room": room, "event": "e", "data": 2});
    assert_eq!(alice.refused(publish.clone()).await, "unavailable");
    cluster.start_shard("b").await;
    // The memory store begins anew, and members are told so without joining again.
    let gap = alice.next_of("gap").await;
    assert_eq!((&gap["room"], &gap["offset"]), (&json!(room), &json!(0)));
    assert_ne!(gap["epoch"], before["epoch"]);
    let ok = alice.ok(publish).await;
    assert_eq!((&ok["epoch"], &ok["offset"]), (&gap["epoch"], &json!(1)));
    assert_eq!(alice.next_of("message").await["data"], 2);
}

#[tokio::test]
async fn a_router_is_ready_while_all_its_trunks_are_up() {
    let mut cluster = Setup::new().start().await;
    assert_eq!(get(cluster.port, "/readyz").await.status, 200);
    assert_eq!(get(cluster.metrics, "/readyz").await.status, 200);
    cluster.kill_shard("c").await;
    cluster
        .eventually("the router is not ready", async || {
            get(cluster.port, "/readyz").await.status == 503
        })
        .await;
    assert_eq!(get(cluster.port, "/healthz").await.status, 200);
    assert!(cluster.router_metric("trunkline_trunk_up{shard=\"c\"}").await < 1.0);
    cluster.start_shard("c").await;
    cluster.all_trunks_are_up().await;
}

#[tokio::test]
async fn a_router_with_another_map_is_refused_and_both_go_on() {
    let cluster = Setup::new().start().await;
    let folder = tempfile::tempdir().unwrap();
    // The same version, the same addresses, another weight.
    let map = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    let other = map.replacen("metrics", "weight = 2.0\nmetrics", 1);
    std::fs::write(folder.path().join("shards.toml"), other).unwrap();
    let (port, metrics) = (free(), free());
    let text = format!(
        "shard_map = \"shards.toml\"\n[router]\nlisten = \"127.0.0.1:{port}\"\n\
         metrics = \"127.0.0.1:{metrics}\"\n"
    );
    let config = folder.path().join("cluster.toml");
    std::fs::write(&config, text).unwrap();
    let errors = folder.path().join("router.log");
    let router = Process::start(&errors, &["router", "--config", config.to_str().unwrap()]);
    cluster
        .eventually("the router says why", async || router.errors().contains("shard maps differ"))
        .await;
    assert_eq!(get(port, "/healthz").await.status, 200);
    assert_eq!(get(port, "/readyz").await.status, 503);
    let mut alice = cluster.connect("alice").await;
    alice.join("lobby").await;
}

#[tokio::test]
async fn a_shard_with_another_map_gets_no_link_and_says_why() {
    let mut cluster = Setup::new().start().await;
    cluster.kill_shard("c").await;
    let good = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    let other = cluster.path("other.toml");
    std::fs::write(&other, good.replace("version = 1", "version = 2")).unwrap();
    let (config, other) = (cluster.config(), other.to_str().unwrap().to_owned());
    let errors = cluster.path("odd.log");
    let arguments = ["shard", "--config", &config, "--shard-map", &other, "--id", "c"];
    let odd = Process::start(&errors, &arguments);
    cluster
        .eventually("the odd one says why", async || odd.errors().contains("shard maps differ"))
        .await;
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join(&cluster.room_on("b")).await;
    assert_eq!(
        alice.refused(json!({"type": "join", "room": cluster.room_on("c")})).await,
        "unavailable"
    );
}

#[tokio::test]
async fn a_map_of_a_higher_version_is_taken_by_all_processes() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let map = cluster.path("shards.toml");
    let first = std::fs::read_to_string(&map).unwrap();
    let mut alice = cluster.connect(&cluster.user_on("c", 0)).await;
    alice.join("lobby").await;

    // Shard c gets next to nothing, and what was written half-way is not taken.
    let second = first.replace("version = 1", "version = 2");
    let second = second.replacen("metrics", "weight = 1000.0\nmetrics", 2);
    std::fs::write(&map, "version = 2\n[[shard").unwrap();
    std::fs::write(&map, &second).unwrap();
    cluster.map = trunkline_config::load(&cluster.path("cluster.toml")).unwrap().map;
    let on_c = async || cluster.shard_metric("c", "trunkline_sessions").await;
    eventually("c has given away what it had", async || on_c().await == 0.0).await;
    // The same processes go on, and so do their clients.
    cluster.runs_as(&before);
    let mut people = vec![alice];
    for number in 0..6 {
        let mut person = cluster.connect(&format!("person-{number}")).await;
        assert_eq!(person.join("lobby").await["members"], number + 2);
        people.push(person);
    }
    people[0].publish("lobby", "hi").await;
    for person in &mut people {
        assert_eq!(person.next_of("message").await["data"], "hi");
    }
    let on_c = cluster.shard_metric("c", "trunkline_sessions").await;
    assert!(on_c < 1.0, "{on_c} sessions on the shard that gets next to nothing");
}

#[tokio::test]
async fn a_map_that_changes_without_a_higher_version_is_not_taken() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let map = cluster.path("shards.toml");
    let other = std::fs::read_to_string(&map).unwrap();
    std::fs::write(&map, other.replacen("metrics", "weight = 2.0\nmetrics", 1)).unwrap();
    cluster
        .eventually("all say so", async || {
            let logs = ["router.log", "shard-a.log", "shard-b.log", "shard-c.log"];
            let says = |log: &str| std::fs::read_to_string(cluster.path(log)).unwrap();
            logs.iter().all(|log| says(log).contains("count its version up"))
        })
        .await;
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let cluster = Setup::new().start().await;
    // The same cluster once more, but for the metrics' ports.
    let map = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    let port = |line: &str| line.rsplit_once(':').unwrap().1.trim_matches('"').to_owned();
    let grpc = port(map.lines().find(|line| line.starts_with("grpc")).unwrap());
    let again = map.lines().map(|line| match line.starts_with("metrics") {
        true => format!("metrics = \"127.0.0.1:{}\"\n", free()),
        false => format!("{line}\n"),
    });
    std::fs::write(cluster.path("shards.toml"), again.collect::<String>()).unwrap();
    let config = cluster.config();
    let metrics = format!("127.0.0.1:{}", free());
    for (arguments, port) in [
        (vec!["router", "--config", &config, "--metrics", &metrics], cluster.port.to_string()),
        (vec!["shard", "--id", "a", "--config", &config], grpc),
    ] {
        let mut second = Process::start(&cluster.path("second.log"), &arguments);
        assert_eq!(second.ended().await, Some(1));
        let said = second.errors();
        assert!(said.contains(&port) && said.contains("in use"), "{said}");
    }
}

#[tokio::test]
async fn beyond_loopback_a_process_without_a_secret_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let map = shard_map(2, 1).replace("grpc = \"127.0.0.1", "grpc = \"0.0.0.0");
    std::fs::write(folder.path().join("shards.toml"), map).unwrap();
    let config = folder.path().join("cluster.toml");
    std::fs::write(&config, "shard_map = \"shards.toml\"\n").unwrap();
    let errors = folder.path().join("errors.log");
    let config = config.to_str().unwrap();
    for arguments in
        [vec!["router", "--config", config], vec!["shard", "--id", "a", "--config", config]]
    {
        let mut process = Process::start(&errors, &arguments);
        assert_eq!(process.ended().await, Some(1));
    }
    let said = std::fs::read_to_string(errors).unwrap();
    assert_eq!(said.matches("set cluster.secret").count(), 4, "both name both shards: {said}");
}
