//! `trunkline spread`: how evenly keys fall on the shards, and what would move under another map.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use trunkline_config::{ShardKey, ShardMap, load_map};

use crate::configuration::ClusterFiles;
use crate::terminal::say;

/// How many made-up keys are placed if nobody says.
const KEYS: u32 = 100_000;

/// Show how evenly keys fall on the shards, and what another map would move
#[derive(Args, Debug)]
pub(crate) struct SpreadArgs {
    #[command(flatten)]
    files: ClusterFiles,
    /// How many made-up keys to place
    #[arg(long, default_value_t = KEYS, value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
    /// Keys to place in place of made-up ones, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    file: Option<PathBuf>,
    /// What the keys are: rooms of the namespace /, or users
    #[arg(long, value_enum, default_value_t = Kind::Room)]
    kind: Kind,
    /// Another shard map, to see what it would move
    #[arg(long, value_name = "SHARDS_TOML")]
    against: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Room,
    User,
}

impl Kind {
    fn key(self, name: &str) -> ShardKey<'_> {
        match self {
            Kind::Room => ShardKey::Room { namespace: "/", room: name },
            Kind::User => ShardKey::User(name),
        }
    }
}

/// Prints the tables.
///
/// # Errors
/// If a file is wrong or can't be read, or holds no key.
pub(crate) fn run(args: &SpreadArgs) -> anyhow::Result<()> {
    let map = args.files.load_once()?.map;
    let other = args.against.as_deref().map(load_map).transpose()?;
    let mut tally = Tally::new(&map, other.as_ref());
    match &args.file {
        None => tally.place_made_up(args.keys, args.kind),
        Some(path) => {
            let context =
                || format!("cannot read {}; give a file of one key a line", path.display());
            let file = std::fs::File::open(path).with_context(context)?;
            for line in BufReader::new(file).lines() {
                let line = line.with_context(context)?;
                if !line.is_empty() {
                    tally.place(&args.kind.key(&line));
                }
            }
            ensure!(tally.keys() > 0, "{} holds no key; write one a line", path.display());
        }
    }
    say(tally.shares());
    if let Some(moves) = tally.moves() {
        say(format_args!("\n{moves}"));
    }
    Ok(())
}

/// What another map changes for a shard, as shares of all keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// What it has.
    pub(crate) before: f64,
    /// What of it goes to others.
    pub(crate) out: f64,
    /// What others have and comes to it.
    pub(crate) into: f64,
}

/// Counts of where keys fall.
pub(crate) struct Tally<'a> {
    map: &'a ShardMap,
    /// By index of the shard.
    owned: Vec<u64>,
    other: Option<&'a ShardMap>,
    /// By the IDs of the shards that keys move from and to, under the other map.
    moved: BTreeMap<(&'a str, &'a str), u64>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(map: &'a ShardMap, other: Option<&'a ShardMap>) -> Self {
        Self { map, owned: vec![0; map.shards().len()], other, moved: BTreeMap::new() }
    }

    /// Places so many made-up keys.
    fn place_made_up(&mut self, keys: u32, kind: Kind) {
        (0..keys).for_each(|number| self.place(&kind.key(&number.to_string())));
    }

    /// Places as many made-up rooms as it takes to know shares to a tenth of a percent or so.
    pub(crate) fn sample(map: &'a ShardMap, other: &'a ShardMap) -> Self {
        let mut tally = Self::new(map, Some(other));
        tally.place_made_up(KEYS, Kind::Room);
        tally
    }

    /// What the other map changes for a shard.
    pub(crate) fn flow(&self, id: &str) -> Flow {
        let index = self.map.index_of(id).map(usize::from);
        let owned = index.and_then(|index| self.owned.get(index)).copied().unwrap_or_default();
        let count = |counts: &dyn Fn(&str, &str) -> bool| {
            let moved = self.moved.iter().filter(|((from, to), _)| counts(from, to));
            ratio(moved.map(|(_, count)| count).sum(), self.keys())
        };
        Flow {
            before: ratio(owned, self.keys()),
            out: count(&|from, _| from == id),
            into: count(&|_, to| to == id),
        }
    }

    fn place(&mut self, key: &ShardKey<'_>) {
        let owner = map_owner(self.map, key);
        if let Some(owned) = self.owned.get_mut(usize::from(self.map.owner(key))) {
            *owned += 1;
        }
        // By ID: an index means another shard in another map.
        if let Some(other) = self.other.map(|other| map_owner(other, key))
            && other != owner
        {
            *self.moved.entry((owner, other)).or_default() += 1;
        }
    }

    fn keys(&self) -> u64 {
        self.owned.iter().sum()
    }

    /// A line for each shard: its keys, their share, the share that its weight promises, and by
    /// how much of that it is off.
    fn shares(&self) -> String {
        let weights: f64 = self.map.shards().iter().map(|shard| shard.weight).sum();
        let mut table = format!(
            "{:<16} {:>10} {:>9} {:>9} {:>10}",
            "shard", "keys", "share", "expected", "deviation"
        );
        for (shard, owned) in self.map.shards().iter().zip(&self.owned) {
            let share = ratio(*owned, self.keys());
            let expected = shard.weight / weights;
            let deviation = share / expected - 1.0;
            let _ = write!(
                table,
                "\n{:<16} {owned:>10} {:>8.2}% {:>8.2}% {:>+9.2}%",
                shard.id,
                share * 100.0,
                expected * 100.0,
                deviation * 100.0
            );
        }
        table
    }

    /// What the other map moves, in all and from where to where; none without another map.
    fn moves(&self) -> Option<String> {
        self.other?;
        let percent = |count| ratio(count, self.keys()) * 100.0;
        let moved = self.moved.values().sum();
        let mut table = format!("{moved} keys ({:.2}%) would move", percent(moved));
        for ((from, to), count) in &self.moved {
            let _ = write!(table, "\n  {from} -> {to}: {count} ({:.2}%)", percent(*count));
        }
        Some(table)
    }
}

fn map_owner<'a>(map: &'a ShardMap, key: &ShardKey<'_>) -> &'a str {
    map.shards().get(usize::from(map.owner(key))).map_or("", |shard| shard.id.as_str())
}

/// Counts of keys are far below 2^53, where an f64 is still exact.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use trunkline_config::{HashKey, Shard};

    use super::*;

    fn map(weights: &[(&str, f64)]) -> ShardMap {
        let shard = |&(id, weight): &(&str, f64)| Shard {
            id: id.to_owned(),
            grpc: format!("{id}:1"),
            metrics: format!("{id}:2"),
            weight,
        };
        ShardMap::new(1, HashKey([7; 16]), weights.iter().map(shard).collect())
    }

    fn tally<'a>(map: &'a ShardMap, other: Option<&'a ShardMap>, keys: u32) -> Tally<'a> {
        let mut tally = Tally::new(map, other);
        tally.place_made_up(keys, Kind::Room);
        tally
    }

    #[test]
    fn one_shard_owns_all_and_is_off_by_nothing() {
        let map = map(&[("a", 2.0)]);
        let table = tally(&map, None, 50).shares();
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["a", "50", "100.00%", "100.00%", "+0.00%"]);
    }

    #[test]
    fn what_is_expected_follows_the_weights() {
        let map = map(&[("a", 1.0), ("b", 3.0)]);
        let table = tally(&map, None, 1000).shares();
        let expected =
            |row: usize| table.lines().nth(row).unwrap().split_whitespace().nth(3).unwrap();
        assert_eq!((expected(1), expected(2)), ("25.00%", "75.00%"));
    }

    #[test]
    fn moves_are_told_by_the_shards_names_whatever_their_order_in_the_map() {
        let before = map(&[("a", 1.0), ("b", 1.0)]);
        let same = map(&[("b", 1.0), ("a", 1.0)]);
        assert_eq!(tally(&before, Some(&same), 100).moves().unwrap(), "0 keys (0.00%) would move");
        let without_a = map(&[("b", 1.0)]);
        let tally = tally(&before, Some(&without_a), 100);
        let (owned, moves) = (tally.owned[0], tally.moves().unwrap());
        assert!(moves.ends_with(&format!("\n  a -> b: {owned} ({owned}.00%)")), "{moves}");
    }

    #[test]
    fn without_another_map_nothing_is_said_of_moves() {
        let map = map(&[("a", 1.0)]);
        assert!(tally(&map, None, 1).moves().is_none());
    }
}
