//! Whole clusters from a seed: two routers and four shards, as they are in production but for the
//! machine that they run on, and people who talk. Network, time, randomness and stores are
//! simulated and in one thread, so that the same seed does the same. Processes die, the network breaks,
//! people vanish, and a ledger of what the stores have really taken judges all that people see.
//!
//! `CLUSTER_SEEDS` is how many seeds are run, `CLUSTER_SEED` the first of them, and `CLUSTER_LINES`
//! how much of a failing seed's trace is printed.

mod clock;
mod cluster;
mod frames;
mod hearing;
// The core's simulation keeps topics in the same model.
#[allow(dead_code)] // some of it only that one asks for
#[path = "../../shard/core/tests/it/harness/log.rs"]
mod model;
mod network;
mod operator;
mod outages;
mod panics;
mod people;
mod perform;
mod person;
mod plan;
#[cfg(debug_assertions)] // only then there are faults
mod planted;
mod process;
mod quiet;
mod script;
mod seeds;
mod store;
mod truth;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// What a simulation's parts share is asked for by one thread.
pub(crate) fn held<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something with each of them, as many at once as there are processors.
pub(crate) fn each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(one);
                }
            });
        }
    });
}
