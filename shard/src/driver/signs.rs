//! What others can see of the driver.

use std::collections::BTreeSet;

use trunkline_config::ViewId;
use trunkline_core::ShardIndex;
use trunkline_proto::watch;

use crate::remaining::Remaining;

/// What others can see of the driver.
pub(crate) struct Signs {
    /// Whose links are up.
    pub(crate) linked: watch::Sender<BTreeSet<ShardIndex>>,
    /// Whether routers are let in at once.
    pub(crate) admit: watch::Sender<bool>,
    /// Whether the shard takes part in all that it should.
    pub(crate) ready: watch::Sender<bool>,
    /// What is left of a shard that doesn't serve.
    pub(crate) remaining: watch::Sender<Remaining>,
}

impl Signs {
    /// Those of a shard that has not begun, and has nothing left to give away.
    pub(crate) fn new(view: ViewId) -> Self {
        let remaining = Remaining {
            view,
            is_placed: true,
            serves: true,
            topics: 0,
            connections: 0,
            settled: false,
        };
        Self {
            linked: watch::Sender::default(),
            admit: watch::Sender::new(false),
            ready: watch::Sender::new(false),
            remaining: watch::Sender::new(remaining),
        }
    }
}
