//! `shards.toml`: the shards, and what none of them may share.

use std::collections::HashMap;

use super::auth::secret;
use super::source::Source;
use super::table::{Field, Table};
use crate::shard_map::{Shard, ShardMap};
use crate::value::{Wrong, address, name};

/// Weights further apart than this are a mistake, and would lose precision in the placement.
const WEIGHTS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;
/// Every process keeps a stream to every shard, and indices of shards are 16 bits wide.
const SHARDS_MAX: usize = 1024;

/// Whether the map's shards may be reached over a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// They may, or it isn't known yet.
    Network,
    /// They may not: nothing says how the processes would know each other.
    Loopback,
}

/// Reads the file's tree; none if it is not TOML, or no map can be made of it. Problems are left
/// with the source.
pub(crate) fn read(source: &Source, reach: Reach) -> Option<ShardMap> {
    let tree = source.tree()?;
    let mut root = Table::root(source, &tree);
    let version = root.require("version", "1", |f| f.integer(1..=i64::MAX));
    let hash_key = root.require(
        "hash_key",
        "\"…\", 32 hexadecimal digits of your own (`openssl rand -hex 16`)",
        |f| name::hash_key(&secret(f)?),
    );
    let shards =
        root.require("shard", "…, or [[shard]] and its keys below it", |f| shards(f, reach));
    root.finish();
    Some(ShardMap::new(version?, hash_key?, shards?))
}

/// Whether the file, as far as it is TOML, has a key that only a map has.
pub(crate) fn is_map(source: &Source) -> bool {
    let tree = source.tree_so_far();
    ["version", "hash_key", "shard"].iter().any(|key| tree.get_ref().contains_key(*key))
}

fn shards(field: &Field<'_>, reach: Reach) -> Result<Vec<Shard>, Wrong> {
    let elements = field.elements()?;
    if elements.is_empty() {
        return Err(Wrong::new("is empty", "write at least one [[shard]]"));
    }
    if elements.len() > SHARDS_MAX {
        return Err(Wrong::new(
            format!("has {} elements", elements.len()),
            format!("write at most {SHARDS_MAX} shards"),
        ));
    }
    let mut reader = ShardReader { reach, ids: HashMap::new(), addresses: HashMap::new() };
    Ok(elements.iter().filter_map(|element| reader.read(element)).collect())
}

/// Reads shard after shard, and remembers what the earlier ones have taken.
struct ShardReader {
    reach: Reach,
    /// ID → the name of the element that took it.
    ids: HashMap<String, String>,
    /// Address → the name of the key that took it.
    addresses: HashMap<String, String>,
}

impl ShardReader {
    fn read(&mut self, element: &Field<'_>) -> Option<Shard> {
        let mut table = element.judge(Field::table)?;
        let id = table.require("id", "\"a\"", |f| {
            let id = name::shard_id(f.text()?)?;
            take(&mut self.ids, &id, f)
        });
        let grpc = table.require("grpc", "\"127.0.0.1:7101\"", |f| {
            let grpc = self.address(f)?;
            if self.reach == Reach::Loopback && !address::is_loopback(&grpc) {
                return Err(Wrong::new(
                    format!("is {grpc}, beyond loopback, where anyone could pose as a shard"),
                    "set cluster.secret or cluster.tls in the cluster's file",
                ));
            }
            Ok(grpc)
        });
        let metrics = table.require("metrics", "\"127.0.0.1:9101\"", |f| self.address(f));
        let mut weight = 1.0;
        table.set("weight", &mut weight, |f| f.number(WEIGHTS));
        table.finish();
        Some(Shard { id: id?, grpc: grpc?, metrics: metrics?, weight })
    }

    fn address(&mut self, field: &Field<'_>) -> Result<String, Wrong> {
        let address = address::reachable(field.text()?)?;
        // Port 0 is replaced by a free one, another each time.
        if address::has_port_zero(&address) {
            return Ok(address);
        }
        take(&mut self.addresses, &address, field)
    }
}

/// Marks `value` as taken by this field, unless another has it already.
fn take(taken: &mut HashMap<String, String>, value: &str, by: &Field<'_>) -> Result<String, Wrong> {
    match taken.insert(value.to_owned(), by.name().to_owned()) {
        None => Ok(value.to_owned()),
        Some(first) => Err(Wrong::new(
            format!("is {value:?}, as {first} is"),
            "give every shard an ID and addresses of its own",
        )),
    }
}
