//! Attaching those again who were held, and closing those for whom it takes too long.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use prost::Message as _;
use tokio::time::{Instant, sleep_until};
use trunkline_proto::trunk::{Up, up};

use super::hold::Next;
use super::{ITEM_SIZE, Trunk};

#[cfg(test)]
mod tests;

/// Items that are queued before others get a turn; what one client has said is not divided.
const ITEMS_PER_TURN: usize = 256;

/// Tends a trunk's hold, for ever.
pub(super) async fn tend(trunk: &Trunk) -> Infallible {
    loop {
        let expired = async {
            match trunk.hold.deadline() {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = trunk.hold.changed() => {}
            () = poll_fn(|cx| trunk.poll_attach_held(cx)) => trunk.hold.changed().await,
            () = expired => trunk.hold.expire(Instant::now()),
        }
    }
}

impl Trunk {
    /// Attaches who is held, one after the other; ready when that is nobody. While the trunk is
    /// down that is to be told with [`super::hold::Hold::notify`].
    fn poll_attach_held(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queued = 0;
        loop {
            let mut live = self.live.borrow_mut();
            let (Some(live), Some(next)) = (live.as_mut(), self.hold.next()) else {
                return if self.hold.is_empty() { Poll::Ready(()) } else { Poll::Pending };
            };
            if let Next::Attach(..) = next {
                // What one client has said leaves with its attach, in one batch: the shard tells
                // what is answered from what is heard by what comes together.
                if queued >= ITEMS_PER_TURN {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // Half of the queue is left to others: a Detach that finds no room would cut the
                // stream.
                ready!(live.outbox.poll_room(cx));
            }
            let (item, told, attached) = match next {
                Next::Attach(connection, attach) => {
                    let settled = attach.settled;
                    (up::Item::Attach(attach), settled, Some(connection))
                }
                Next::Message(message) => {
                    let sequence = message.sequence;
                    (up::Item::Message(message), sequence, None)
                }
                Next::Done => {
                    if self.hold.release() {
                        self.metrics.reattached.inc();
                    }
                    continue;
                }
            };
            let item = Up { item: Some(item) };
            let size = item.encoded_len() + ITEM_SIZE;
            if live.outbox.push(item, size).is_err() {
                // Either there is no room for all that one client has said, or the stream has just
                // ended, which whoever reads it will notice.
                let _ = live.outbox.poll_room(cx);
                return Poll::Pending;
            }
            if let Some(connection) = attached {
                connection.tie.attached_again();
                live.members.attach(&connection);
            }
            self.hold.told(told);
            queued += 1;
        }
    }
}
