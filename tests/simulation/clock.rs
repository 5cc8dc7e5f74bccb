//! The simulated time of day, which all hosts of a thread's simulation share.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use trunkline_proto::net::Clock;

/// When every simulation begins, in milliseconds since 1970.
pub(crate) const BEGINNING_MS: u64 = 1_790_000_000_000;

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(BEGINNING_MS) };
}

pub(crate) fn now_ms() -> u64 {
    NOW_MS.get()
}

/// How long the simulation has been running.
pub(crate) fn since() -> Duration {
    Duration::from_millis(now_ms() - BEGINNING_MS)
}

pub(crate) fn reset() {
    NOW_MS.set(BEGINNING_MS);
}

pub(crate) fn advance(by: Duration) {
    NOW_MS.set(now_ms() + u64::try_from(by.as_millis()).expect("a step in reason"));
}

/// As processes read it.
pub(crate) fn clock() -> Clock {
    Arc::new(now_ms)
}
