//! Faults that are planted in the code, one by one: some seed must catch each. So a simulation that
//! has become blind is noticed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::cluster::run;
use crate::held;
use crate::plan::MOVING;

/// At the router, in the order of a message's way.
const ROUTER: &[&str] = &[
    "settle one too many",
    "deliver to who has left",
    "note no places of a group",
    "swap two frames",
    "believe in who is silent",
    "tell no shard who has gone",
    "hold nobody",
    "attach without positions",
    "attach without slots",
    "say nothing again",
    "forget what was answered",
];

/// At the home of a session.
const HOME: &[&str] = &[
    "forget who is behind a broken trunk",
    "claim nobody",
    "go on from the older place",
    "keep back what was missed",
];

/// At the owner of a topic.
const OWNER: &[&str] = &[
    "forget what was published",
    "forget what the log knows",
    "take a failure for done",
    "drop an acknowledgement",
    "tell all shards but one",
    "begin one too late",
    "let nobody leave",
    "let go of who is suspended",
    "count a user twice",
    "keep private messages back",
];

/// Where topics and sessions move.
const MOVES: &[&str] = &[
    "open what another may have",
    "go before all know",
    "lack what is there",
    "move without positions",
    "come back by the same number",
];

/// Seeds that are tried for each.
const SEEDS: u64 = 100;

#[test]
fn each_planted_fault_is_caught_by_some_seed() {
    let faults = [ROUTER, HOME, OWNER, MOVES].concat();
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    trunkline_planted::plant(Some(fault));
                    let first = if MOVES.contains(fault) { MOVING } else { 1 };
                    let caught = (first..first + SEEDS).find_map(|seed| {
                        let wrong = run(seed, false).wrong?;
                        // What is wrong without the fault as well says nothing of it.
                        trunkline_planted::plant(None);
                        let is_right = run(seed, false).wrong.is_none();
                        trunkline_planted::plant(Some(fault));
                        is_right.then_some((seed, wrong))
                    });
                    match caught {
                        Some((seed, wrong)) => println!("{fault}: seed {seed}: {wrong:.200}"),
                        None => held(&missed).push(*fault),
                    }
                }
            });
        }
    });
    let missed = held(&missed);
    assert!(missed.is_empty(), "nobody has noticed: {missed:?}");
}
