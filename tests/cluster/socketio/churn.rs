//! What is left of clients that are gone without a word: nothing.

use std::fs;

use super::{proves, rules, setup, unharmed};
use crate::harness::Cluster;

const CLIENTS: &str = "20000";
/// What allocators keep for the next ones, and what the second half of the clients may add to it.
const KEPT_KIB: u64 = 16 * 1024;

/// What there is in all routers and shards.
async fn census(cluster: &Cluster) -> [f64; 4] {
    [
        cluster.routers_metric("trunkline_connections").await,
        cluster.shards_metric("trunkline_sessions").await,
        cluster.shards_metric("trunkline_rooms").await,
        cluster.shards_metric("trunkline_members").await,
    ]
}

/// The resident memory of all processes, in KiB.
fn resident(cluster: &Cluster) -> u64 {
    let of = |id: u32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    };
    cluster.ids().into_values().map(of).sum()
}

#[tokio::test]
async fn clients_that_are_gone_in_any_state_leave_nothing_behind() {
    let cluster = setup(rules!("churn")).start().await;
    let before = census(&cluster).await;
    let mut sizes = Vec::new();
    // The first time, what is kept for later grows too.
    for _ in 0..2 {
        proves("churn", &[CLIENTS], &cluster.http_urls(), 12).await;
        cluster.eventually("nothing is left", async || census(&cluster).await == before).await;
        sizes.push(resident(&cluster));
    }
    assert!(sizes[1] <= sizes[0] + KEPT_KIB, "it grows, in KiB: {sizes:?}");
    unharmed(cluster).await;
}
