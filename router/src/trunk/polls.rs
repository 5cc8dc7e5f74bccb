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
use trunkline_proto::trunk::{Nothing, PollAnswer, PollGone, PollRelease, PollRequest, Up, up};

use super::{ATTACH_SIZE, ITEM_SIZE, Live, Trunk};
use crate::phase::{Phase, Phases};

/// Who waits for which answer. Dropped with the stream, which tells them all.
#[derive(Default)]
pub(super) struct Polls {
    waiting: HashMap<u64, oneshot::Sender<PollAnswer>>,
}

impl Polls {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Hands an answer over, if somebody still waits for it.
    pub(super) fn answer(&mut self, answer: PollAnswer) {
        if let Some(waiting) = self.waiting.remove(&answer.request) {
            // Who has just gone has said so.
            let _ = waiting.send(answer);
        }
    }
}

/// A request that waits for its answer. Dropped unanswered it tells the shard that its client is
/// gone.
#[must_use]
pub(crate) struct Asking {
    trunk: Rc<Trunk>,
    request: u64,
    session: Bytes,
    answer: oneshot::Receiver<PollAnswer>,
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
        let asking = async {
            // A shard that is behind pauses those who poll like those with a WebSocket.
            poll_fn(|cx| self.poll_room(cx)).await;
            self.begin(session, what)?.answer().await
        };
        timeout(patience, asking).await.ok()?
    }

    /// Asks the shard for what there is to say to a client that polls, and waits for it as
    /// [`Trunk::ask`] does. When the router drains it is not waited for longer.
    pub(crate) async fn poll(
        self: &Rc<Self>,
        session: Bytes,
        mut phases: Phases,
        patience: Duration,
    ) -> Option<PollAnswer> {
        let asking = async {
            poll_fn(|cx| self.poll_room(cx)).await;
            let mut asking = self.begin(session, What::Poll(Nothing {}))?;
            tokio::select! {
                biased;
                answer = asking.answer() => return answer,
                () = phases.reach(Phase::Draining) => {}
            }
            asking.release();
            asking.answer().await
        };
        timeout(patience, asking).await.ok()?
    }

    /// Tells the shard of a POST before there is its body.
    pub(crate) fn announce(self: &Rc<Self>, session: Bytes) -> Option<Asking> {
        self.begin(session, What::Posting(Nothing {}))
    }

    fn begin(self: &Rc<Self>, session: Bytes, what: What) -> Option<Asking> {
        let mut live = self.live.borrow_mut();
        let live = live.as_mut()?;
        let request = self.last_poll.get() + 1;
        live.push_poll(request, session.clone(), what)?;
        self.last_poll.set(request);
        let (sender, answer) = oneshot::channel();
        live.polls.waiting.insert(request, sender);
        Some(Asking { trunk: Rc::clone(self), request, session, answer })
    }
}

impl Live {
    fn push_poll(&self, request: u64, session: Bytes, what: What) -> Option<()> {
        let size = match &what {
            What::Open(_) => ATTACH_SIZE,
            What::Poll(_) | What::Posting(_) => ITEM_SIZE,
            What::Post(body) => body.len() + ITEM_SIZE,
        };
        let item = up::Item::Poll(PollRequest { request, session, what: Some(what) });
        self.outbox.push(Up { item: Some(item) }, size).ok()
    }
}

impl Asking {
    /// What the shard says; none if it is gone.
    pub(crate) async fn answer(&mut self) -> Option<PollAnswer> {
        (&mut self.answer).await.ok()
    }

    /// Asks for the answer to a poll though there may be nothing to say.
    fn release(&self) {
        if let Some(live) = self.trunk.live.borrow().as_ref() {
            let release = up::Item::PollRelease(PollRelease { request: self.request });
            // Without room it is answered at the next ping.
            let _ = live.outbox.push(Up { item: Some(release) }, ITEM_SIZE);
        }
    }

    /// Passes on the body of a POST that was announced, and waits for the answer.
    pub(crate) async fn post(mut self, body: Bytes, patience: Duration) -> Option<PollAnswer> {
        let answered = async {
            poll_fn(|cx| self.trunk.poll_room(cx)).await;
            let session = std::mem::take(&mut self.session);
            if let Some(live) = self.trunk.live.borrow().as_ref() {
                live.push_poll(self.request, session, What::Post(body))?;
            }
            self.answer().await
        };
        timeout(patience, answered).await.ok()?
    }

    /// A POST that was announced has a body that nobody reads; its session goes on.
    pub(crate) fn refuse_as_too_large(self) {
        self.end(true);
    }

    fn end(&self, too_large: bool) {
        let mut live = self.trunk.live.borrow_mut();
        let Some(live) = live.as_mut() else { return };
        if live.polls.waiting.remove(&self.request).is_none() {
            return;
        }
        let gone = up::Item::PollGone(PollGone { request: self.request, too_large });
        if live.outbox.push(Up { item: Some(gone) }, ITEM_SIZE).is_err() {
            // The shard would wait for a poll that nobody reads.
            self.trunk.cut.notify_one();
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.end(false);
    }
}
