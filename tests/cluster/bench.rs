//! `trunkline bench`: what it counts is what a real cluster has done.

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{Cluster, Setup, TRUNKLINE};
use crate::tls::{certificate, with_tls};

/// Runs a scenario briefly and gives its result.
async fn bench(cluster: &Cluster, arguments: &[&str]) -> Value {
    let url = format!("ws://127.0.0.1:{}", cluster.port);
    bench_by(Command::new(TRUNKLINE), cluster, &url, arguments).await
}

async fn bench_by(mut command: Command, cluster: &Cluster, url: &str, arguments: &[&str]) -> Value {
    let pids: Vec<String> = cluster.ids().values().map(u32::to_string).collect();
    command.arg("bench").args(arguments);
    command.args([
        "--url",
        url,
        "--quiet",
        "--json",
        "-",
        "--duration",
        "1s",
        "--warm-up",
        "100ms",
    ]);
    for pid in &pids {
        command.args(["--pid", pid]);
    }
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(result: &Value, name: &str) -> u64 {
    result[name].as_u64().unwrap_or_else(|| panic!("{name} in {result}"))
}

/// Everything arrived, and the servers were measured.
fn is_whole(result: &Value) {
    assert!(number(result, "sent") > 0, "{result}");
    assert_eq!(number(result, "delivered"), number(result, "expected"), "{result}");
    assert_eq!((number(result, "errors"), number(result, "lost")), (0, 0), "{result}");
    assert_eq!(result["server"]["processes"].as_array().map(Vec::len), Some(4), "{result}");
}

#[tokio::test]
async fn every_scenario_in_each_dialect_delivers_what_it_expects() {
    let cluster = Setup::new().start().await;
    for dialect in ["native", "socketio", "polling"] {
        for scenario in ["fanout", "private", "mixed", "hot-room", "storm"] {
            let load = ["--clients", "20", "--rooms", "4", "--rate", "100", "--dialect", dialect];
            let result = bench(&cluster, &[&[scenario][..], &load].concat()).await;
            is_whole(&result);
        }
    }
}

#[tokio::test]
async fn each_dialect_is_spoken_over_tls_to_whom_the_system_trusts() {
    let certificate = certificate();
    let cluster = with_tls(&certificate).await;
    let url = format!("wss://localhost:{}", cluster.port);
    for dialect in ["native", "socketio", "polling"] {
        let load = ["fanout", "--clients", "20", "--rooms", "4", "--rate", "100"];
        let mut command = Command::new(TRUNKLINE);
        command.env("SSL_CERT_FILE", cluster.path("cert.pem"));
        let load = [&load[..], &["--dialect", dialect]].concat();
        is_whole(&bench_by(command, &cluster, &url, &load).await);
    }
}

#[tokio::test]
async fn a_message_is_expected_once_by_each_member_of_its_room() {
    let cluster = Setup::new().start().await;
    let load = ["fanout", "--clients", "20", "--rooms", "4", "--rate", "100"];
    let result = bench(&cluster, &load).await;
    is_whole(&result);
    assert_eq!(number(&result, "expected"), number(&result, "sent") * 5, "{result}");
}

#[tokio::test]
async fn acknowledgements_are_measured_when_they_are_asked_for() {
    let cluster = Setup::new().start().await;
    for dialect in ["native", "socketio", "polling"] {
        let load = ["private", "--clients", "20", "--rate", "100", "--dialect", dialect];
        let result = bench(&cluster, &load).await;
        assert!(result["acknowledged_ms"].is_null(), "{result}");
        let result = bench(&cluster, &[&load[..], &["--acknowledge"]].concat()).await;
        is_whole(&result);
        assert!(result["acknowledged_ms"]["max"].as_f64().unwrap() > 0.0, "{result}");
    }
}

#[tokio::test]
async fn private_messages_can_be_kept_to_those_that_cross_shards() {
    let cluster = Setup::new().start().await;
    let map = cluster.path("shards.toml");
    let load = ["private", "--clients", "20", "--rate", "100", "--apart", map.to_str().unwrap()];
    is_whole(&bench(&cluster, &load).await);
    // With one shard there is nobody to write to, which is an error and not a silence.
    let one = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&map).unwrap();
    let second = text.match_indices("[[shard]]").nth(1).unwrap().0;
    let map = one.path().join("one.toml");
    std::fs::write(&map, &text[..second]).unwrap();
    let load = ["private", "--clients", "20", "--rate", "100", "--apart", map.to_str().unwrap()];
    let result = bench(&cluster, &load).await;
    assert!(number(&result, "errors") > 0 && number(&result, "sent") == 0, "{result}");
}

#[tokio::test]
async fn clients_sign_tokens_where_they_are_asked_for() {
    let key = "a key that is long enough for HS256, and known here";
    let jwt = format!("[auth]\nmode = \"jwt\"\njwt = {{ algorithm = \"HS256\", key = \"{key}\" }}");
    let cluster = Setup::new().section(&jwt).start().await;
    for dialect in ["native", "socketio", "polling"] {
        let load = ["storm", "--clients", "20", "--rate", "50", "--dialect", dialect];
        is_whole(&bench(&cluster, &[&load[..], &["--jwt-key", key]].concat()).await);
    }
}

#[tokio::test]
async fn who_cannot_get_in_is_told_why_and_what_is_wrong_is_named() {
    let cluster = Setup::new().start().await;
    let url = format!("ws://127.0.0.1:{}/nowhere", cluster.port);
    for (arguments, word) in [
        (&["fanout", "--clients", "4", "--threads", "2", "--url", &url][..], "404"),
        (&["fanout", "--clients", "1", "--threads", "2"], "threads"),
        (&["private", "--clients", "1"], "two clients"),
        (&["fanout", "--rate", "0"], "rate"),
        (&["fanout", "--pid", "2147483647", "--url", &url], "2147483647"),
        (&["fanout", "--dialect", "nats", "--acknowledge"], "NATS"),
    ] {
        let output =
            Command::new(TRUNKLINE).arg("bench").args(arguments).arg("--quiet").output().await;
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(word), "{arguments:?}: {error}");
    }
}
