//! Many seeds, each to its end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::cluster::{Outcome, run};
use crate::plan::{MOVING, Plan};
use crate::{each, held};

/// How many are run if nobody says which: half of them with shards that drain and maps that come.
const SEEDS: u64 = 500;
/// Beyond these, seeds that have found mistakes once.
const FOUND: [u64; 12] = [
    421, 1_000_370, 1_000_631, 1_000_668, 1_000_815, 1_001_047, 1_001_088, 1_001_260, 3_000_035,
    3_000_581, 3_000_671, 3_001_067,
];
/// So many seeds have seen everything there is to see.
const ENOUGH: usize = 200;
/// Lines of a failing seed's trace.
const LINES: u64 = 200;

#[allow(clippy::disallowed_methods)] // how many seeds is for whoever runs the test to say
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number")))
}

fn chosen() -> Vec<u64> {
    let count = number("CLUSTER_SEEDS").unwrap_or(SEEDS);
    match number("CLUSTER_SEED") {
        Some(first) => (first..first + count).collect(),
        None => {
            let half = count.div_ceil(2);
            let moving = (MOVING + 1)..=(MOVING + half);
            (1..=half).chain(moving).chain(FOUND).collect()
        }
    }
}

#[test]
fn whatever_breaks_nobody_is_disconnected_and_nothing_is_lost() {
    let seeds = chosen();
    let observed = Mutex::new(BTreeMap::<&'static str, u64>::new());
    let failed = Mutex::new(BTreeMap::<u64, String>::new());
    each(&seeds, |seed| {
        let Outcome { wrong, tally, .. } = run(*seed, false);
        if let Some(wrong) = wrong {
            held(&failed).insert(*seed, wrong);
        }
        let mut observed = held(&observed);
        tally.into_iter().for_each(|(what, times)| *observed.entry(what).or_default() += times);
    });
    let observed = held(&observed);
    println!("{observed:?}");
    let failed = held(&failed);
    for (seed, wrong) in failed.iter() {
        println!("seed {seed}: {wrong:.300}");
    }
    if let Some(seed) = failed.keys().next() {
        let Outcome { wrong, lines, .. } = run(*seed, true);
        let most = usize::try_from(number("CLUSTER_LINES").unwrap_or(LINES)).unwrap_or(usize::MAX);
        for line in &lines[lines.len().saturating_sub(most)..] {
            println!("{line}");
        }
        println!("{:?}", Plan::new(*seed));
        panic!(
            "seed {seed}: {}; again: CLUSTER_SEED={seed} CLUSTER_SEEDS=1 cargo test -p \
             trunkline-simulation",
            wrong.unwrap_or_else(|| "it passes now, so that it isn't deterministic".to_owned())
        );
    }
    if seeds.len() >= ENOUGH {
        for what in ["message", "private", "gap", "unavailable", "left", "lost its router"] {
            assert!(observed.contains_key(what), "no seed has seen: {what}");
        }
    }
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in (1..=5).chain(MOVING + 1..=MOVING + 5) {
        let [first, second] = [run(seed, true), run(seed, true)];
        let parts = first.lines.iter().zip(&second.lines).position(|(a, b)| a != b);
        if let Some(line) = parts {
            panic!("seed {seed} parts:\n{}\n{}", first.lines[line], second.lines[line]);
        }
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert!(first.lines.len() > 100, "something happens");
    }
}
