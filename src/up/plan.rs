//! Who runs, and where: the file's shards or another number of them, every port decided.

use std::net::SocketAddr;

use trunkline_config::{Loaded, Shard, ShardMap};

use super::names::names;
use super::ports::FreePorts;

/// New shards are on this machine, on any port.
const ANY_PORT: &str = "127.0.0.1:0";

/// The processes of a local cluster.
pub(crate) struct Plan {
    /// The router's address for clients.
    pub(crate) listen: SocketAddr,
    /// The router's address for the operator.
    pub(crate) metrics: SocketAddr,
    /// The shards.
    pub(crate) map: ShardMap,
    /// Whether the shards are others than the file's, so that it places keys otherwise.
    pub(crate) is_reshaped: bool,
}

impl Plan {
    /// A plan for `shards` shards, or for those of the map.
    ///
    /// # Errors
    /// If no port is free.
    pub(crate) fn new(loaded: &Loaded, shards: Option<usize>) -> anyhow::Result<Self> {
        let Loaded { settings, map } = loaded;
        let router = &settings.router;
        let written =
            map.shards().iter().flat_map(|shard| [port(&shard.grpc), port(&shard.metrics)]);
        let reserved = written.chain([router.listen.port(), router.metrics.port()]);
        let mut ports = FreePorts::new(reserved);
        let mut shards = shards_of(map, shards.unwrap_or(map.shards().len()));
        for shard in &mut shards {
            shard.grpc = ports.fill(&shard.grpc)?;
            shard.metrics = ports.fill(&shard.metrics)?;
        }
        Ok(Self {
            listen: ports.fill_socket(router.listen)?,
            metrics: ports.fill_socket(router.metrics)?,
            is_reshaped: shards.len() != map.shards().len(),
            map: ShardMap::new(map.id().version, map.hash_key(), shards),
        })
    }

    /// Counts the map's version up if an earlier run had other shards, so that these look for what
    /// those have kept.
    pub(crate) fn come_after(&mut self, before: &ShardMap) {
        let (before, own) = (before.id(), self.map.id());
        let others = u64::from(before.digest != own.digest);
        let version = own.version.max(before.version.saturating_add(others));
        self.map = ShardMap::new(version, self.map.hash_key(), self.map.shards().to_vec());
    }
}

fn port(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
}

/// The map's first `count` shards, and as many new ones as it lacks.
fn shards_of(map: &ShardMap, count: usize) -> Vec<Shard> {
    let of_map = map.shards().iter().cloned();
    let new = names().filter(|id| map.index_of(id).is_none()).map(|id| Shard {
        id,
        grpc: ANY_PORT.to_owned(),
        metrics: ANY_PORT.to_owned(),
        weight: 1.0,
    });
    of_map.chain(new).take(count).collect()
}

#[cfg(test)]
mod tests {
    use trunkline_config::{HashKey, Settings};

    use super::*;

    fn loaded() -> Loaded {
        let shard = |id: &str| Shard {
            id: id.to_owned(),
            grpc: format!("127.0.0.1:{}", if id == "a" { 7101 } else { 0 }),
            metrics: ANY_PORT.to_owned(),
            weight: 2.0,
        };
        let map = ShardMap::new(4, HashKey([7; 16]), ["a", "c"].map(shard).to_vec());
        Loaded { settings: Settings::default(), map }
    }

    fn ids(map: &ShardMap) -> Vec<&str> {
        map.shards().iter().map(|shard| shard.id.as_str()).collect()
    }

    #[test]
    fn the_file_s_shards_keep_their_placement_and_get_ports_where_they_have_none() {
        let loaded = loaded();
        let plan = Plan::new(&loaded, None).unwrap();
        assert!(!plan.is_reshaped);
        assert_eq!(plan.map.id(), loaded.map.id());
        assert_eq!(plan.map.shards()[0].grpc, "127.0.0.1:7101");
        let mut chosen: Vec<u16> = plan
            .map
            .shards()
            .iter()
            .flat_map(|shard| [port(&shard.grpc), port(&shard.metrics)])
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 4);
        assert!(!chosen.contains(&0));
    }

    #[test]
    fn fewer_shards_are_the_first_and_more_have_names_that_are_free() {
        let plan = |count| Plan::new(&loaded(), Some(count)).unwrap();
        assert_eq!(ids(&plan(1).map), ["a"]);
        assert_eq!(ids(&plan(5).map), ["a", "c", "b", "d", "e"]);
        assert!(plan(1).is_reshaped && !plan(2).is_reshaped);
    }

    #[test]
    fn other_shards_than_those_of_an_earlier_run_have_a_later_map() {
        let mut plan = Plan::new(&loaded(), Some(3)).unwrap();
        let mut later = Plan::new(&loaded(), Some(4)).unwrap();
        let version = plan.map.id().version;
        later.come_after(&plan.map);
        assert_eq!(later.map.id().version, version + 1);
        // The same once more have the same.
        let mut again = Plan::new(&loaded(), Some(4)).unwrap();
        again.come_after(&later.map);
        assert_eq!(again.map.id(), later.map.id());
        plan.come_after(&again.map);
        assert_eq!(plan.map.id().version, version + 2);
    }
}
