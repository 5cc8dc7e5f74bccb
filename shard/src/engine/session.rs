//! One client that polls.

use trunkline_core::{ConnectionId, SessionId, TrunkId};

use super::Asked;
use super::queue::OutQueue;

/// How many messages of a client may be unsettled before its next request has to wait; the same
/// as on a WebSocket.
const UNSETTLED: u64 = 64;

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) phase: Phase,
    pub(super) queue: OutQueue,
    /// The GET that waits for something to say.
    pub(super) poll: Option<Asked>,
    /// The POST that is not answered yet.
    pub(super) post: Option<Post>,
    /// The WebSocket to which it may change.
    pub(super) probe: Option<(TrunkId, ConnectionId)>,
    /// A pong is due, not a ping.
    pub(super) pinged: bool,
    /// The last sequence that was passed on, and the last that the core has settled.
    pub(super) passed: u64,
    pub(super) settled: u64,
}

/// A POST on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    /// It is announced: its body is still to come.
    Coming(Asked),
    /// Its messages are passed on, and not settled yet.
    Unsettled(Asked),
}

impl Post {
    pub(super) fn asked(self) -> Asked {
        match self {
            Self::Coming(asked) | Self::Unsettled(asked) => asked,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The core knows no more of it; what is queued is still to be said.
    Closing,
}

impl Session {
    pub(super) fn new(id: SessionId, queue: OutQueue) -> Self {
        Self {
            id,
            phase: Phase::Open,
            queue,
            poll: None,
            post: None,
            probe: None,
            pinged: false,
            passed: 0,
            settled: 0,
        }
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.passed - self.settled > UNSETTLED
    }
}
