//! Clients never notice: the short version of what `tests/promise/run` proves at length.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use trunkline_bench::Speech;
use trunkline_promise::{Kind, Network, Outcome, Plan, Store, run};

use crate::harness::TRUNKLINE;

/// Sixty clients, native and of Socket.IO by WebSocket and by polling, over two routers and three shards, which
/// suffer each of these once.
fn plan(name: &str, only: &[Kind]) -> Plan {
    Plan {
        program: TRUNKLINE.into(),
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("promise").join(name),
        store: Store::Embedded,
        network: Network::Loopback,
        shards: 3,
        clients: 60,
        speeches: vec![Speech::Native, Speech::SocketIo, Speech::Polling],
        rate: 60.0,
        time: Duration::ZERO,
        quiet: Duration::from_secs(1),
        settle: Duration::from_secs(2),
        only: only.to_vec(),
        seed: 1,
    }
}

/// Carries it out; everybody must have got something in each of its parts.
fn keeps(plan: &Plan) -> Outcome {
    let outcome = run(plan, &|_| {}).unwrap();
    assert!(outcome.kept, "{outcome}");
    for disruption in &outcome.disruptions {
        for speech in &plan.speeches {
            let figures = match speech {
                Speech::SocketIo => &disruption.socketio,
                Speech::Polling => &disruption.polling,
                Speech::Native | Speech::Nats => &disruption.native,
            };
            assert!(figures.pause_max_ms.is_some(), "{outcome}");
        }
    }
    outcome
}

#[test]
fn nobody_notices_that_shards_are_killed_and_restarted() {
    let only = [Kind::Kill, Kind::Restart, Kind::Kill];
    let outcome = keeps(&plan("kills", &only));
    let times: Vec<_> = outcome.disruptions.iter().map(|it| (it.kind, it.times)).collect();
    assert_eq!(times, [(Kind::Quiet, 1), (Kind::Restart, 1), (Kind::Kill, 2)]);
}

#[test]
fn nobody_notices_that_shards_drain_come_and_go_and_those_that_stay_are_killed_and_restarted() {
    let moves = [Kind::Drain, Kind::Add, Kind::Remove];
    let ends = [Kind::Restart, Kind::Kill, Kind::Restart, Kind::Kill];
    let outcome = keeps(&plan("moves", &[&moves[..], &ends].concat()));
    let times: Vec<_> = outcome.disruptions.iter().map(|it| (it.kind, it.times)).collect();
    let twice = [(Kind::Restart, 2), (Kind::Kill, 2)];
    let once = [(Kind::Drain, 1), (Kind::Add, 1), (Kind::Remove, 1)];
    assert_eq!(times, [&[(Kind::Quiet, 1)][..], &twice, &once].concat());
}

#[test]
fn who_polls_does_not_notice_either_that_shards_drain_come_and_go_and_restart() {
    let only = [Kind::Drain, Kind::Add, Kind::Remove, Kind::Restart];
    let outcome = keeps(&plan("polling", &only));
    assert!(outcome.disruptions.iter().all(|it| it.polling.came_back == 0), "{outcome}");
}

/// What makes namespaces and runs a command in them.
const NAMESPACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/promise/namespaces");

/// Whether the kernel lets us make namespaces. If not, this says so whoever listens.
fn has_namespaces() -> bool {
    let all = ["--user", "--map-root-user", "--net", "--mount", "true"];
    let output = Command::new("unshare").args(all).output().unwrap();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        // The test's own output is only shown when it fails.
        let text =
            format!("\nSKIPPED: partitions are not tested, for this kernel refuses: {why}\n");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    output.status.success()
}

#[test]
fn nobody_notices_that_routers_and_shards_are_cut_off_from_each_other() {
    if !has_namespaces() {
        return;
    }
    // This program again, inside of them, where it runs the test below.
    let inside = ["--ignored", "--exact", "promise::inside_of_namespaces_nobody_notices_cuts"];
    let this = std::env::current_exe().unwrap();
    let output = Command::new(NAMESPACES).arg(this).args(inside).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "runs inside of namespaces, where the test above runs it"]
fn inside_of_namespaces_nobody_notices_cuts() {
    let plan =
        Plan { network: Network::Namespaces, ..plan("cuts", &[Kind::Partition, Kind::Partition]) };
    keeps(&plan);
}
