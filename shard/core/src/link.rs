//! Which peers can be reached now.

/// A shard, by its index in the shard map.
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
    up: Vec<bool>,
    /// How often each has come up.
    lives: Vec<u64>,
}

impl Links {
    pub(crate) fn new(me: ShardIndex, shards: usize) -> Self {
        let mut links = Self { me, up: vec![false; shards], lives: vec![0; shards] };
        links.set(me, true);
        links
    }

    pub(crate) fn me(&self) -> ShardIndex {
        self.me
    }

    pub(crate) fn is_up(&self, peer: ShardIndex) -> bool {
        self.up.get(usize::from(peer.0)).copied().unwrap_or(false)
    }

    pub(crate) fn set(&mut self, peer: ShardIndex, up: bool) {
        let index = usize::from(peer.0);
        if let (Some(slot), Some(life)) = (self.up.get_mut(index), self.lives.get_mut(index)) {
            *slot = up;
            *life += u64::from(up);
        }
    }

    /// The link to a peer as it is now.
    pub(crate) fn via(&self, peer: ShardIndex) -> Via {
        let life = self.lives.get(usize::from(peer.0)).copied().unwrap_or_default();
        Via { peer, life }
    }
}
