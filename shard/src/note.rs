//! What a shard's next process must know of the cluster, as the store keeps it: who may hold topics
//! that are the shard's, by which view, and what was said of shards.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use trunkline_config::{MapId, ShardStatus, View, ViewId};
use trunkline_core::{LogReach, ShardIndex};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::log as wire;

/// A note, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) view: ViewId,
    /// Of the view's map.
    pub(crate) shards: BTreeSet<String>,
    /// By ID, for numbers are a process's own.
    pub(crate) owed: BTreeSet<String>,
    pub(crate) statuses: Vec<ShardStatus>,
}

impl Note {
    pub(crate) fn encode(self) -> Bytes {
        let Self { view: ViewId { map, statuses: said }, shards, owed, statuses } = self;
        let statuses = statuses
            .into_iter()
            .map(|ShardStatus { shard, stamp_ms, away }| wire::Status { shard, stamp_ms, away });
        let note = wire::Note {
            map_version: map.version,
            map_digest: map.digest,
            said,
            shards: shards.into_iter().collect(),
            owed: owed.into_iter().collect(),
            statuses: statuses.collect(),
        };
        note.encode_to_vec().into()
    }

    /// Reads one; nothing if it is none, which is like never having kept one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let wire::Note { map_version, map_digest, said, owed, statuses, shards } =
            wire::Note::decode(bytes).ok()?;
        let map = MapId { version: map_version, digest: map_digest };
        let statuses = statuses
            .into_iter()
            .map(|wire::Status { shard, stamp_ms, away }| ShardStatus { shard, stamp_ms, away });
        Some(Self {
            view: ViewId { map, statuses: said },
            shards: shards.into_iter().collect(),
            owed: owed.into_iter().collect(),
            statuses: statuses.collect(),
        })
    }

    /// Who was away with nothing left, and has said nothing since.
    fn has_nothing(&self, id: &str, cluster: &Cluster) -> bool {
        let of = |id: &str| self.statuses.iter().find(|said| said.shard == id);
        let is_away = |id: &String| of(id).is_some_and(|said| said.away);
        // When all are away none is: what they own is still theirs.
        let are_all_away = self.shards.iter().all(is_away);
        let known = cluster.outlook().statuses.of(id);
        let is_still_away = of(id).is_some_and(|said| said.away && known.as_ref() == Some(said));
        is_still_away && !are_all_away && !self.owed.contains(id)
    }
}

/// Who may hold topics that by the cluster's view are those of the shard `me`, which starts.
pub(crate) fn owed_at_start(
    note: Option<&Note>,
    reach: LogReach,
    cluster: &Cluster,
    me: ShardIndex,
) -> BTreeSet<ShardIndex> {
    let view = cluster.outlook().view;
    let owed: BTreeSet<String> = match (reach, note) {
        // Nothing was said since, and the process before served to its end.
        (LogReach::Shard, Some(note)) if note.view == view.id() && !view.is_away(me.0) => {
            note.owed.clone()
        }
        // It is a new shard of a new cluster.
        (LogReach::Shard, None) if view.id().map.version == 1 => BTreeSet::new(),
        // A process before may have been away, and its topics with others: with those too who were
        // taken out of the map since.
        (LogReach::Shard, Some(note)) => {
            let all = ids(&view).chain(note.shards.iter().cloned());
            let mut all: BTreeSet<String> = all.chain(note.owed.iter().cloned()).collect();
            all.retain(|id| !note.has_nothing(id, cluster));
            all
        }
        // With a log that all shards share too: it need not be asked for what others give.
        (LogReach::Shard | LogReach::Process | LogReach::Cluster, _) => ids(&view).collect(),
    };
    let numbers = owed.iter().filter_map(|id| cluster.number(id)).map(ShardIndex);
    numbers.filter(|it| *it != me).collect()
}

fn ids(view: &View) -> impl Iterator<Item = String> {
    view.shards().map(|(_, shard)| shard.id.clone())
}

#[cfg(test)]
mod tests {
    use trunkline_config::Statuses;

    use super::*;
    use crate::testing::map;

    fn cluster(version: u64) -> Cluster {
        Cluster::new(map(version, &["a", "b", "c"]), Statuses::default())
    }

    fn note(view: ViewId, owed: &[&str]) -> Note {
        let said = ShardStatus { shard: "b".to_owned(), stamp_ms: 7, away: true };
        let [owed, shards] =
            [owed, &["a", "b", "c"]].map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        Note { view, shards, owed, statuses: vec![said] }
    }

    fn owed(note: Option<&Note>, reach: LogReach, cluster: &Cluster) -> Vec<u16> {
        let owed = owed_at_start(note, reach, cluster, ShardIndex(0));
        owed.into_iter().map(|ShardIndex(number)| number).collect()
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_what_is_none_is_none() {
        let written = note(cluster(3).outlook().view.id(), &["b", "x"]);
        assert_eq!(Note::decode(&written.clone().encode()), Some(written));
        assert_eq!(Note::decode(b"\xff\xff"), None);
    }

    #[test]
    fn under_the_noted_view_those_are_owed_that_were_and_under_another_everybody_is() {
        let cluster = cluster(3);
        let noted = note(cluster.outlook().view.id(), &["b", "gone"]);
        assert_eq!(owed(Some(&noted), LogReach::Shard, &cluster), [1, 3]);
        assert_eq!(cluster.outlook().name(3), "gone");
        let before = ViewId { statuses: 1, ..noted.view };
        assert_eq!(owed(Some(&note(before, &[])), LogReach::Shard, &cluster), [1, 2]);
        assert_eq!(owed(Some(&note(before, &["gone"])), LogReach::Shard, &cluster), [1, 2, 3]);
    }

    #[test]
    fn who_was_taken_out_of_the_map_meanwhile_may_have_what_is_owed() {
        let cluster = cluster(3);
        let mut noted = note(cluster.outlook().view.id(), &[]);
        noted.view.map.version = 2;
        noted.shards.insert("gone".to_owned());
        assert_eq!(owed(Some(&noted), LogReach::Shard, &cluster), [1, 2, 3]);
        assert_eq!(cluster.outlook().name(3), "gone");
    }

    #[test]
    fn who_was_away_with_nothing_left_and_has_said_nothing_since_is_not_owed() {
        let cluster = cluster(3);
        cluster.say("b", true, 7);
        let noted = |owed| note(cluster.outlook().view.id(), owed);
        let (empty, full) = (noted(&[]), noted(&["b"]));
        // What the shard itself says now makes another view.
        cluster.say("a", true, 9);
        assert_eq!(owed(Some(&empty), LogReach::Shard, &cluster), [2]);
        assert_eq!(owed(Some(&full), LogReach::Shard, &cluster), [1, 2]);
        let all_away = Note { shards: ["b".to_owned()].into(), ..empty.clone() };
        assert_eq!(owed(Some(&all_away), LogReach::Shard, &cluster), [1, 2]);
        cluster.say("b", false, 8);
        assert_eq!(owed(Some(&empty), LogReach::Shard, &cluster), [1, 2]);
    }

    #[test]
    fn whose_last_word_was_that_it_is_away_is_owed_by_everybody() {
        let cluster = cluster(3);
        cluster.say("a", true, 9);
        let noted = note(cluster.outlook().view.id(), &[]);
        assert_eq!(owed(Some(&noted), LogReach::Shard, &cluster), [1, 2]);
    }

    #[test]
    fn who_has_noted_nothing_is_new_unless_its_store_forgets_or_the_map_has_changed() {
        assert_eq!(owed(None, LogReach::Shard, &cluster(1)), [0; 0]);
        assert_eq!(owed(None, LogReach::Shard, &cluster(2)), [1, 2]);
        assert_eq!(owed(None, LogReach::Process, &cluster(1)), [1, 2]);
        assert_eq!(owed(None, LogReach::Cluster, &cluster(1)), [1, 2]);
    }
}
