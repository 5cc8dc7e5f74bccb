//! An ordered map that most often holds one entry.
//!
//! A session is in one room or a few, and an inbox has one member; but any room may have a hundred
//! thousand. The smallest node of a [`BTreeMap`] has room for eleven entries, which is most of what
//! an idle session would take.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

/// With more entries than this it is a tree.
const FEW: usize = 8;

/// A map in the order of its keys, with what of [`BTreeMap`]'s methods is needed.
#[derive(Clone, Debug)]
pub(crate) enum SmallMap<K, V> {
    /// Takes no memory besides.
    One((K, V)),
    /// Sorted; none or at least two.
    Few(Vec<(K, V)>),
    /// Boxed, so that it makes the others no larger.
    #[allow(clippy::box_collection)]
    Many(Box<BTreeMap<K, V>>),
}

/// A set in order.
pub(crate) type SmallSet<K> = SmallMap<K, ()>;

type Parts<'a, K, V> = (&'a [(K, V)], Option<&'a BTreeMap<K, V>>);

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K: Ord> FromIterator<K> for SmallSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::default();
        for key in keys {
            set.insert(key, ());
        }
        set
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::One((only, value)) => (only.borrow() == key).then_some(value),
            Self::Few(few) => find(few, key).ok().map(|place| &few[place].1),
            Self::Many(many) => many.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::One((only, value)) => (only == key).then_some(value),
            Self::Few(few) => find(few, key).ok().map(|place| &mut few[place].1),
            Self::Many(many) => many.get_mut(key),
        }
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// Gives the value that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Self::Many(many) = self {
            return many.insert(key, value);
        }
        if let Some(there) = self.get_mut(&key) {
            return Some(std::mem::replace(there, value));
        }
        self.insert_new(key, value);
        None
    }

    /// The value of a key, which is made if it isn't there.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        if !matches!(self, Self::Many(_)) && !self.contains_key(&key) {
            self.insert_new(key.clone(), make());
            return self.get_mut(&key).unwrap_or_else(|| unreachable!("it is there"));
        }
        match self {
            Self::One((_, value)) => value,
            Self::Few(few) => {
                let place = find(few, &key).unwrap_or_else(|place| place);
                &mut few[place].1
            }
            Self::Many(many) => many.entry(key).or_insert_with(make),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::One((only, _)) if only != key => None,
            Self::One(_) => match std::mem::take(self) {
                Self::One((_, value)) => Some(value),
                Self::Few(_) | Self::Many(_) => None,
            },
            Self::Few(few) => {
                let place = find(few, key).ok()?;
                let (_, value) = few.remove(place);
                if few.len() == 1
                    && let Some(one) = few.pop()
                {
                    *self = Self::One(one);
                }
                Some(value)
            }
            Self::Many(many) => {
                let value = many.remove(key)?;
                if many.len() <= FEW / 2 {
                    *self = Self::Few(std::mem::take(&mut **many).into_iter().collect());
                }
                Some(value)
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = self.parts();
        few.iter().map(|(key, value)| (key, value)).chain(many.into_iter().flatten())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let (few, many) = match self {
            Self::One(one) => (std::slice::from_mut(one), None),
            Self::Few(few) => (few.as_mut_slice(), None),
            Self::Many(many) => (&mut [][..], Some(many.values_mut())),
        };
        few.iter_mut().map(|(_, value)| value).chain(many.into_iter().flatten())
    }

    /// What comes after a key, or everything.
    pub(crate) fn after(&self, key: Option<&K>) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = self.parts();
        let from = key.map_or(0, |key| few.partition_point(|(it, _)| it <= key));
        let bound = key.map_or(Bound::Unbounded, Bound::Excluded);
        let many = many.map(|many| many.range((bound, Bound::Unbounded)));
        few[from..].iter().map(|(key, value)| (key, value)).chain(many.into_iter().flatten())
    }

    /// What there is, one of which is empty.
    fn parts(&self) -> Parts<'_, K, V> {
        match self {
            Self::One(one) => (std::slice::from_ref(one), None),
            Self::Few(few) => (few, None),
            Self::Many(many) => (&[], Some(many)),
        }
    }

    fn insert_new(&mut self, key: K, value: V) {
        *self = match std::mem::take(self) {
            Self::Few(few) if few.is_empty() => Self::One((key, value)),
            Self::One(one) => Self::Few(match one.0.cmp(&key) {
                Ordering::Less => vec![one, (key, value)],
                Ordering::Equal | Ordering::Greater => vec![(key, value), one],
            }),
            Self::Few(mut few) if few.len() < FEW => {
                let place = find(&few, &key).unwrap_or_else(|place| place);
                few.insert(place, (key, value));
                Self::Few(few)
            }
            Self::Few(few) => {
                let mut many: BTreeMap<K, V> = few.into_iter().collect();
                many.insert(key, value);
                Self::Many(Box::new(many))
            }
            Self::Many(mut many) => {
                many.insert(key, value);
                Self::Many(many)
            }
        };
    }
}

fn find<Q: Ord + ?Sized, K: Borrow<Q>, V>(few: &[(K, V)], key: &Q) -> Result<usize, usize> {
    few.binary_search_by(|(it, _)| it.borrow().cmp(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_well_formed(map: &SmallMap<u32, u32>) -> bool {
        match map {
            SmallMap::One(_) => true,
            SmallMap::Few(few) => few.len() != 1 && few.len() <= FEW,
            SmallMap::Many(many) => many.len() > FEW / 2,
        }
    }

    #[test]
    fn it_does_what_a_tree_does_whatever_its_size() {
        let mut map = SmallMap::default();
        let mut tree = BTreeMap::new();
        let mut state: u32 = 1;
        for step in 0..20_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // It grows and shrinks again and again.
            let (key, grows) = ((state >> 16) % 24, (step / 100) % 2 == 0);
            match (state >> 8) % 4 {
                0 if grows => assert_eq!(map.insert(key, step), tree.insert(key, step)),
                1 if grows => {
                    let made = *tree.entry(key).or_insert(step);
                    assert_eq!(*map.get_or_insert_with(key, || step), made);
                }
                0..=2 => assert_eq!(map.remove(&key), tree.remove(&key)),
                _ => {
                    map.values_mut().chain(tree.values_mut()).for_each(|value| *value += 1);
                    assert_eq!(map.get_mut(&key), tree.get_mut(&key));
                }
            }
            assert!(is_well_formed(&map), "{map:?}");
            assert_eq!((map.len(), map.is_empty()), (tree.len(), tree.is_empty()));
            assert!(map.iter().eq(&tree) && map.keys().eq(tree.keys()));
            assert!(map.values().eq(tree.values()));
            assert_eq!(map.first(), tree.first_key_value());
            let after = tree.range((Bound::Excluded(key), Bound::Unbounded));
            assert!(map.after(Some(&key)).eq(after) && map.after(None).eq(&tree));
            assert_eq!(map.contains_key(&key), tree.contains_key(&key));
        }
    }

    #[test]
    fn one_entry_takes_hardly_more_than_itself() {
        assert!(size_of::<SmallMap<u64, u64>>() <= 24);
    }
}
