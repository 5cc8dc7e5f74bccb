//! How long something is tried.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How long a request may take, from when it is submitted. A cluster that has lost a stream's
/// leader needs some seconds to agree on another.
const REQUEST: Duration = Duration::from_secs(10);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Until when something is tried, and how long to wait before the next time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

/// It is over.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no server has answered in time")]
pub(super) struct Late;

impl Patience {
    /// For a request that is submitted now.
    pub(super) fn of_request() -> Self {
        Self::new(REQUEST)
    }

    pub(super) fn new(time: Duration) -> Self {
        Self { until: Instant::now() + time, pause: SHORTEST_PAUSE }
    }

    /// Waits for something, no longer than there is patience.
    pub(super) async fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Late> {
        timeout_at(self.until, what).await.map_err(|_| Late)
    }

    /// Waits a little before something is tried again: twice as long each time.
    pub(super) async fn pause(&mut self) -> Result<(), Late> {
        if Instant::now() + self.pause >= self.until {
            sleep_until(self.until).await;
            return Err(Late);
        }
        sleep(self.pause).await;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Ok(())
    }
}
