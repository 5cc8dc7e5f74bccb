//! Topics that peers want in a view that this shard doesn't have: perhaps not yet. An answer would be
//! worth nothing, as in a view in between the topic may come here.

use std::collections::{BTreeMap, BTreeSet};

use trunkline_config::ViewId;

use crate::link::ShardIndex;
use crate::topic::Topic;

/// Topics that are kept of one peer. One that wants more is told when everything has gone.
const MOST: usize = 4096;

/// What each peer wants in the view that it has named last.
#[derive(Debug, Default)]
pub(super) struct Early(BTreeMap<ShardIndex, (ViewId, BTreeSet<Topic>)>);

impl Early {
    pub(super) fn keep(&mut self, from: ShardIndex, view: ViewId, topic: Topic) {
        let (named, topics) = self.0.entry(from).or_insert_with(|| (view, BTreeSet::new()));
        if *named != view {
            // In its new view it asks again.
            (*named, *topics) = (view, BTreeSet::new());
        }
        if topics.len() < MOST {
            topics.insert(topic);
        }
    }

    /// Takes out what is wanted in a view.
    pub(super) fn take(&mut self, view: ViewId) -> Vec<(ShardIndex, Topic)> {
        let wanted = self.0.extract_if(.., |_, (named, _)| *named == view);
        let all =
            wanted.flat_map(|(from, (_, topics))| topics.into_iter().map(move |it| (from, it)));
        all.collect()
    }

    pub(super) fn forget(&mut self, peer: ShardIndex) {
        self.0.remove(&peer);
    }
}
