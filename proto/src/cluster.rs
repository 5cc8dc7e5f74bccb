//! What a process knows of its cluster: the newest shard map, what was said of its shards, the
//! numbers that they have here, and the view that follows from all of it.
//!
//! It is shared by all tasks and threads of a process and changes when a map comes or a shard says
//! something new, never per message. Who carries traffic watches it and has a copy.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use trunkline_config::{Directory, MapId, ShardMap, ShardStatus, Statuses, View, ViewId};

use crate::{trunk as wire, watch};

/// What a process knows of its cluster. Cheap to clone: all clones are the same.
#[derive(Clone, Debug)]
pub struct Cluster {
    outlook: Arc<watch::Sender<Outlook>>,
}

/// The cluster as it looks at one time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Where keys belong.
    pub view: View,
    /// What was said of shards.
    pub statuses: Arc<Statuses>,
    /// The numbers that shards have in this process.
    pub directory: Arc<Directory>,
}

/// Why a map is not gone over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapRefused {
    /// All keys would be placed anew.
    #[error(
        "the shard map {0} has another hash_key, which can't change while the cluster runs; put the old key back, or end every process and start them all with the new map"
    )]
    HashKey(MapId),
    /// It is an older one, or says something else under the same version.
    #[error(
        "the shard map {new} is no newer than {current}, which is in use; count its version up"
    )]
    NotNewer {
        /// The one that is in use.
        current: MapId,
        /// The one that was found.
        new: MapId,
    },
}

impl Cluster {
    /// A cluster of which this map and these statuses are known. Each shard's number is its index
    /// in the map.
    #[must_use]
    pub fn new(map: Arc<ShardMap>, statuses: Statuses) -> Self {
        let (_, directory) = View::first(Arc::clone(&map));
        let outlook = Outlook::of(map, Arc::new(statuses), directory);
        Self { outlook: Arc::new(watch::Sender::new(outlook)) }
    }

    /// As it looks now.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.outlook.borrow().clone()
    }

    /// Changes whenever something does.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Outlook> {
        self.outlook.subscribe()
    }

    /// Takes note of what was said of a shard. Whether it is news.
    pub fn learn(&self, said: &ShardStatus) -> bool {
        self.outlook.send_if_modified(|outlook| {
            let news = Arc::make_mut(&mut outlook.statuses).learn(said);
            if news {
                *outlook = Outlook::of(
                    Arc::clone(outlook.view.map()),
                    Arc::clone(&outlook.statuses),
                    Directory::clone(&outlook.directory),
                );
            }
            news
        })
    }

    /// Says of a shard whether it serves, so that it is news to everybody: later than `now_ms`, and
    /// than what was said before.
    pub fn say(&self, shard: &str, away: bool, now_ms: u64) -> ShardStatus {
        let mut said = ShardStatus { shard: shard.to_owned(), stamp_ms: now_ms, away };
        while !self.learn(&said) {
            let known = self.outlook.borrow().statuses.of(shard);
            // Of nobody else than shards of a map is anything said: there is room for them.
            let Some(known) = known else { break };
            said.stamp_ms = known.stamp_ms.saturating_add(1);
        }
        said
    }

    /// Goes over to a newer map; nothing happens if it is the one in use.
    ///
    /// # Errors
    /// [`MapRefused`] says what to do.
    pub fn take_map(&self, map: Arc<ShardMap>) -> Result<(), MapRefused> {
        let mut taken = Ok(());
        self.outlook.send_if_modified(|outlook| {
            let (current, new) = (outlook.view.id().map, map.id());
            if outlook.view.hash_key() != map.hash_key() {
                taken = Err(MapRefused::HashKey(new));
                return false;
            }
            if current == new {
                return false;
            }
            if new.version <= current.version {
                taken = Err(MapRefused::NotNewer { current, new });
                return false;
            }
            let (statuses, directory) = (&outlook.statuses, &outlook.directory);
            *outlook = Outlook::of(map, Arc::clone(statuses), Directory::clone(directory));
            true
        });
        taken
    }

    /// The number of a shard, which is given one if it has none, though no map of this process has
    /// it: one that is to go, and still has something to give away. None if there are too many.
    #[must_use]
    pub fn number(&self, id: &str) -> Option<u16> {
        let mut number = None;
        self.outlook.send_if_modified(|outlook| {
            number = outlook.directory.number_of(id);
            if number.is_some() {
                return false;
            }
            number = Arc::make_mut(&mut outlook.directory).number_of_stranger(id);
            number.is_some()
        });
        number
    }
}

impl Outlook {
    fn of(map: Arc<ShardMap>, statuses: Arc<Statuses>, mut directory: Directory) -> Self {
        let view = View::new(map, &statuses, &mut directory);
        Self { view, statuses, directory: Arc::new(directory) }
    }

    /// A shard's ID, for logs and metrics.
    #[must_use]
    pub fn name(&self, number: u16) -> &str {
        self.directory.id(number).unwrap_or("?")
    }
}

/// Waits before a shard that could not be reached under the view `before` is tried again. True if
/// there is another view, by which it may be there again: who has reached it has told so.
pub async fn pause_or_news(
    pause: Duration,
    before: ViewId,
    outlooks: &mut watch::Receiver<Outlook>,
) -> bool {
    let is_other = |outlook: &Outlook| outlook.view.id() != before;
    // It is known for as long as there is somebody to try.
    timeout(pause, outlooks.wait_for(is_other)).await.is_ok_and(|news| news.is_ok())
}

/// What was said of a shard, as it is on the wire.
#[must_use]
pub fn encode_status(status: ShardStatus) -> wire::ShardStatus {
    let ShardStatus { shard, stamp_ms, away } = status;
    wire::ShardStatus { shard, stamp_ms, away }
}

/// All that is known, as a hello tells it.
#[must_use]
pub fn encode_statuses(statuses: &Statuses) -> Vec<wire::ShardStatus> {
    statuses.iter().map(encode_status).collect()
}

/// What another process says of a shard; nothing if no shard can have this ID.
#[must_use]
pub fn decode_status(status: wire::ShardStatus) -> Option<ShardStatus> {
    let wire::ShardStatus { shard, stamp_ms, away } = status;
    (1..=64).contains(&shard.len()).then_some(ShardStatus { shard, stamp_ms, away })
}

#[cfg(test)]
mod tests {
    use trunkline_config::{HashKey, Shard};

    use super::*;

    fn map(version: u64, key: u8, ids: &[&str]) -> Arc<ShardMap> {
        let shard = |id: &&str| Shard {
            id: (*id).to_owned(),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        Arc::new(ShardMap::new(version, HashKey([key; 16]), ids.iter().map(shard).collect()))
    }

    fn cluster() -> Cluster {
        Cluster::new(map(2, 7, &["a", "b"]), Statuses::default())
    }

    #[test]
    fn news_of_a_shard_makes_a_view_and_what_is_known_already_does_not() {
        let cluster = cluster();
        let mut watch = cluster.subscribe();
        let away = ShardStatus { shard: "b".to_owned(), stamp_ms: 5, away: true };
        assert!(cluster.learn(&away));
        assert!(watch.has_changed());
        assert!(watch.borrow_and_update().view.is_away(1));
        assert!(!cluster.learn(&away));
        assert!(!watch.has_changed());
    }

    #[test]
    fn what_a_shard_says_of_itself_counts_though_its_clock_is_behind() {
        let cluster = cluster();
        cluster.learn(&ShardStatus { shard: "b".to_owned(), stamp_ms: 500, away: true });
        let said = cluster.say("b", false, 100);
        assert_eq!(said, ShardStatus { shard: "b".to_owned(), stamp_ms: 501, away: false });
        assert!(!cluster.outlook().view.is_away(1));
        assert_eq!(cluster.say("b", true, 900).stamp_ms, 900);
    }

    #[test]
    fn only_newer_maps_with_the_same_key_are_gone_over_to() {
        let cluster = cluster();
        let mut watch = cluster.subscribe();
        let (same, other) = (map(2, 7, &["a", "b"]), map(2, 7, &["a"]));
        assert_eq!(cluster.take_map(Arc::clone(&same)), Ok(()));
        let refused = MapRefused::NotNewer { current: same.id(), new: other.id() };
        assert_eq!(cluster.take_map(other), Err(refused));
        let rekeyed = map(3, 8, &["a", "b"]);
        let refused = MapRefused::HashKey(rekeyed.id());
        assert_eq!(cluster.take_map(rekeyed), Err(refused));
        assert!(!watch.has_changed());
        assert_eq!(cluster.take_map(map(3, 7, &["c", "b"])), Ok(()));
        let outlook = watch.borrow_and_update();
        let numbers: Vec<u16> = outlook.view.shards().map(|(number, _)| number).collect();
        assert_eq!((numbers, outlook.name(0)), (vec![2, 1], "a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_until_there_is_news() {
        let cluster = cluster();
        let mut outlooks = cluster.subscribe();
        let before = cluster.outlook().view.id();
        let pause = Duration::from_secs(1);
        let begun = tokio::time::Instant::now();
        assert!(!pause_or_news(pause, before, &mut outlooks).await);
        assert_eq!(begun.elapsed(), pause);
        cluster.say("b", false, 5);
        // It was said before, but after what the try went by.
        assert!(pause_or_news(pause, before, &mut outlooks).await);
        assert_eq!(begun.elapsed(), pause);
    }
}
