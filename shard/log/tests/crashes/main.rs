//! The embedded store on a disk that fails: at every write and sync, with whatever subset of what
//! wasn't synced left behind, and with lies about what was.
//!
//! A model judges after each crash: all that was acknowledged is there, nothing is that was never
//! submitted, and offsets have no gap.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod disk;
mod model;
mod run;

use proptest::prelude::*;

use crate::disk::Plan;
use crate::run::{Ending, Step, run};

/// About 20 seconds in a debug build.
const CASES: u32 = 100;

#[allow(clippy::disallowed_methods)] // how many cases is for whoever runs the test to say
fn cases() -> ProptestConfig {
    let cases = match std::env::var("CRASH_CASES") {
        Ok(text) => text.parse().expect("CRASH_CASES must be a whole number"),
        Err(_) => CASES,
    };
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4usize, 1..6u64, 0..3usize).prop_map(|(topic, count, size)| {
            Step::Append { topic, count, size: [10, 300, 5_000][size] }
        }),
        4 => (1..6u64).prop_map(|count| Step::AppendToAll { count }),
        1 => (0..4usize).prop_map(|topic| Step::Reopen { topic }),
        1 => (2..4usize, 0..30u64).prop_map(|(topic, back)| Step::Mark { topic, back }),
        2 => (0..4usize, 1..9u64, 0..3usize).prop_map(|(topic, count, size)| {
            Step::Import { topic, count, size: [10, 300, 5_000][size] }
        }),
        1 => (0..4usize).prop_map(|topic| Step::Remove { topic }),
        1 => Just(Step::Note),
        1 => (1_000..40_000u64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 5..most)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_was_acknowledged_outlives_any_crash(
        steps in steps(40),
        seed: u64,
        crashes in proptest::collection::vec(1..400u64, 1..4),
    ) {
        run(&steps, seed, crashes.into_iter().map(Plan::crash).collect());
    }

    #[test]
    fn a_write_or_sync_that_fails_costs_no_more_than_its_own_requests(
        steps in steps(30),
        seed: u64,
        faults in proptest::collection::vec((1..200u64, 1..4u64), 1..4),
        crash in 100..400u64,
    ) {
        let faults = faults.into_iter().map(|(after, count)| Plan::fail(after, count));
        run(&steps, seed, faults.chain([Plan::crash(crash)]).collect());
    }

    #[test]
    fn a_disk_that_lies_is_found_out_or_loses_the_newest(
        steps in steps(30),
        seed: u64,
        lies in (1..60u64, 1..200u64),
        crash in 20..400u64,
    ) {
        let (after, count) = lies;
        run(&steps, seed, vec![Plan::lie(after, count), Plan::crash(crash)]);
    }

    #[test]
    fn what_cannot_be_read_now_is_read_later(
        steps in steps(30),
        seed: u64,
        after in 1..300u64,
        count in 1..4u64,
    ) {
        run(&steps, seed, vec![Plan::short_reads(after, count)]);
    }
}

/// One after the other, each write and each sync of a run is where the machine stops.
#[test]
fn a_crash_at_each_write_and_each_sync_loses_nothing() {
    let steps: Vec<Step> = (0..6)
        .flat_map(|round| {
            [
                Step::AppendToAll { count: 1 + round % 3 },
                Step::Append { topic: 0, count: 2, size: 3_000 },
                Step::Mark { topic: 2, back: 1 },
            ]
        })
        .chain([
            Step::Note,
            Step::Import { topic: 1, count: 5, size: 3_000 },
            Step::Import { topic: 2, count: 2, size: 10 },
            Step::Remove { topic: 0 },
            Step::Note,
            Step::AppendToAll { count: 2 },
        ])
        .collect();
    let Ending::Done { operations } = run(&steps, 0, Vec::new()) else { panic!("no fault") };
    assert!(operations > 50, "{operations} writes and syncs are too few to be all of them");
    for nth in 1..=operations {
        run(&steps, nth, vec![Plan::crash(nth)]);
    }
}

#[test]
fn a_topic_that_was_forgotten_while_it_was_open_goes_on_where_it_stood() {
    let steps = [
        Step::Import { topic: 3, count: 4, size: 10 },
        Step::AppendToAll { count: 1 },
        Step::Pass { ms: 61_000 },
        Step::Sweep,
        Step::Append { topic: 3, count: 1, size: 10 },
        Step::Restart,
    ];
    assert!(matches!(run(&steps, 5, Vec::new()), Ending::Done { .. }));
}

#[test]
fn a_full_disk_stops_publishing_until_there_is_room() {
    let steps: Vec<Step> =
        (0..20).map(|_| Step::Append { topic: 0, count: 4, size: 5_000 }).collect();
    let ending = run(&steps, 3, vec![Plan::full(30, 25)]);
    assert!(matches!(ending, Ending::Done { .. }));
}
