//! `/echo`: each message back, unchanged, for suites that test WebSocket servers.

use std::task::{Context, Poll};

use trunkline_proto::out_queue::Bounds;

use super::{Incoming, Taken, Uplink};
use crate::frame;

/// The largest message: what such suites send.
pub(crate) const MESSAGE: usize = 16 * 1024 * 1024;

/// The out-queue: reading pauses beyond half of the first, so the second is never reached.
pub(crate) const BOUNDS: Bounds = Bounds { messages: 256 * 1024, replies: 2 * MESSAGE };

pub(crate) struct Echo;

impl Uplink for Echo {
    fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn take(&self, message: Incoming) -> Taken {
        Taken::Answered(frame::reply(&message.payload, message.binary))
    }

    fn gone(&self, _: u64) {}
}
