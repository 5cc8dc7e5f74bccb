//! Where keys belong at the moment: the shard map, and which of its shards are away.
//!
//! A shard that is drained, or found dead behind a fence, is *away*: what it owned belongs to the
//! next in the order of placement until it serves again. Views of different processes differ for
//! a moment after a change and agree in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::sync::Arc;

use crate::key::{Digest, HashKey, ShardKey};
use crate::shard_map::{MapId, Shard, ShardMap};

/// Numbers for shards. A number that an ID was given stays that ID's while the process lives,
/// whatever maps come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    ids: Vec<String>,
    numbers: BTreeMap<String, u16>,
}

impl Directory {
    /// Shards that have a number, at most, of those that no map of this process has.
    pub const MOST: usize = 4096;

    /// The number of a shard, which is given one if it has none.
    pub fn number(&mut self, id: &str) -> u16 {
        self.number_of(id).unwrap_or_else(|| {
            // Nobody changes between maps with 65,536 shards.
            let number = u16::try_from(self.ids.len()).unwrap_or(u16::MAX);
            self.ids.push(id.to_owned());
            self.numbers.insert(id.to_owned(), number);
            number
        })
    }

    /// The number of a shard that has one.
    #[must_use]
    pub fn number_of(&self, id: &str) -> Option<u16> {
        self.numbers.get(id).copied()
    }

    /// The number of a shard that no map needs to have; none if there are too many already.
    pub fn number_of_stranger(&mut self, id: &str) -> Option<u16> {
        let known = self.number_of(id);
        known.or_else(|| (self.ids.len() < Self::MOST).then(|| self.number(id)))
    }

    /// The shards that have numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        (0..).zip(self.ids.iter().map(String::as_str))
    }

    /// Whose number it is.
    #[must_use]
    pub fn id(&self, number: u16) -> Option<&str> {
        self.ids.get(usize::from(number)).map(String::as_str)
    }
}

/// What a view is recognised by. What was said of shards is part of it, with the time, so that no
/// view ever comes again: who went away and serves again is not as if it had been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewId {
    /// The map.
    pub map: MapId,
    /// SipHash-2-4 of what was said of the map's shards, under the map's key.
    pub statuses: u64,
}

/// The shard map, and which of its shards are away. Cheap to clone.
#[derive(Clone, Debug)]
pub struct View {
    map: Arc<ShardMap>,
    /// The shards' numbers, in the map's order.
    numbers: Arc<[u16]>,
    away: Arc<BTreeSet<u16>>,
    /// What was said of all shards that have a number, and when: who is in no map any more may have
    /// served until then.
    said: Arc<BTreeMap<u16, (u64, bool)>>,
    id: ViewId,
}

impl View {
    /// A process's first view: nobody is away, and each shard's number is its index in the map.
    #[must_use]
    pub fn first(map: Arc<ShardMap>) -> (Self, Directory) {
        let mut directory = Directory::default();
        let view = Self::new(map, &Statuses::default(), &mut directory);
        (view, directory)
    }

    /// A map without those who are away; shards that it doesn't know are none of its business.
    #[must_use]
    pub fn new(map: Arc<ShardMap>, statuses: &Statuses, directory: &mut Directory) -> Self {
        let numbers: Arc<[u16]> =
            map.shards().iter().map(|shard| directory.number(&shard.id)).collect();
        let placed: BTreeSet<u16> = numbers.iter().copied().collect();
        let mut hasher = map.hash_key().hasher();
        let (mut said, mut away) = (BTreeMap::new(), BTreeSet::new());
        for (shard, (stamp_ms, is_away)) in &statuses.0 {
            let Some(number) = directory.number_of(shard) else { continue };
            said.insert(number, (*stamp_ms, *is_away));
            if !placed.contains(&number) {
                continue;
            }
            hasher.write(&(shard.len() as u64).to_be_bytes());
            hasher.write(shard.as_bytes());
            hasher.write(&stamp_ms.to_be_bytes());
            hasher.write(&[u8::from(*is_away)]);
            if *is_away {
                away.insert(number);
            }
        }
        let id = ViewId { map: map.id(), statuses: hasher.finish() };
        Self { map, numbers, away: Arc::new(away), said: Arc::new(said), id }
    }

    /// What it is recognised by.
    #[must_use]
    pub fn id(&self) -> ViewId {
        self.id
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &Arc<ShardMap> {
        &self.map
    }

    /// The key of the digests.
    #[must_use]
    pub fn hash_key(&self) -> HashKey {
        self.map.hash_key()
    }

    /// The shards of the map, by number, in the map's order; those who are away as well.
    pub fn shards(&self) -> impl Iterator<Item = (u16, &Shard)> {
        self.numbers.iter().copied().zip(self.map.shards())
    }

    /// A shard of the map.
    #[must_use]
    pub fn shard(&self, number: u16) -> Option<&Shard> {
        self.shards().find(|(it, _)| *it == number).map(|(_, shard)| shard)
    }

    /// Whether a shard is in the map but away.
    #[must_use]
    pub fn is_away(&self, number: u16) -> bool {
        self.away.contains(&number)
    }

    /// Whether nothing has been said of a shard between this view and another.
    #[must_use]
    pub fn says_the_same_of(&self, number: u16, other: &Self) -> bool {
        self.said.get(&number) == other.said.get(&number)
    }

    /// Whether every key belongs where it does in another view.
    #[must_use]
    pub fn places_like(&self, other: &Self) -> bool {
        self.id.map == other.id.map && self.away == other.away
    }

    /// The number of the shard to which a digest belongs: the first in the order of placement that
    /// is not away. When all are, the first.
    #[must_use]
    pub fn owner_of(&self, digest: Digest) -> u16 {
        if self.away.is_empty() {
            return self.number_at(self.map.placement().owner(digest));
        }
        let mut order = self.order_of(digest);
        let first = order.next().unwrap_or_default();
        if !self.is_away(first) {
            return first;
        }
        order.find(|it| !self.is_away(*it)).unwrap_or(first)
    }

    /// The numbers of all shards, in the order in which a digest belongs to them.
    pub fn order_of(&self, digest: Digest) -> impl Iterator<Item = u16> {
        self.map.placement().order(digest).map(|index| self.number_at(index))
    }

    fn number_at(&self, index: u16) -> u16 {
        self.numbers.get(usize::from(index)).copied().unwrap_or(index)
    }

    /// The number of the shard to which a key belongs.
    #[must_use]
    pub fn owner(&self, key: &ShardKey<'_>) -> u16 {
        self.owner_of(self.map.digest(key))
    }
}

/// Whether a shard serves, as it was said at one time. Of two the one that was said later counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStatus {
    /// The shard's ID.
    pub shard: String,
    /// When it was said, in milliseconds since 1970.
    pub stamp_ms: u64,
    /// It doesn't serve: what belongs to it belongs to the next.
    pub away: bool,
}

/// What is known of all shards. Shards of which nothing was said serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(BTreeMap<String, (u64, bool)>);

impl Statuses {
    /// Shards of which something is remembered, at most; of more nothing is learned.
    pub const MOST: usize = 4096;

    /// Takes note of what was said. Whether it is news.
    pub fn learn(&mut self, said: &ShardStatus) -> bool {
        let news = (said.stamp_ms, said.away);
        if self.0.get(&said.shard).is_some_and(|known| *known >= news) {
            return false;
        }
        if self.0.len() >= Self::MOST && !self.0.contains_key(&said.shard) {
            return false;
        }
        self.0.insert(said.shard.clone(), news);
        true
    }

    /// All that is known, in the order of the shards' IDs.
    pub fn iter(&self) -> impl Iterator<Item = ShardStatus> {
        self.0.iter().map(|(shard, (stamp_ms, away))| ShardStatus {
            shard: shard.clone(),
            stamp_ms: *stamp_ms,
            away: *away,
        })
    }

    /// What is news to who knew `told`.
    #[must_use]
    pub fn news_since(&self, told: &Self) -> Vec<ShardStatus> {
        self.iter().filter(|said| told.of(&said.shard).as_ref() != Some(said)).collect()
    }

    /// What was said last of a shard.
    #[must_use]
    pub fn of(&self, shard: &str) -> Option<ShardStatus> {
        let (stamp_ms, away) = *self.0.get(shard)?;
        Some(ShardStatus { shard: shard.to_owned(), stamp_ms, away })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(version: u64, ids: &[&str]) -> Arc<ShardMap> {
        let shard = |id: &&str| Shard {
            id: (*id).to_owned(),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        Arc::new(ShardMap::new(version, HashKey([7; 16]), ids.iter().map(shard).collect()))
    }

    fn away(statuses: &Statuses) -> BTreeSet<String> {
        statuses.iter().filter(|said| said.away).map(|said| said.shard).collect()
    }

    fn status(shard: &str, stamp_ms: u64, away: bool) -> ShardStatus {
        ShardStatus { shard: shard.to_owned(), stamp_ms, away }
    }

    fn statuses(said: &[ShardStatus]) -> Statuses {
        let mut statuses = Statuses::default();
        for said in said {
            statuses.learn(said);
        }
        statuses
    }

    #[test]
    fn what_a_shard_that_is_away_owned_belongs_to_the_next_and_nothing_else_moves() {
        let (all, mut directory) = View::first(map(1, &["a", "b", "c"]));
        let statuses = statuses(&[status("b", 5, true)]);
        let without = View::new(Arc::clone(all.map()), &statuses, &mut directory);
        assert_ne!(all.id(), without.id());
        assert!(!all.places_like(&without));
        let mut moved = 0;
        for digest in (0..1000u64).map(|n| Digest(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))) {
            let mut order = all.map().placement().order(digest);
            let (before, second) = (order.next().unwrap(), order.next().unwrap());
            assert_eq!(all.owner_of(digest), before);
            let expected = if before == 1 { second } else { before };
            moved += u32::from(before == 1);
            assert_eq!(without.owner_of(digest), expected);
        }
        assert!(moved > 200);
    }

    #[test]
    fn a_view_in_which_a_shard_serves_again_is_another_than_the_one_before_it_went() {
        let (first, mut directory) = View::first(map(1, &["a", "b"]));
        let mut view = |said| View::new(map(1, &["a", "b"]), &statuses(&[said]), &mut directory);
        let back = view(status("b", 6, false));
        assert!(first.places_like(&back));
        assert_ne!(first.id(), back.id());
        assert!(!first.says_the_same_of(1, &back) && first.says_the_same_of(0, &back));
        assert_eq!(back.id(), view(status("b", 6, false)).id());
        assert_ne!(back.id(), view(status("b", 7, false)).id());
        assert_eq!(first.id(), view(status("of no map", 7, true)).id());
    }

    #[test]
    fn it_is_known_whether_anything_was_said_of_a_shard_that_is_in_no_map_any_more() {
        let (_, mut directory) = View::first(map(1, &["a", "b"]));
        let mut view = |version, ids: &[&str], said| {
            View::new(map(version, ids), &statuses(&[said]), &mut directory)
        };
        let away = view(1, &["a", "b"], status("b", 5, true));
        let gone = view(2, &["a"], status("b", 5, true));
        assert!(away.says_the_same_of(1, &gone) && !gone.is_away(1));
        let served = view(2, &["a"], status("b", 6, false));
        assert!(!away.says_the_same_of(1, &served));
        assert_eq!(gone.id(), served.id());
    }

    #[test]
    fn when_all_are_away_keys_belong_where_they_would_if_none_was() {
        let (all, mut directory) = View::first(map(1, &["a", "b"]));
        let away = statuses(&["a", "b", "unknown"].map(|id| status(id, 5, true)));
        let none = View::new(Arc::clone(all.map()), &away, &mut directory);
        for digest in (0..100).map(Digest) {
            assert_eq!(none.owner_of(digest), all.owner_of(digest));
        }
    }

    #[test]
    fn a_shard_keeps_its_number_whatever_maps_come() {
        let (_, mut directory) = View::first(map(1, &["a", "b", "c"]));
        let next = View::new(map(2, &["d", "c", "a"]), &Statuses::default(), &mut directory);
        let numbers: Vec<_> = next.shards().map(|(it, shard)| (it, shard.id.as_str())).collect();
        assert_eq!(numbers, [(3, "d"), (2, "c"), (0, "a")]);
        assert_eq!(next.shard(2).unwrap().id, "c");
        assert!(next.shard(1).is_none());
        assert_eq!(directory.id(1), Some("b"));
        for digest in (0..100).map(Digest) {
            let index = next.map().placement().owner(digest);
            let id = &next.map().shards()[usize::from(index)].id;
            assert_eq!(directory.id(next.owner_of(digest)), Some(id.as_str()));
        }
    }

    #[test]
    fn what_was_said_later_counts_in_whatever_order_it_is_heard() {
        let mut statuses = Statuses::default();
        assert!(statuses.learn(&status("a", 5, true)));
        assert!(!statuses.learn(&status("a", 5, true)));
        assert!(!statuses.learn(&status("a", 4, false)));
        assert_eq!(away(&statuses), ["a".to_owned()].into());
        assert!(statuses.learn(&status("a", 6, false)));
        assert!(away(&statuses).is_empty());
        assert_eq!(statuses.iter().collect::<Vec<_>>(), [status("a", 6, false)]);
        assert_eq!(statuses.of("b"), None);
    }

    #[test]
    fn what_was_told_already_is_no_news() {
        let mut statuses = Statuses::default();
        statuses.learn(&status("a", 5, true));
        let told = statuses.clone();
        assert!(statuses.news_since(&told).is_empty());
        statuses.learn(&status("b", 1, false));
        statuses.learn(&status("a", 6, true));
        let news = [status("a", 6, true), status("b", 1, false)];
        assert_eq!(statuses.news_since(&told), news);
    }
}
