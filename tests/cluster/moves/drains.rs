//! Shards are drained, serve again, and are ended in an orderly way, while people publish and read.

use super::{ask, restart};
use crate::durability::jetstream::store;
use crate::durability::kills::{EMBEDDED, KEEP_ALL, survive};
use crate::durability::nats::Nats;
use crate::harness::{Cluster, Setup};

const MEMORY: &str = "[store]\nkind = \"memory\"";

async fn start(store: &str) -> Cluster {
    Setup::new().section(store).section(KEEP_ALL).start().await
}

/// Each shard in turn is drained and serves again, then is ended and started again.
async fn notice_nothing(cluster: &mut Cluster, rounds: usize) {
    let returns = survive(cluster, rounds, async |cluster, number| {
        let shard = ["a", "b", "c"][number % 3];
        if number % 2 == 0 {
            ask(cluster, "drain", shard).await;
            ask(cluster, "resume", shard).await;
        } else {
            restart(cluster, shard).await;
        }
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}

#[tokio::test]
async fn nothing_is_lost_and_nobody_leaves_when_shards_with_files_drain() {
    notice_nothing(&mut start(EMBEDDED).await, 12).await;
}

#[tokio::test]
async fn nothing_is_lost_and_nobody_leaves_when_shards_without_files_drain() {
    notice_nothing(&mut start(MEMORY).await, 12).await;
}

#[tokio::test]
async fn nothing_is_lost_and_nobody_leaves_when_shards_with_one_log_drain() {
    let servers = [Nats::start("sync_interval: always")];
    notice_nothing(&mut start(&store(&servers, "")).await, 8).await;
}

#[tokio::test]
async fn a_drained_shard_may_stay_away_while_others_drain_too() {
    let mut cluster = start(EMBEDDED).await;
    let returns = survive(&mut cluster, 6, async |cluster, number| {
        let (first, second) = [("a", "b"), ("b", "c"), ("c", "a")][number % 3];
        ask(cluster, "drain", first).await;
        ask(cluster, "drain", second).await;
        ask(cluster, "resume", first).await;
        ask(cluster, "resume", second).await;
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}
