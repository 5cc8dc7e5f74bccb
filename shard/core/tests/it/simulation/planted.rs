//! Faults that are planted in the core, one by one: the table's seed must catch each, so that a
//! simulation that has become blind is noticed. See `tests/planted`.

use trunkline_planted::{Caught, faults, with};

use super::{Failure, attempt, number, sockets};
use crate::harness::Trace;

/// Seeds of each simulation that are tried for a line of the table.
const SEEDS: u64 = 300;
/// Lines that are enough to choose from, for each simulation.
const LINES: usize = 3;

/// What has gone wrong, if anything has.
fn wrong(simulation: &str, seed: u64) -> Option<String> {
    let (kind, moves) = simulation.split_once(' ').expect("its kind, and what moves");
    let moves = moves.parse().expect("what moves is a number");
    let outcome: Result<(), Failure> = match kind {
        "cores" => attempt(seed, moves, &mut Trace::default()).map(drop),
        "sockets" => sockets::attempt(seed, moves, &mut Trace::default()).map(drop),
        kind => panic!("the core has no simulation of {kind}"),
    };
    let failure = outcome.err()?;
    let text = failure.downcast_ref::<String>().cloned();
    text.or_else(|| failure.downcast_ref::<&str>().map(|&text| text.to_owned()))
}

#[test]
fn each_planted_fault_is_caught_by_its_seed() {
    let caught: Vec<Caught<'_>> = Caught::by("cores").chain(Caught::by("sockets")).collect();
    assert!(!caught.is_empty(), "there are faults");
    let check = |it: &Caught<'static>| {
        let planted = with(it.fault, || wrong(it.simulation, it.seed));
        it.check(planted.as_deref(), wrong(it.simulation, it.seed).as_deref()).err()
    };
    let problems: Vec<String> = caught.iter().filter_map(check).collect();
    assert!(problems.is_empty(), "see tests/planted/caught.txt:\n{}", problems.join("\n"));
}

#[test]
#[ignore = "looks for lines of the table"]
#[allow(clippy::disallowed_methods)] // which fault is for whoever runs the test to say
fn which_seeds_catch_a_planted_fault() {
    let wanted = std::env::var("PLANTED").map(|fault| vec![&*fault.leak()]);
    let seeds = number("PLANTED_SEEDS", SEEDS);
    for fault in wanted.unwrap_or_else(|_| faults().collect()) {
        for simulation in
            ["cores 0", "cores 2", "cores 3", "sockets 0", "sockets 1", "sockets 2", "sockets 4"]
        {
            let caught = (1..=seeds).filter_map(|seed| {
                let says = with(fault, || wrong(simulation, seed))?;
                let passes = wrong(simulation, seed).is_none();
                passes.then(|| Caught { fault, simulation, seed, says: &says }.to_string())
            });
            caught.take(LINES).for_each(|line| println!("{line:.200}"));
        }
    }
}
