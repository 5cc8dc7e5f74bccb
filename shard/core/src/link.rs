//! Which peers can be reached now.

/// A shard, by its index in the shard map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(pub u16);

/// Which links are up. A core's link to itself always is.
#[derive(Debug)]
pub(crate) struct Links {
    me: ShardIndex,
    up: Vec<bool>,
}

impl Links {
    pub(crate) fn new(me: ShardIndex, shards: usize) -> Self {
        let mut links = Self { me, up: vec![false; shards] };
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
        if let Some(slot) = self.up.get_mut(usize::from(peer.0)) {
            *slot = up;
        }
    }
}
