//! How long a socket may speak HTTP.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Loading the page takes no longer, nor does reading an answer.
const LIFETIME: Duration = Duration::from_secs(60);

/// The time left to one socket. Only requests whose answer takes its time move it on, and each
/// by a bound of its own.
pub(crate) struct Lifetime {
    end: Cell<Instant>,
    renewed: Cell<bool>,
}

impl Lifetime {
    pub(super) fn begin() -> Self {
        Self { end: Cell::new(Instant::now() + LIFETIME), renewed: Cell::new(false) }
    }

    /// An answer may take this long, and then there is time to read it.
    pub(crate) fn extend(&self, by: Duration) {
        self.end.set(Instant::now() + by + LIFETIME);
        self.renewed.set(true);
    }

    /// Whether it was ever extended.
    pub(super) fn was_renewed(&self) -> bool {
        self.renewed.get()
    }

    /// Returns when the time is over.
    pub(super) async fn over(&self) {
        while Instant::now() < self.end.get() {
            sleep_until(self.end.get()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn what_takes_its_time_moves_the_end_on() {
        let lifetime = Lifetime::begin();
        lifetime.end.set(Instant::now() + Duration::from_millis(10));
        let soon = timeout(Duration::from_millis(50), async {
            tokio::join!(lifetime.over(), async { lifetime.extend(Duration::ZERO) })
        });
        assert!(soon.await.is_err() && lifetime.was_renewed());
        lifetime.end.set(Instant::now());
        lifetime.over().await;
    }
}
