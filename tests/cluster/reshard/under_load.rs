//! `reshard apply` while people publish and read, with keys that move.

use crate::durability::jetstream::store;
use crate::durability::kills::{EMBEDDED, KEEP_ALL, survive};
use crate::durability::nats::Nats;
use crate::harness::{Cluster, Process, Setup, free};
use crate::moves::maps::map;

/// Begins to go over to `new.toml`; `before.toml` is the map until then.
fn apply(cluster: &Cluster) -> Process {
    let path = |name: &str| cluster.path(name).to_str().unwrap().to_owned();
    let (new, before) = (path("new.toml"), path("before.toml"));
    let arguments = ["reshard", "apply", &new, "--before", &before, "--config", &cluster.config()];
    Process::start(&cluster.path("apply.log"), &arguments)
}

/// A fourth shard comes, which gets a quarter of all keys, and goes; whoever watches stops once. What
/// `apply` says first begins with `in_force`.
async fn go_over_and_back(cluster: &mut Cluster, in_force: &str) {
    std::fs::copy(cluster.path("shards.toml"), cluster.path("first.toml")).unwrap();
    std::fs::copy(cluster.path("shards.toml"), cluster.path("new.toml")).unwrap();
    let ports = [free(), free()];
    let returns = survive(cluster, 4, async |cluster, number| {
        let (version, comes) = (number as u64 + 2, number % 2 == 0);
        std::fs::rename(cluster.path("new.toml"), cluster.path("before.toml")).unwrap();
        let text = map(cluster, version, comes.then_some(ports));
        std::fs::write(cluster.path("new.toml"), text).unwrap();

        let mut watch = apply(cluster);
        watch.line(in_force).await;
        watch.signal("INT").await;
        assert_eq!(watch.ended().await, Some(1), "{}", watch.errors());
        assert!(watch.errors().contains("the cluster goes on by itself"), "{}", watch.errors());
        if comes {
            cluster.start_shard("d").await;
        }

        let mut watch = apply(cluster);
        watch.line(&format!("the cluster has map version {version} ")).await;
        watch.line(&format!("everything is where it belongs by map version {version}")).await;
        assert_eq!(watch.ended().await, Some(0), "{}", watch.errors());
        if comes {
            cluster.map = trunkline_config::load_map(&cluster.path("new.toml")).unwrap();
            assert!(cluster.shard_metric("d", "trunkline_topics").await > 0.0, "keys have moved");
        }
        for shard in ["a", "b", "c", "d"] {
            let moving = cluster.shard_metric(shard, "trunkline_moving").await;
            assert_eq!(moving, 0.0, "{shard} has what is another's");
        }
        if !comes {
            let mut d = cluster.shards.remove("d").unwrap();
            assert_eq!(d.terminate().await, Some(0), "{}", d.errors());
        }
    })
    .await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}

#[tokio::test]
async fn keys_move_under_load_when_another_map_takes_the_file_s_place() {
    let mut cluster = Setup::new().section(EMBEDDED).section(KEEP_ALL).start().await;
    let file = cluster.path("shards.toml");
    go_over_and_back(&mut cluster, file.to_str().unwrap()).await;
}

#[tokio::test]
async fn keys_move_under_load_when_another_map_is_put_into_the_bucket() {
    let servers = [Nats::start("sync_interval: always")];
    let section = store(&servers, "map_bucket = \"maps\"");
    let mut cluster = Setup::new().section(&section).section(KEEP_ALL).start().await;
    go_over_and_back(&mut cluster, "maps has map version").await;
}
