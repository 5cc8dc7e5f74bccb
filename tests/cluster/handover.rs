//! Routers that are restarted: clients are told to come back, and always find somebody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trunkline_client::CloseCode;

use crate::harness::{Process, Raw, Setup, get};

/// Connects again and again, each time once the time before has got through to a router, until it is
/// told to stop; says how often.
async fn knock(address: SocketAddr, stop: Arc<AtomicBool>) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        // It panics when it is refused or reset.
        let mut raw = Raw::upgrade(address, "/ws?user=alice").await;
        let (first, _) = raw.read().await;
        // A welcome, or that it is to come back.
        assert!([0x81, 0x88].contains(&first), "{first:#x}");
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_router_takes_over_from_another_while_clients_come_and_none_is_refused() {
    let setup = Setup::new().shards(2).router("handover = \"router.sock\"\nworkers = 2");
    let mut cluster = setup.start().await;
    let alice = cluster.connect(&cluster.user_on("a", 0)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let knocking: Vec<_> =
        (0..4).map(|_| tokio::spawn(knock(cluster.address(), Arc::clone(&stop)))).collect();

    // Twice: what was taken over can be taken over again.
    for _ in 0..2 {
        let mut old = cluster.router.take().unwrap();
        cluster.start_router().await;
        assert_eq!(old.ended().await, Some(0), "{}", old.errors());
    }
    assert_eq!(alice.closed().await.code, CloseCode(1012));
    stop.store(true, Ordering::Relaxed);
    for knocking in knocking {
        assert!(knocking.await.unwrap() > 0);
    }

    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    alice.join("here").await;
    assert_eq!(get(cluster.metrics, "/readyz").await.status, 200);
    let mut last = cluster.router.take().unwrap();
    assert_eq!(last.terminate().await, Some(0), "{}", last.errors());
    assert!(!cluster.path("router.sock").exists());
    assert!(!last.errors().contains("panicked"), "{}", last.errors());
}

#[tokio::test]
async fn a_router_that_can_not_take_over_leaves_the_other_one_alone() {
    let cluster = Setup::new().shards(1).router("handover = \"router.sock\"").start().await;
    let mut alice = cluster.connect(&cluster.user_on("a", 0)).await;
    let errors = cluster.path("other.log");
    let config = cluster.config();
    let elsewhere = ["router", "--config", &config, "--listen", "127.0.0.1:1"];
    let mut other = Process::start(&errors, &elsewhere);
    assert_eq!(other.ended().await, Some(1));
    assert!(other.errors().contains("the running router listens at"), "{}", other.errors());
    alice.join("still here").await;
}

#[tokio::test]
async fn a_router_that_is_asked_to_end_sends_its_clients_away_and_ends_at_once_when_asked_again() {
    let mut cluster = Setup::new().shards(1).router("close_rate = 1").start().await;
    let alice = cluster.connect(&cluster.user_on("a", 0)).await;
    let mut others = Vec::new();
    for nth in 1..40 {
        others.push(cluster.connect(&cluster.user_on("a", nth)).await);
    }
    let mut router = cluster.router.take().unwrap();
    router.signal("TERM").await;
    assert_eq!(alice.closed().await.code, CloseCode(1012));
    assert_eq!(get(cluster.metrics, "/readyz").await.status, 503);
    assert_eq!(get(cluster.port, "/readyz").await.status, 0);
    assert_eq!(router.terminate().await, Some(0), "{}", router.errors());
    for other in others {
        assert_eq!(other.closed().await.code, CloseCode(1012));
    }
}
