//! Links and trunks: which are whole, and when the next word on one arrives. Words on one never
//! overtake each other, and what is on its way when it breaks is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use trunkline_core::TrunkId;

/// A router's trunk to a shard: (router, shard).
pub(crate) type TrunkSlot = (usize, usize);

/// One direction of a link or trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Link { from: usize, to: usize },
    Up(TrunkId),
    Down(TrunkId),
}

/// What is whole, and since when.
#[derive(Debug, Default)]
pub(crate) struct Network {
    lives: u64,
    links: BTreeMap<(usize, usize), Whole>,
    trunks: BTreeMap<TrunkSlot, (TrunkId, Duration)>,
    slots: BTreeMap<TrunkId, TrunkSlot>,
    last: BTreeMap<Way, Duration>,
}

/// A link that is whole.
#[derive(Clone, Copy, Debug)]
struct Whole {
    life: u64,
    /// From when on both ends know it.
    known: Duration,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Network {
    /// The link's number, if it is whole.
    pub(crate) fn link(&self, a: usize, b: usize) -> Option<u64> {
        self.links.get(&pair(a, b)).map(|whole| whole.life)
    }

    /// Whether both ends know that the link is whole.
    pub(crate) fn link_is_settled(&self, a: usize, b: usize, now: Duration) -> bool {
        self.links.get(&pair(a, b)).is_some_and(|whole| whole.known <= now)
    }

    /// Makes a link; its ends learn of it at these times.
    pub(crate) fn make_link(&mut self, a: (usize, Duration), b: (usize, Duration)) -> u64 {
        self.lives += 1;
        let whole = Whole { life: self.lives, known: a.1.max(b.1) };
        self.links.insert(pair(a.0, b.0), whole);
        self.last.insert(Way::Link { from: a.0, to: b.0 }, b.1);
        self.last.insert(Way::Link { from: b.0, to: a.0 }, a.1);
        self.lives
    }

    /// Breaks a link; false if it was broken.
    pub(crate) fn break_link(&mut self, a: usize, b: usize) -> bool {
        self.links.remove(&pair(a, b)).is_some()
    }

    /// The trunk in a slot, if it is whole.
    pub(crate) fn trunk(&self, slot: TrunkSlot) -> Option<TrunkId> {
        self.trunks.get(&slot).map(|(trunk, _)| *trunk)
    }

    /// Whether both ends know that the trunk is whole.
    pub(crate) fn trunk_is_settled(&self, slot: TrunkSlot, now: Duration) -> bool {
        self.trunks.get(&slot).is_some_and(|(_, known)| *known <= now)
    }

    /// Where a whole trunk goes.
    pub(crate) fn slot(&self, trunk: TrunkId) -> Option<TrunkSlot> {
        self.slots.get(&trunk).copied()
    }

    /// Makes a trunk; its shard learns of it at this time.
    pub(crate) fn make_trunk(&mut self, slot: TrunkSlot, known: Duration) -> TrunkId {
        self.lives += 1;
        let trunk = TrunkId(self.lives);
        self.trunks.insert(slot, (trunk, known));
        self.slots.insert(trunk, slot);
        self.last.insert(Way::Up(trunk), known);
        trunk
    }

    /// Breaks the trunk in a slot, if there is one.
    pub(crate) fn break_trunk(&mut self, slot: TrunkSlot) -> Option<TrunkId> {
        let (trunk, _) = self.trunks.remove(&slot)?;
        self.slots.remove(&trunk);
        self.last.remove(&Way::Up(trunk));
        self.last.remove(&Way::Down(trunk));
        Some(trunk)
    }

    /// When a word that wants to arrive at `at` does: not before the one before it.
    pub(crate) fn arrival(&mut self, way: Way, at: Duration) -> Duration {
        let last = self.last.entry(way).or_default();
        *last = at.max(*last);
        *last
    }
}
