//! What a shard that doesn't serve has not yet given away.

use trunkline_config::ViewId;

/// What is left, by one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    /// The view that the core has.
    pub(crate) view: ViewId,
    /// The map has the shard.
    pub(crate) is_placed: bool,
    /// By this view the shard serves.
    pub(crate) serves: bool,
    /// Topics that are another's and haven't gone yet, as far as they have been found.
    pub(crate) topics: usize,
    /// Clients that are attached.
    pub(crate) connections: usize,
    /// The core has found all topics that are another's, and given them away. Who is in no map any more is
    /// also known by all to have none.
    pub(crate) settled: bool,
}

impl Remaining {
    /// It is of a shard that serves, by this view.
    pub(crate) fn is_of_server(&self, view: ViewId) -> bool {
        self.serves && self.view == view
    }

    /// Nothing is left of a shard that no map has any more.
    pub(crate) fn is_gone(&self) -> bool {
        !self.is_placed && self.is_nothing()
    }

    /// The shard doesn't serve and has nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        !self.serves && self.settled && self.connections == 0
    }
}
