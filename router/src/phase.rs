//! How far a router is with its life.

use trunkline_proto::watch;

/// What a router does with clients. It only goes on from one to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// None is accepted yet: another router still does.
    Waiting,
    Serving,
    /// None is accepted any more, and those who are there are sent away little by little.
    Draining,
    Ending,
}

/// Sees how far the router is. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Phases(watch::Receiver<Phase>);

impl Phases {
    pub(crate) fn of(phase: &watch::Sender<Phase>) -> Self {
        Self(phase.subscribe())
    }

    /// Returns when the router is there or further; at once if it is gone.
    pub(crate) async fn reach(&mut self, phase: Phase) {
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}
