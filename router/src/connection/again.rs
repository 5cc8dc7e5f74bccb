//! A connection that outlives its trunk: what is noted while it lives, and what the shard is told
//! when it is attached again.

use bytes::Bytes;
use trunkline_proto::kept::Kept;
use trunkline_proto::trunk::{Attach, ClientMessage, SlotPosition};

use super::{Connection, Phase};

impl Connection {
    /// Keeps from here on what it takes to attach the connection again.
    pub(crate) fn remember(&self, attach: &Attach) {
        self.speaks.set(!attach.upgrade);
        self.state.borrow_mut().kept = Kept::begin(attach);
    }

    /// Whether a session speaks by it, and it is not one to which a polling session may change.
    pub(crate) fn speaks(&self) -> bool {
        self.speaks.get()
    }

    /// A session that polled has changed to this WebSocket.
    pub(crate) fn begin_to_speak(&self) {
        self.speaks.set(true);
    }

    /// Keeps the newest state of its session. An empty one says that it is not to be held.
    pub(crate) fn keep_checkpoint(&self, checkpoint: &[u8]) {
        self.state.borrow_mut().kept.checkpoint(checkpoint);
    }

    /// Notes what came with a frame that was queued, or left out on purpose: the position of a
    /// slot, and which of the client's messages it answers, if not 0, and with which part.
    pub(crate) fn has_had(&self, position: Option<&SlotPosition>, answers: u64, part: u32) {
        let mut state = self.state.borrow_mut();
        if let Some(position) = position {
            state.kept.has_had(position);
        }
        if answers > state.settled {
            let index = answers - state.settled - 1;
            state.kept.answered(index, part);
        }
    }

    /// Whether it may go on without its trunk.
    pub(crate) fn may_be_held(&self) -> bool {
        let state = self.state.borrow();
        state.phase == Phase::Open && self.speaks.get() && state.kept.has_checkpoint()
    }

    /// Goes on without a trunk, if it may: the shard has given a checkpoint, and nothing but the
    /// trunk was lost. `positions` are those of its groups.
    pub(crate) fn hold(&self, positions: Vec<Bytes>) -> bool {
        if !self.may_be_held() {
            return false;
        }
        let mut state = self.state.borrow_mut();
        state.kept.hold(positions);
        // It may have waited for room in what is no more.
        state.wake();
        true
    }

    /// What attaches it again; none if it is closing.
    pub(crate) fn attach_again(&self) -> Option<Attach> {
        let state = self.state.borrow();
        let attach = state.kept.attach().filter(|_| state.phase == Phase::Open)?;
        let (connection, attachment) = (self.alias(), self.tie.next_attachment());
        Some(Attach { connection, settled: state.settled, attachment, ..attach })
    }

    /// The first of its unsettled messages behind a sequence.
    pub(crate) fn unsettled_after(&self, sequence: u64) -> Option<ClientMessage> {
        let state = self.state.borrow();
        let index = sequence.saturating_sub(state.settled);
        let kept = state.kept.unsettled(index);
        let message = kept.filter(|_| !trunkline_planted::is("say nothing again"))?;
        Some(ClientMessage {
            connection: self.alias(),
            sequence: state.settled + index + 1,
            payload: message.payload.clone(),
            binary: message.binary,
            control: false,
            answered: if trunkline_planted::is("forget what was answered") {
                0
            } else {
                message.answered
            },
        })
    }
}
