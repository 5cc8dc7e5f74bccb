//! Which peers can be reached now.

use std::collections::{BTreeMap, BTreeSet};

/// A shard, by the number that it has in this process ([`trunkline_config::Directory`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(pub u16);

/// To whom an answer is owed: a peer, in one life of the link to it. A later process of the peer
/// begins to count anew, and must not take the answers to the one before for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    pub(crate) peer: ShardIndex,
    life: u64,
}

impl Via {
    #[cfg(test)]
    pub(crate) fn test(peer: u16) -> Self {
        Self { peer: ShardIndex(peer), life: 0 }
    }
}

/// Which links are up. A core's link to itself always is.
#[derive(Debug)]
pub(crate) struct Links {
    me: ShardIndex,
    up: BTreeSet<ShardIndex>,
    /// How often each has come up.
    lives: BTreeMap<ShardIndex, u64>,
}

impl Links {
    pub(crate) fn new(me: ShardIndex) -> Self {
        let mut links = Self { me, up: BTreeSet::new(), lives: BTreeMap::new() };
        links.set(me, true);
        links
    }

    pub(crate) fn me(&self) -> ShardIndex {
        self.me
    }

    pub(crate) fn is_up(&self, peer: ShardIndex) -> bool {
        self.up.contains(&peer)
    }

    /// All peers that can be reached.
    pub(crate) fn others(&self) -> Vec<ShardIndex> {
        self.up.iter().copied().filter(|peer| *peer != self.me).collect()
    }

    pub(crate) fn set(&mut self, peer: ShardIndex, up: bool) {
        if up {
            self.up.insert(peer);
            *self.lives.entry(peer).or_default() += 1;
        } else {
            self.up.remove(&peer);
        }
    }

    /// The link to a peer as it is now.
    pub(crate) fn via(&self, peer: ShardIndex) -> Via {
        let life = self.lives.get(&peer).copied().unwrap_or_default();
        Via { peer, life }
    }
}
