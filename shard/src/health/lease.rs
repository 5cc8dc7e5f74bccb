//! Whether this shard may believe that what it has is still its own.
//!
//! Another takes over when this one has been silent for the timeout. A process that runs notices
//! when its words don't get through; one that was stopped and goes on doesn't know that time has
//! passed. So before anything is served the last word's age is looked at, and if it is too old the
//! next one's outcome is waited for.

use std::time::Duration;

use tokio::time::Instant;
use trunkline_config::settings::HealthSettings;
use trunkline_proto::watch;

/// What became of this shard's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It was kept, and was said at this time.
    Kept(Instant),
    /// It can't be said: the servers are away. What is appended is refused or waits, and nobody can
    /// write that this shard is dead who isn't better off.
    Unsaid,
}

/// Where the driver asks.
pub(crate) struct Lease {
    word: watch::Receiver<Word>,
    good_for: Duration,
}

impl Lease {
    pub(super) fn new(word: watch::Receiver<Word>, settings: HealthSettings) -> Self {
        Self { word, good_for: settings.timeout.saturating_sub(settings.interval) }
    }

    /// Returns when this shard knows whether it was taken for dead, as far as it can be known. Whoever
    /// writes the words sees to it that it doesn't take long.
    pub(crate) async fn settle(&mut self) {
        while self.is_stale() {
            if self.word.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_stale(&mut self) -> bool {
        match *self.word.borrow_and_update() {
            Word::Kept(said) => said.elapsed() > self.good_for,
            Word::Unsaid => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_stopped_waits_for_its_next_word_and_without_servers_nobody_waits() {
        let (words, word) = watch::channel(Word::Unsaid);
        let mut lease = Lease::new(word, HealthSettings::default());
        assert_eq!(lease.settle().now_or_never(), Some(()));
        words.send_replace(Word::Kept(Instant::now()));
        advance(Duration::from_millis(1200)).await;
        assert_eq!(lease.settle().now_or_never(), Some(()));
        advance(Duration::from_millis(1)).await;
        assert_eq!(lease.settle().now_or_never(), None);
        words.send_replace(Word::Kept(Instant::now()));
        assert_eq!(lease.settle().now_or_never(), Some(()));
        advance(Duration::from_secs(9)).await;
        words.send_replace(Word::Unsaid);
        assert_eq!(lease.settle().now_or_never(), Some(()));
    }
}
