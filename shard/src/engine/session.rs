//! One client that polls.

use trunkline_core::{Answer, ConnectionId, Ledger, SessionId, TrunkId};
use trunkline_proto::kept::Kept;
use trunkline_proto::trunk::SlotPosition;

use super::Asked;
use super::queue::OutQueue;

/// How many messages of a client may be unsettled before its next request has to wait; the same
/// as on a WebSocket.
const UNSETTLED: u64 = 64;

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) phase: Phase,
    pub(super) queue: OutQueue,
    /// With what it goes on elsewhere.
    pub(super) kept: Kept,
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
    /// How often it has moved from one shard to another.
    pub(super) moves: u32,
    /// What its client was given.
    pub(super) ledger: Ledger,
    /// By which its client comes back.
    pub(super) private_ids: Vec<SessionId>,
    /// Which router keeps what it takes to go on with it if this shard dies.
    pub(super) keeper: Option<TrunkId>,
    /// Which one did before, and still has it: that the other has it is certain with the next poll.
    pub(super) former: Option<TrunkId>,
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
    pub(super) fn new(id: SessionId, queue: OutQueue, kept: Kept) -> Self {
        Self {
            id,
            phase: Phase::Open,
            queue,
            kept,
            poll: None,
            post: None,
            probe: None,
            pinged: false,
            passed: 0,
            settled: 0,
            moves: 0,
            ledger: Ledger::default(),
            private_ids: Vec::new(),
            keeper: None,
            former: None,
        }
    }

    /// Whether more is unsettled than may be; `bytes` is what its messages may take.
    pub(super) fn is_unsettled(&self, bytes: usize) -> bool {
        self.passed - self.settled > UNSETTLED || self.kept.bytes() > bytes
    }

    /// Its messages up to this one are settled.
    pub(super) fn settle(&mut self, sequence: u64) {
        let upto = sequence.min(self.passed);
        if upto > self.settled {
            self.kept.settle(upto - self.settled);
            self.settled = upto;
        }
    }

    /// Notes what came with a frame: the position of a slot, and which message it answers.
    pub(super) fn has_had(&mut self, position: Option<&SlotPosition>, answers: Option<Answer>) {
        if let Some(position) = position {
            self.kept.has_had(position);
        }
        if let Some(Answer { message, part }) = answers
            && let Some(index) = message.checked_sub(self.settled + 1)
        {
            self.kept.answered(index, part);
        }
    }
}
