//! Shards go away, come, and go for ever, while clients stay connected and go on.

mod drains;
mod health;
pub(crate) mod maps;
mod signs;

use crate::harness::{Cluster, Process};

/// Asks a shard's process for something by the command line, and waits until it is done.
async fn ask(cluster: &Cluster, what: &str, shard: &str) {
    let errors = cluster.path(&format!("{what}.log"));
    let mut command =
        Process::start(&errors, &["shard", what, shard, "--config", &cluster.config()]);
    assert_eq!(command.ended().await, Some(0), "{what} {shard}: {}", command.errors());
}

/// Ends a shard as an operator does, and starts it again.
async fn restart(cluster: &mut Cluster, shard: &str) {
    let mut process = cluster.shards.remove(shard).unwrap();
    assert_eq!(process.terminate().await, Some(0), "{}", process.errors());
    assert!(process.errors().contains("nothing is left of this shard"), "{}", process.errors());
    cluster.start_shard(shard).await;
}
