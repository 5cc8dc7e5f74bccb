//! Graces. Those that begin at about the same time are one, and end together.

use std::time::Duration;

use crate::deadlines::Deadlines;
use crate::time::Mono;

/// Members that come to be in doubt within this time have one grace.
const TOGETHER: Duration = Duration::from_millis(250);

/// Graces that all last equally long.
#[derive(Debug)]
pub(super) struct Graces {
    /// The one that has begun last, and when.
    newest: Option<(Mono, u64)>,
    ends: Deadlines<u64>,
}

impl Graces {
    pub(super) fn new(lasts: Duration) -> Self {
        Self { newest: None, ends: Deadlines::new(lasts + TOGETHER) }
    }

    /// The number of the grace that begins now, of all that `numbers` counts.
    pub(super) fn begin(&mut self, now: Mono, numbers: &mut u64) -> u64 {
        if let Some((since, nth)) = self.newest
            && now.since(since) < TOGETHER
        {
            return nth;
        }
        *numbers += 1;
        self.newest = Some((now, *numbers));
        self.ends.push(now, *numbers);
        *numbers
    }

    /// Takes out the next grace that is over.
    pub(super) fn pop_over(&mut self, now: Mono) -> Option<u64> {
        self.ends.pop_due(now)
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.ends.next()
    }
}
