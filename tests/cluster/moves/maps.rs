//! The shard map gets a shard more and one less, while people publish and read.

use std::fmt::Write as _;

use crate::durability::jetstream::{push, store};
use crate::durability::kills::{EMBEDDED, KEEP_ALL, survive};
use crate::durability::nats::Nats;
use crate::harness::{Cluster, Process, Setup, eventually, free};

/// The cluster's first map in a later version, with a shard `d` beside the others or without.
pub(crate) fn map(cluster: &Cluster, version: u64, d: Option<[u16; 2]>) -> String {
    let first = std::fs::read_to_string(cluster.path("first.toml")).unwrap();
    let mut map = first.replace("version = 1\n", &format!("version = {version}\n"));
    if let Some([grpc, metrics]) = d {
        let _ = write!(
            map,
            "\n[[shard]]\nid = \"d\"\ngrpc = \"127.0.0.1:{grpc}\"\n\
             metrics = \"127.0.0.1:{metrics}\"\n"
        );
    }
    map
}

/// A shard comes and goes, three times. `publish` puts a map in force.
async fn come_and_go(cluster: &mut Cluster, publish: impl AsyncFn(&Cluster, &str)) {
    std::fs::copy(cluster.path("shards.toml"), cluster.path("first.toml")).unwrap();
    let ports = [free(), free()];
    let returns = survive(cluster, 6, async |cluster, number| {
        let (version, comes) = (number as u64 + 2, number % 2 == 0);
        publish(cluster, &map(cluster, version, comes.then_some(ports))).await;
        if comes {
            cluster.start_shard("d").await;
        } else {
            let mut d = cluster.shards.remove("d").unwrap();
            eventually("d has nothing left", async || {
                d.errors().contains("nothing is left of this shard, which is in no map any more")
            })
            .await;
            assert_eq!(d.terminate().await, Some(0), "{}", d.errors());
        }
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}

#[tokio::test]
async fn nobody_notices_that_the_map_s_file_gets_a_shard_and_loses_it() {
    let mut cluster = Setup::new().section(EMBEDDED).section(KEEP_ALL).start().await;
    come_and_go(&mut cluster, async |cluster, map| {
        std::fs::write(cluster.path("shards.toml"), map).unwrap();
    })
    .await;
}

#[tokio::test]
async fn nobody_notices_that_a_shard_is_pushed_into_the_map_and_out_of_it() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "map_bucket = \"maps\"");
    let mut cluster = Setup::new().section(&section).section(KEEP_ALL).start().await;
    come_and_go(&mut cluster, async |cluster, map| {
        // Whoever starts reads the bucket, and the file only before.
        std::fs::write(cluster.path("shards.toml"), map).unwrap();
        push(cluster, map).await;
    })
    .await;
}

#[tokio::test]
async fn a_map_with_another_key_is_refused_with_what_to_do() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let map = std::fs::read_to_string(cluster.path("shards.toml")).unwrap();
    let rekeyed = map.replace("version = 1\n", "version = 2\n").replace("0123", "3210");
    std::fs::write(cluster.path("shards.toml"), rekeyed).unwrap();
    eventually("all have refused it", async || {
        let shards = cluster.shards.values();
        let mut all = shards.chain(&cluster.router).map(Process::errors);
        all.all(|said| {
            said.contains("has another hash_key") && said.contains("put the old key back")
        })
    })
    .await;
    cluster.goes_on_as(&before).await;
}
