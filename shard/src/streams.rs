//! What trunks and links need to know to come up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;
use trunkline_core::ShardIndex;
use trunkline_proto::cluster::Cluster;
use trunkline_proto::transport::Security;

use crate::event::Event;
use crate::remaining::Remaining;
use trunkline_proto::net::Clock;
use trunkline_proto::watch;

/// Shared by all streams of a shard; read when one comes up, not per message.
pub(crate) struct Streams {
    pub(crate) cluster: Cluster,
    pub(crate) me: ShardIndex,
    pub(crate) id: String,
    /// Random, one per process.
    pub(crate) incarnation: u64,
    pub(crate) security: Security,
    pub(crate) clock: Clock,
    pub(crate) events: mpsc::Sender<Event>,
    /// Whether routers are let in: when the links are up, so that the first request of the first
    /// client finds them, or a little later without.
    pub(crate) admitting: watch::Receiver<bool>,
    /// Whose links are up.
    pub(crate) linked: watch::Receiver<BTreeSet<ShardIndex>>,
    /// What the shard has, for one that doesn't serve.
    pub(crate) remaining: watch::Receiver<Remaining>,
    pub(crate) seen: Seen,
}

/// What streams have left behind for later ones.
#[derive(Default)]
pub(crate) struct Seen {
    numbers: AtomicU64,
    /// The incarnations of the peers as they were last seen.
    incarnations: Mutex<BTreeMap<ShardIndex, u64>>,
    refusals: Refusals,
}

/// Who was refused, and why. They try again several times a second, and once is enough in the log.
#[derive(Default)]
struct Refusals(Mutex<BTreeSet<(String, String)>>);

impl Refusals {
    /// Of more all are forgotten, and said again.
    const MOST: usize = 256;

    /// Whether nobody has heard yet that somebody is refused for this.
    fn is_news(&self, whom: &str, why: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= Self::MOST {
            said.clear();
        }
        said.insert((whom.to_owned(), why.to_owned()))
    }
}

impl Streams {
    /// A number for a new stream.
    pub(crate) fn number(&self) -> u64 {
        self.seen.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// The incarnation of a peer as it was last seen; 0 if never.
    pub(crate) fn last_incarnation(&self, peer: ShardIndex) -> u64 {
        let seen = self.seen.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&peer).copied().unwrap_or(0)
    }

    pub(crate) fn saw_incarnation(&self, peer: ShardIndex, incarnation: u64) {
        let mut seen = self.seen.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(peer, incarnation);
    }

    /// Whether it is to be logged that a router or a shard is refused because the maps differ.
    pub(crate) fn refusal_is_news(&self, whom: &str, why: &str) -> bool {
        self.seen.refusals.is_news(whom, why)
    }

    /// Gives the driver an event, waiting for room. False when the shard is shutting down.
    pub(crate) async fn tell(&self, event: Event) -> bool {
        self.events.send(event).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_for_each_and_for_each_reason() {
        let refusals = Refusals::default();
        let news = |whom, why| refusals.is_news(whom, why);
        let all = [("r", "old"), ("r", "old"), ("s", "old"), ("r", "new"), ("r", "old")];
        assert_eq!(all.map(|(whom, why)| news(whom, why)), [true, false, true, true, false]);
        for number in 0..Refusals::MOST {
            refusals.is_news(&number.to_string(), "old");
        }
        assert!(refusals.0.lock().unwrap().len() <= Refusals::MOST);
        assert!(news("r", "old"), "it was forgotten");
    }
}
