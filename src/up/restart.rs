//! When a child that died is started again, and when that is given up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A child that has lived this long begins anew with the shortest pause.
const LIVED_LONG: Duration = Duration::from_secs(30);
/// A child that dies younger than this has not got as far as working: a port is taken, say.
const DIED_YOUNG: Duration = Duration::from_secs(2);
/// So many early deaths in a row, before the cluster was ever ready, won't mend by themselves.
const EARLY_DEATHS_MAX: u32 = 3;

/// What is done about a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The child is started again after this pause.
    Again(Duration),
    /// It won't work before somebody has done something about it.
    GiveUp,
}

/// What one child's deaths have taught.
pub(crate) struct RestartPolicy {
    pauses: ExponentialBackoff,
    early_deaths: u32,
}

impl RestartPolicy {
    pub(crate) fn new() -> Self {
        Self { pauses: pauses(), early_deaths: 0 }
    }

    /// The child died at the age of `lived`. Once the cluster has been ready, its configuration
    /// is known to work, and nothing is given up.
    pub(crate) fn died(&mut self, lived: Duration, cluster_was_ready: bool) -> Verdict {
        self.early_deaths = if lived < DIED_YOUNG { self.early_deaths + 1 } else { 0 };
        if !cluster_was_ready && self.early_deaths >= EARLY_DEATHS_MAX {
            return Verdict::GiveUp;
        }
        if lived >= LIVED_LONG {
            self.pauses = pauses();
        }
        Verdict::Again(self.pauses.next().unwrap_or(PAUSE_MAX).min(PAUSE_MAX))
    }
}

/// Jitter adds up to as much again, so the pauses without it stop at half of the longest.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX / 2)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YOUNG: Duration = Duration::from_millis(100);

    fn pause(verdict: Verdict) -> Duration {
        match verdict {
            Verdict::Again(pause) => pause,
            Verdict::GiveUp => panic!("gave up"),
        }
    }

    #[test]
    fn pauses_grow_from_200_ms_and_stay_within_10_s() {
        let mut policy = RestartPolicy::new();
        let first = pause(policy.died(YOUNG, true));
        assert!(first >= PAUSE_MIN && first <= PAUSE_MIN * 2, "{first:?}");
        let later: Vec<Duration> = (0..20).map(|_| pause(policy.died(YOUNG, true))).collect();
        assert!(later[10..].iter().all(|pause| (PAUSE_MAX / 2..=PAUSE_MAX).contains(pause)));
    }

    #[test]
    fn a_child_that_lived_long_begins_with_the_shortest_pause() {
        let mut policy = RestartPolicy::new();
        for _ in 0..10 {
            pause(policy.died(YOUNG, true));
        }
        assert!(pause(policy.died(LIVED_LONG, true)) <= PAUSE_MIN * 2);
    }

    #[test]
    fn three_early_deaths_before_the_cluster_was_ready_are_enough() {
        let mut policy = RestartPolicy::new();
        pause(policy.died(YOUNG, false));
        pause(policy.died(YOUNG, false));
        assert_eq!(policy.died(YOUNG, false), Verdict::GiveUp);
    }

    #[test]
    fn a_cluster_that_was_ready_is_never_given_up() {
        let mut policy = RestartPolicy::new();
        for _ in 0..50 {
            pause(policy.died(YOUNG, true));
        }
    }

    #[test]
    fn a_longer_life_in_between_starts_the_count_of_early_deaths_again() {
        let mut policy = RestartPolicy::new();
        for lived in [YOUNG, YOUNG, DIED_YOUNG, YOUNG, YOUNG] {
            pause(policy.died(lived, false));
        }
    }
}
