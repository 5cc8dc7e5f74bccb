//! How far a majority of the servers had got a moment ago: who hasn't got there can't say what is newest.
//!
//! A server that leads the stream and is cut off from the others goes on answering reads for up to
//! twenty seconds, while these have chosen another leader and kept more; and any other may be late. Only what is
//! written needs a majority. So what a server says is newest is believed if it has got as far in the stream as
//! something that was written lately. Any append will do, and who has none writes one word for all who ask meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::job::Chore;
use super::patience::{Late, Patience};
use super::server::Server;

/// How long before a question a write counts that was sent then. Servers that have just acknowledged
/// something don't choose another leader sooner (`minCampaignTimeout` of their Raft), so that what
/// had been kept by anybody when the question was asked is seen.
const LATELY: Duration = Duration::from_millis(100);

/// The newest of what this process has written.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// When it was sent, and its place.
    newest: Mutex<Option<(Instant, u64)>>,
    /// One at a time has a word written.
    asking: tokio::sync::Mutex<()>,
}

impl Reached {
    /// What was sent then has been kept at this place.
    pub(super) fn note(&self, sent: Instant, place: u64) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = (*newest).max(Some((sent, place)));
    }

    fn lately(&self, asked: Instant) -> Option<u64> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.filter(|(sent, _)| *sent + LATELY >= asked).map(|(_, place)| place)
    }
}

impl Server {
    /// A place that a majority of the servers has reached: all that anybody had been told was kept
    /// is before it. What has to be written for that is of no more use, and is one of the chores.
    pub(super) async fn reached(
        &self,
        chores: &mut Vec<Chore>,
        patience: &mut Patience,
    ) -> Result<u64, Late> {
        let asked = Instant::now();
        let reached = self.progress();
        let _turn = patience.wait(reached.asking.lock()).await?;
        loop {
            if let Some(place) = reached.lately(asked) {
                return Ok(place);
            }
            match patience.wait(self.publish_word()).await? {
                Ok(place) => chores.push(Chore::Delete(place)),
                Err(failure) => {
                    tracing::debug!(%failure, "a majority is asked for its word again");
                    patience.pause().await?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_lately_counts_and_nothing_older() {
        let reached = Reached::default();
        let sent = Instant::now();
        assert_eq!(reached.lately(sent), None);
        reached.note(sent, 7);
        assert_eq!(reached.lately(sent), Some(7));
        assert_eq!(reached.lately(sent + LATELY), Some(7));
        assert_eq!(reached.lately(sent + LATELY + Duration::from_nanos(1)), None);
    }

    #[test]
    fn an_answer_that_comes_late_makes_nothing_older() {
        let reached = Reached::default();
        let sent = Instant::now();
        reached.note(sent + LATELY, 8);
        reached.note(sent, 7);
        assert_eq!(reached.lately(sent + 2 * LATELY), Some(8));
    }
}
