//! The versioned list of shards.

use std::hash::Hasher;

use crate::key::{Digest, HashKey, ShardKey};
use crate::placement::Placement;

/// One shard of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// The shard's name, unique in the map: 1 to 64 bytes of `[A-Za-z0-9._-]`.
    pub id: String,
    /// Where routers and other shards reach it, `HOST:PORT`.
    pub grpc: String,
    /// Where it serves its metrics, `HOST:PORT`.
    pub metrics: String,
    /// Its share of the keys, relative to the others; finite and above 0.
    pub weight: f64,
}

/// What a map is recognised by: its version and a digest of what decides placement (IDs,
/// weights, hash key; not addresses). The same version with another digest is a mistake that
/// both sides of a stream refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapId {
    /// The operator's version, counting up from 1.
    pub version: u64,
    /// SipHash-2-4 of the content under the map's own key.
    pub digest: u64,
}

impl std::fmt::Display for MapId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {} ({:016x})", self.version, self.digest)
    }
}

/// The versioned list of shards, and the placement over them.
#[derive(Debug)]
pub struct ShardMap {
    version: u64,
    hash_key: HashKey,
    shards: Vec<Shard>,
    placement: Placement,
}

impl ShardMap {
    /// A map of these shards. What a file can get wrong (no shard, two of one ID, a weight of 0)
    /// is checked where the file is read.
    #[must_use]
    pub fn new(version: u64, hash_key: HashKey, shards: Vec<Shard>) -> Self {
        let placement = Placement::new(&shards, hash_key);
        Self { version, hash_key, shards, placement }
    }

    /// What this map is recognised by.
    #[must_use]
    pub fn id(&self) -> MapId {
        let mut by_id: Vec<&Shard> = self.shards.iter().collect();
        by_id.sort_by(|a, b| a.id.cmp(&b.id));
        let mut hasher = self.hash_key.hasher();
        for shard in by_id {
            hasher.write(&(shard.id.len() as u64).to_be_bytes());
            hasher.write(shard.id.as_bytes());
            hasher.write(&shard.weight.to_bits().to_be_bytes());
        }
        MapId { version: self.version, digest: hasher.finish() }
    }

    /// The key of the digests.
    #[must_use]
    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// The shards, in the file's order; other places name them by their index here.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The index of the shard with this ID.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<u16> {
        (0..).zip(&self.shards).find(|(_, shard)| shard.id == id).map(|(index, _)| index)
    }

    /// A key's digest under this map.
    #[must_use]
    pub fn digest(&self, key: &ShardKey<'_>) -> Digest {
        key.digest(&self.hash_key)
    }

    /// The placement over this map's shards.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The index of the shard that owns a key.
    #[must_use]
    pub fn owner(&self, key: &ShardKey<'_>) -> u16 {
        self.placement.owner(self.digest(key))
    }
}
