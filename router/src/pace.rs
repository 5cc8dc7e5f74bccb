//! So many a second, in small lots: a pace that leaves room for others between them.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Lots in a second, when there is something for each.
const LOTS: u32 = 100;

/// A pace. What was not used is not caught up with.
pub(crate) struct Pace {
    lot: usize,
    ticks: Interval,
}

impl Pace {
    /// `rate` a second; 0 is taken for 1.
    pub(crate) fn per_second(rate: u32) -> Self {
        let rate = rate.max(1);
        let lot = (rate / LOTS).max(1);
        let mut ticks = interval(Duration::from_secs(1) * lot / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { lot: lot as usize, ticks }
    }

    /// Waits for the next lot, and says how many it is. Dropped unready, it takes none.
    pub(crate) async fn lot(&mut self) -> usize {
        self.ticks.tick().await;
        self.lot
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_many_come_in_a_second_as_the_rate_says() {
        for rate in [1, 7, 100, 250, 2000, 1_000_000] {
            let mut pace = Pace::per_second(rate);
            let begin = Instant::now();
            let mut count = 0;
            while count < 3 * rate as usize {
                count += pace.lot().await;
            }
            // The first lot is there at once.
            let took = begin.elapsed().as_secs_f64();
            assert!((1.9..3.1).contains(&took), "{rate}: {took}");
        }
    }
}
