//! What a client asks for with a GET: the handshake, and later whatever there is to say.

use trunkline_core::{Attach, ConnectionId, Input, Mono, SessionId};
use trunkline_proto::engine::{CLOSE, NOOP, open_packet};
use trunkline_proto::kept::Kept;

use super::ending::Ending;
use super::queue::OutQueue;
use super::session::{Phase, Session};
use super::timers::Timer;
use super::{Asked, Engine, POLLING, payload};

impl Engine {
    pub(super) fn open(&mut self, asked: Asked, mut attach: Attach, kept: Kept, now: Mono) {
        // Nobody begins where it doesn't belong: who has nothing of another's stays so.
        if !self.moves.is_mine(&attach.session) {
            return self.answer_moved(asked, None);
        }
        if self.sessions.len() >= self.most {
            return self.answer_unavailable(asked);
        }
        // Session IDs are random: the same one twice is the same client.
        if let Some(number) = self.by_id.get(&attach.session) {
            self.end(*number, Ending::Broken);
        }
        self.last += 1;
        let number = self.last;
        let queue = OutQueue::new(self.bounds);
        self.sessions.insert(number, Session::new(attach.session, queue, kept));
        self.by_id.insert(attach.session, number);
        self.timers.set(number, Timer::Heartbeat, now + self.settings.ping_interval);
        let sid = self.key.seal(&attach.session.0);
        self.answer_ok(asked, open_packet(&sid, true, &self.settings));
        attach.connection = ConnectionId(number);
        self.inputs.push_back(Input::Attach { trunk: POLLING, attach });
    }

    pub(super) fn poll(&mut self, asked: Asked, id: &SessionId) {
        let Some((number, session)) = self.find(id) else { return };
        if session.poll.is_some() {
            // Two polls would share what there is between them.
            self.end(number, Ending::Broken);
            return self.answer_overlap(asked);
        }
        session.poll = Some(asked);
        self.waiting.insert(asked, number);
        self.polls_by(number, asked.trunk);
        self.flush(number);
        self.deposit(number);
    }

    /// Answers the pending poll, if there is one and something to say.
    pub(super) fn flush(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(asked) = session.poll else { return };
        let closing = session.phase == Phase::Closing;
        if session.queue.is_empty() && !closing {
            return;
        }
        // The end is an answer of its own. Beside other packets the client would act on it first,
        // for it takes what they say a moment later: a client that is told not to come back would
        // only see a connection that broke.
        let over = session.queue.is_empty();
        let waiting = session.queue.len();
        let body = if over {
            CLOSE.into()
        } else {
            payload::encode(&mut session.queue, self.settings.max_http_buffer_size)
        };
        for _ in session.queue.len()..waiting {
            session.ledger.give();
        }
        session.poll = None;
        self.waiting.remove(&asked);
        self.deposit(number);
        self.answer_ok(asked, body);
        self.consider_again(number);
        if over {
            self.end(number, Ending::Broken);
        }
    }

    /// Answers a poll, if it is still pending.
    pub(super) fn release_poll(&mut self, asked: Asked) {
        let Some(number) = self.waiting.get(&asked).copied() else { return };
        if self.sessions.get(&number).is_some_and(|session| session.poll == Some(asked)) {
            self.release(number);
        }
    }

    /// Answers the pending poll even if there is nothing to say.
    pub(super) fn release(&mut self, number: u64) {
        self.flush(number);
        let poll = self.sessions.get_mut(&number).and_then(|session| session.poll.take());
        if let Some(asked) = poll {
            self.waiting.remove(&asked);
            self.answer_ok(asked, NOOP);
        }
    }
}
