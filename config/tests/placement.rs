//! What placement promises: it never changes unless the map does, keys fall evenly and by
//! weight, and a changed map moves no more keys than it must.

use std::collections::BTreeMap;

use trunkline_config::{Digest, HashKey, Shard, ShardKey, ShardMap};

const KEY: HashKey = HashKey([
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
]);

fn map_of(weights: &[(&str, f64)]) -> ShardMap {
    let shard = |&(id, weight): &(&str, f64)| Shard {
        id: id.to_owned(),
        grpc: format!("{id}:7101"),
        metrics: format!("{id}:9101"),
        weight,
    };
    ShardMap::new(1, KEY, weights.iter().map(shard).collect())
}

fn even_map(ids: &[&'static str]) -> ShardMap {
    map_of(&ids.iter().map(|id| (*id, 1.0)).collect::<Vec<_>>())
}

fn owner<'a>(map: &'a ShardMap, key: &ShardKey<'_>) -> &'a str {
    &map.shards()[usize::from(map.owner(key))].id
}

fn order(map: &ShardMap, digest: Digest) -> String {
    map.placement()
        .order(digest)
        .map(|index| map.shards()[usize::from(index)].id.as_str())
        .collect()
}

/// How many of the first `keys` anonymous keys each shard owns.
fn counts(map: &ShardMap, keys: u64) -> BTreeMap<&str, f64> {
    let mut counts = BTreeMap::new();
    for number in 0..keys {
        *counts.entry(owner(map, &ShardKey::Anonymous(number))).or_default() += 1.0;
    }
    counts
}

/// For each (from, to), the share of the first `keys` users that another map moves.
fn moves<'a>(
    before: &'a ShardMap,
    after: &'a ShardMap,
    keys: u32,
) -> BTreeMap<(&'a str, &'a str), f64> {
    let mut moves = BTreeMap::new();
    for number in 0..keys {
        let name = format!("user-{number}");
        let key = ShardKey::User(&name);
        let (from, to) = (owner(before, &key), owner(after, &key));
        if from != to {
            *moves.entry((from, to)).or_default() += 1.0 / f64::from(keys);
        }
    }
    moves
}

/// The numbers come from a second implementation, in another language. If this fails, every
/// running cluster's keys would move with the next release: mend the code, not the numbers.
#[test]
fn digests_and_orders_are_what_they_always_were() {
    let map = even_map(&["a", "b", "c", "d", "e"]);
    let room = |namespace, room| ShardKey::Room { namespace, room };
    for (key, digest, expected) in [
        (room("/", "lobby"), 0x0485_fd11_1a50_e8c6, "ecbad"),
        (room("/game", "lobby"), 0x5053_89a6_4d09_bfdd, "dbace"),
        (room("/", ""), 0x2438_b8e0_0ab4_5f83, "badce"),
        (room("/", "Zürich ☕"), 0x8d25_bb49_f26e_0999, "acbed"),
        (ShardKey::User("alice"), 0x3c3e_cf23_e06e_53b1, "cdaeb"),
        (ShardKey::User("bob"), 0x9199_c48e_680e_b435, "edacb"),
        (ShardKey::User("lobby"), 0xc970_6f00_379c_b6fb, "acdeb"),
        (ShardKey::Anonymous(0), 0x0424_1769_5490_e26f, "cadeb"),
        (ShardKey::Anonymous(u64::MAX), 0x06f6_b50b_5972_9724, "baced"),
    ] {
        let actual = map.digest(&key);
        assert_eq!((actual, order(&map, actual).as_str()), (Digest(digest), expected), "{key}");
    }
    let weighted = map_of(&[("a", 0.5), ("b", 1.0), ("c", 4.0)]);
    let orders: Vec<String> = (0..8).map(|digest| order(&weighted, Digest(digest))).collect();
    assert_eq!(orders, ["bca", "cab", "cab", "cba", "cab", "cab", "cba", "acb"]);
    assert_eq!(
        (map.id().digest, weighted.id().digest),
        (0x9e61_e07f_6f0f_36bb, 0x1951_373d_bb88_3d4a)
    );
}

#[test]
fn keys_of_different_kinds_and_splits_have_different_digests() {
    let map = even_map(&["a"]);
    let room = |namespace, room| map.digest(&ShardKey::Room { namespace, room });
    assert_ne!(room("/ab", "c"), room("/a", "bc"));
    assert_ne!(room("/", "alice"), map.digest(&ShardKey::User("alice")));
}

#[test]
fn the_order_of_preference_holds_every_shard_once_and_begins_with_the_owner() {
    let map = even_map(&["a", "b", "c", "d"]);
    for number in 0..1000 {
        let digest = map.digest(&ShardKey::Anonymous(number));
        let mut order: Vec<u16> = map.placement().order(digest).collect();
        assert_eq!(order[0], map.placement().owner(digest));
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3]);
    }
}

#[test]
fn neither_the_order_in_the_file_nor_an_address_moves_a_key() {
    let map = even_map(&["a", "b", "c"]);
    let reordered = even_map(&["c", "a", "b"]);
    assert_eq!(moves(&map, &reordered, 10_000), BTreeMap::new());
    assert_eq!(map.id(), reordered.id());
}

#[test]
fn a_million_keys_are_even_within_2_percent_on_8_shards() {
    let map = even_map(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    for (shard, count) in counts(&map, 1_000_000) {
        let deviation = count / 125_000.0 - 1.0;
        assert!(deviation.abs() < 0.02, "{shard} is off by {:.2} %", deviation * 100.0);
    }
}

#[test]
fn weights_are_met_within_1_percent_on_a_million_keys() {
    let weights = [("a", 1.0), ("b", 2.0), ("c", 4.0), ("d", 3.0)];
    let map = map_of(&weights);
    let counts = counts(&map, 1_000_000);
    for (shard, weight) in weights {
        let deviation = counts[shard] / (weight * 100_000.0) - 1.0;
        assert!(deviation.abs() < 0.01, "{shard} is off by {:.2} %", deviation * 100.0);
    }
}

#[test]
fn a_shard_that_is_added_takes_its_share_from_all_and_nothing_else_moves() {
    let before = even_map(&["a", "b", "c", "d"]);
    let after = even_map(&["a", "b", "c", "d", "e"]);
    let moves = moves(&before, &after, 100_000);
    assert!(moves.keys().all(|(_, to)| *to == "e"), "{moves:?}");
    assert_eq!(moves.len(), 4, "{moves:?}");
    let moved: f64 = moves.values().sum();
    assert!((moved - 0.2).abs() < 0.005, "{moved} of the keys moved");
}

#[test]
fn a_shard_that_is_removed_gives_up_only_its_own_keys() {
    let before = even_map(&["a", "b", "c", "d"]);
    let after = even_map(&["a", "b", "d"]);
    let moves = moves(&before, &after, 100_000);
    assert!(moves.keys().all(|(from, _)| *from == "c"), "{moves:?}");
    let moved: f64 = moves.values().sum();
    assert!((moved - 0.25).abs() < 0.005, "{moved} of the keys moved");
}

#[test]
fn a_changed_weight_moves_keys_only_to_or_from_its_shard() {
    let before = even_map(&["a", "b", "c"]);
    let after = map_of(&[("a", 1.0), ("b", 2.0), ("c", 1.0)]);
    let moves = moves(&before, &after, 30_000);
    assert!(!moves.is_empty() && moves.keys().all(|(_, to)| *to == "b"), "{moves:?}");
}
