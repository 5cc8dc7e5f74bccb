//! Faults that are planted in the code, one by one: the table's seed must catch each, so that a
//! simulation that has become blind is noticed. See `tests/planted`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use trunkline_planted::{Caught, faults, with};

use crate::cluster::run;
use crate::plan::MOVING;
use crate::seeds::number;
use crate::{each, held};

/// Seeds that are tried for a line of the table: so many without moves, so many with.
const SEEDS: u64 = 50;
/// Lines that are enough to choose from.
const LINES: usize = 3;

fn wrong(seed: u64) -> Option<String> {
    run(seed, false).wrong
}

#[test]
fn each_planted_fault_is_caught_by_its_seed() {
    let caught: Vec<Caught<'_>> = Caught::by("clusters").collect();
    assert!(!caught.is_empty(), "there are faults");
    // Some have the same seed.
    let mut seeds: Vec<u64> = caught.iter().map(|it| it.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let unplanted = Mutex::new(BTreeMap::new());
    each(&seeds, |seed| drop(held(&unplanted).insert(*seed, wrong(*seed))));
    let (unplanted, problems) = (held(&unplanted), Mutex::new(Vec::new()));
    each(&caught, |it| {
        let planted = with(it.fault, || wrong(it.seed));
        let checked = it.check(planted.as_deref(), unplanted[&it.seed].as_deref());
        held(&problems).extend(checked.err());
    });
    let problems = held(&problems);
    assert!(problems.is_empty(), "see tests/planted/caught.txt:\n{}", problems.join("\n"));
}

#[test]
#[ignore = "looks for lines of the table"]
#[allow(clippy::disallowed_methods)] // which fault is for whoever runs the test to say
fn which_seeds_catch_a_planted_fault() {
    let wanted = std::env::var("PLANTED").map(|fault| vec![&*fault.leak()]);
    let count = number("PLANTED_SEEDS").unwrap_or(SEEDS);
    let faults: Vec<&str> = wanted.unwrap_or_else(|_| faults().collect());
    each(&faults, |fault| {
        let seeds = (1..=count).flat_map(|seed| [seed, MOVING + seed]);
        let caught = seeds.filter_map(|seed| {
            let says = with(fault, || wrong(seed))?;
            let passes = wrong(seed).is_none();
            passes.then(|| Caught { fault, simulation: "clusters", seed, says: &says }.to_string())
        });
        caught.take(LINES).for_each(|line| println!("{line:.250}"));
    });
}
