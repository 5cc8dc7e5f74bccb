//! Shards are killed under Socket.IO's own clients that poll: nobody holds their sessions, and they come
//! back to them all the same.

use super::{install, proves, rules, setup};
use crate::durability::jetstream::store;
use crate::durability::kills::EMBEDDED;
use crate::durability::nats::Nats;
use crate::harness::Cluster;

/// As the program wants to know them: it kills them.
fn processes(cluster: &Cluster, shards: &[&str]) -> String {
    let process = |id: &&str| format!("{id}={}", cluster.shards[*id].id());
    shards.iter().map(process).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn clients_that_poll_come_back_to_their_sessions_when_shards_are_killed() {
    install().await;
    let mut cluster = setup(rules!("crash")).section(EMBEDDED).start().await;
    let shards = ["a", "b", "c"];
    let (processes, urls) = (processes(&cluster, &shards), cluster.http_urls());
    let arguments = ["--shards", processes.as_str()];
    let started_again = async {
        for id in shards {
            cluster.shards.get_mut(id).expect("a shard").ended().await;
            cluster.start_shard(id).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = proves("crash", &arguments, &urls, 1) => {}
        () = started_again => {}
    }
}

#[tokio::test]
async fn clients_that_poll_come_back_to_their_sessions_at_other_shards_when_one_stays_dead() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "map_bucket = \"maps\"");
    let cluster = setup(rules!("crash")).section(&section).start().await;
    let processes = processes(&cluster, &["b"]);
    proves("crash", &["--shards", &processes], &cluster.http_urls(), 1).await;
}
