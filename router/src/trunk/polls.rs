//! Requests of clients that poll, on their way to a shard and back.
//!
//! Each socket waits for one answer at most, so there are no more of them than sockets.

use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;
use trunkline_proto::trunk::poll_request::What;
use trunkline_proto::trunk::{PollAnswer, PollGone, PollRequest, Up, up};

use super::{ATTACH_SIZE, ITEM_SIZE, Live, Trunk};
use crate::connection::Uplink;

/// Who waits for which answer. Dropped with the stream, which tells them all.
#[derive(Default)]
pub(super) struct Polls {
    waiting: HashMap<u64, oneshot::Sender<PollAnswer>>,
}

impl Polls {
    /// Hands an answer over, if somebody still waits for it.
    pub(super) fn answer(&mut self, answer: PollAnswer) {
        if let Some(waiting) = self.waiting.remove(&answer.request) {
            // Who has just gone has said so.
            let _ = waiting.send(answer);
        }
    }
}

/// A request that waits. Dropped unanswered it tells the shard that its client is gone.
struct Pending {
    trunk: Rc<Trunk>,
    request: u64,
}

impl Trunk {
    /// Asks the shard and waits for the answer; none if there is no shard to ask, or it does not
    /// answer in time. Given up by the caller, the shard hears so.
    pub(crate) async fn ask(
        self: &Rc<Self>,
        session: Bytes,
        what: What,
        patience: Duration,
    ) -> Option<PollAnswer> {
        timeout(patience, self.ask_patiently(session, what)).await.ok()?
    }

    async fn ask_patiently(self: &Rc<Self>, session: Bytes, what: What) -> Option<PollAnswer> {
        // A shard that is behind pauses those who poll like those with a WebSocket.
        poll_fn(|cx| self.poll_room(cx)).await;
        let size = match &what {
            What::Open(_) => ATTACH_SIZE,
            What::Poll(_) => ITEM_SIZE,
            What::Post(body) => body.len() + ITEM_SIZE,
        };
        let (sender, answer) = oneshot::channel();
        let request = {
            let mut live = self.live.borrow_mut();
            let live = live.as_mut()?;
            let request = self.push_poll(live, session, what, size)?;
            live.polls.waiting.insert(request, sender);
            request
        };
        let _pending = Pending { trunk: Rc::clone(self), request };
        answer.await.ok()
    }

    /// Tells the shard of a POST that broke off, by an empty one: it ends the session, as for any
    /// body without a packet. Nobody waits for the answer.
    pub(crate) fn break_off(&self, session: Bytes) {
        if let Some(live) = self.live.borrow().as_ref() {
            // Without room the session ends by its heartbeat.
            let _ = self.push_poll(live, session, What::Post(Bytes::new()), ITEM_SIZE);
        }
    }

    /// Queues a request under the next number.
    fn push_poll(&self, live: &Live, session: Bytes, what: What, size: usize) -> Option<u64> {
        let request = self.last_poll.get() + 1;
        let item = up::Item::Poll(PollRequest { request, session, what: Some(what) });
        live.outbox.push(Up { item: Some(item) }, size).ok()?;
        self.last_poll.set(request);
        Some(request)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut live = self.trunk.live.borrow_mut();
        let Some(live) = live.as_mut() else { return };
        if live.polls.waiting.remove(&self.request).is_none() {
            return;
        }
        let gone = up::Item::PollGone(PollGone { request: self.request });
        if live.outbox.push(Up { item: Some(gone) }, ITEM_SIZE).is_err() {
            // The shard would wait for a poll that nobody reads.
            self.trunk.cut.notify_one();
        }
    }
}
