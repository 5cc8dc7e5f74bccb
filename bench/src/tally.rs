//! What is counted.

use std::time::Duration;

use hdrhistogram::Histogram;

/// What one thread has counted of the messages whose time was within the measured span.
pub(crate) struct Tally {
    /// Messages, arrivals or whatever else the scenario has many of.
    pub(crate) sent: u64,
    /// Deliveries that they should lead to.
    pub(crate) expected: u64,
    pub(crate) delivered: u64,
    /// From the intended time to a delivery, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the intended time to the acknowledgement, in microseconds.
    pub(crate) acknowledged: Histogram<u64>,
    /// By how much the driver itself was late, in microseconds.
    pub(crate) lag: Histogram<u64>,
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) error: Option<String>,
    /// Clients whose connection has ended.
    pub(crate) lost: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            expected: 0,
            delivered: 0,
            latency: histogram(),
            acknowledged: histogram(),
            lag: histogram(),
            errors: 0,
            error: None,
            lost: 0,
        }
    }

    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        self.errors += 1;
        self.error.get_or_insert_with(|| why.into());
    }

    /// Adds what another thread has counted.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { sent, expected, delivered, latency, acknowledged, lag, errors, error, lost } =
            other;
        self.sent += sent;
        self.expected += expected;
        self.delivered += delivered;
        for (mine, others) in [
            (&mut self.latency, latency),
            (&mut self.acknowledged, acknowledged),
            (&mut self.lag, lag),
        ] {
            // Both have the same precision, and both grow by themselves.
            let _ = mine.add(others);
        }
        self.errors += errors;
        self.error = self.error.take().or(error);
        self.lost += lost;
    }
}

/// Beyond this, in microseconds, a time is only known to be longer: ten minutes.
const LONGEST: u64 = 600_000_000;

/// Three digits, as many as a time is ever read with.
fn histogram() -> Histogram<u64> {
    // Fails for more than five digits, or bounds that are no range.
    Histogram::new_with_bounds(1, LONGEST, 3).unwrap_or_else(|_| unreachable!("a constant range"))
}

/// A span in whole microseconds.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
