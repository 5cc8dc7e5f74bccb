//! Where a digest belongs: weighted rendezvous hashing over the shards of a map.
//!
//! Rendezvous rather than a ring: a shard that is added takes keys from every other in
//! proportion to its weight, one that is removed gives up only its own, and the order of
//! preference beyond the owner comes for free. With tens of shards the walk over all of them
//! costs less than a ring's memory would.

use std::hash::{Hash, Hasher};

use rendezvous_hash::{Capacity, KeyValueNode, Node, NodeHasher, RendezvousNodes, WeightedNode};

use crate::key::{Digest, HashKey};
use crate::shard_map::Shard;

/// Hashes (digest, shard ID) with the map's key. The `rendezvous_hash` crate's own hasher is
/// std's, which promises no stability between releases of Rust; a placement must never change
/// unless the map does.
#[derive(Clone, Copy, Debug)]
struct KeyedNodeHasher(HashKey);

impl NodeHasher<String> for KeyedNodeHasher {
    fn hash<T: Hash>(&self, node: &String, item: &T) -> u64 {
        let mut hasher = self.0.hasher();
        item.hash(&mut hasher);
        hasher.write(node.as_bytes());
        hasher.finish()
    }
}

/// A digest as bytes in a fixed order, so that a placement is the same on every machine.
struct DigestBytes([u8; 8]);

impl Hash for DigestBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

type WeightedShard = WeightedNode<KeyValueNode<String, u16>>;

/// Answers which shards a digest belongs to. Shards are named by their index in the map.
pub struct Placement {
    nodes: RendezvousNodes<WeightedShard, KeyedNodeHasher>,
    hasher: KeyedNodeHasher,
}

impl std::fmt::Debug for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placement").field("shards", &self.nodes.len()).finish()
    }
}

impl Placement {
    /// The placement over these shards. A weight that is not a normal positive number, which a
    /// checked map never has, takes part in no placement.
    pub(crate) fn new(shards: &[Shard], key: HashKey) -> Self {
        let hasher = KeyedNodeHasher(key);
        let mut nodes = RendezvousNodes::new(hasher);
        for (index, shard) in (0..).zip(shards) {
            if let Some(capacity) = Capacity::new(shard.weight) {
                nodes.insert(WeightedNode::new(
                    KeyValueNode::new(shard.id.clone(), index),
                    capacity,
                ));
            }
        }
        Self { nodes, hasher }
    }

    /// The shards in order of preference, best first.
    pub fn order(&self, digest: Digest) -> impl Iterator<Item = u16> {
        self.nodes.calc_candidates(&DigestBytes(digest.0.to_be_bytes())).map(|node| node.node.value)
    }

    /// The shard that owns a digest: the first of [`Placement::order`].
    #[must_use]
    pub fn owner(&self, digest: Digest) -> u16 {
        let digest = DigestBytes(digest.0.to_be_bytes());
        let weighed = |node: &WeightedShard| node.hash_code(&self.hasher, &digest);
        let weighed = self.nodes.iter().map(|node| ((weighed(node), node.node_id()), node));
        let first = weighed.max_by(|(one, _), (other, _)| one.cmp(other));
        first.map_or(0, |(_, node)| node.node.value)
    }
}
