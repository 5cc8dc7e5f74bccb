//! Who waits for an answer.

use crate::core::Io;
use crate::link::Via;
use crate::peer::{PeerMessage, Refusal, Reply, RequestId};

/// A home's request, to be answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) via: Via,
    pub(crate) request: RequestId,
}

impl Asker {
    pub(crate) fn answer(self, io: &mut Io, result: Result<Reply, Refusal>) {
        io.answer(self.via, PeerMessage::Reply { request: self.request, result });
    }
}
