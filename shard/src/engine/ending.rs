//! The end of a session: nothing of it stays, whoever ends it, and who waits is answered.

use std::time::Duration;

use trunkline_core::{ConnectionId, Input, Mono};
use trunkline_proto::engine::{CLOSE, NOOP, Problem};

use super::session::{Phase, Post, Session};
use super::timers::Timer;
use super::{Asked, Engine, POLLING, answer};

/// How long a client that is closed may take to come for its last words; the reference's time.
const FAREWELL: Duration = Duration::from_secs(30);

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By a mistake of the client, by silence, or by the core.
    Broken,
    /// The client has said so.
    Closed,
    /// It goes on over a WebSocket.
    Upgraded,
    /// It goes on at another shard.
    Moved,
    /// Its router can't be seen: its client may be back.
    Unseen,
}

impl Engine {
    /// A request is over unanswered, and so is its session.
    pub(super) fn gone(&mut self, asked: Asked, ending: Ending) {
        let Some(number) = self.waiting.remove(&asked) else { return };
        if let Some(session) = self.sessions.get_mut(&number) {
            session.poll.take_if(|poll| *poll == asked);
            session.post.take_if(|post| post.asked() == asked);
        }
        self.end(number, ending);
    }

    /// The core closes a connection: what is queued for it is said first, if it is asked for.
    pub(super) fn close(&mut self, number: u64, now: Mono) {
        self.give_up_probe(number);
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if session.phase == Phase::Closing {
            return;
        }
        session.phase = Phase::Closing;
        // Nobody is to go on with any of them.
        self.change_private_ids(number, Vec::new());
        self.leave(number, false);
        self.timers.clear(number, Timer::Heartbeat);
        self.timers.set(number, Timer::Farewell, now + FAREWELL);
        self.release_post(number);
        self.flush(number);
    }

    /// Forgets a session, answering what it has asked. The core hears of it unless it knows.
    pub(super) fn end(&mut self, number: u64, ending: Ending) {
        let Some(phase) = self.sessions.get(&number).map(|session| session.phase) else { return };
        self.give_up_probe(number);
        match ending {
            _ if phase != Phase::Open => {}
            Ending::Unseen => {
                let connection = ConnectionId(number);
                self.inputs.push_back(Input::Lost { trunk: POLLING, connection });
            }
            _ => self.leave(number, false),
        }
        self.remove(number, ending);
    }

    /// Takes a session out of its groups and out of the core, which it may have moved away from.
    pub(super) fn leave(&mut self, number: u64, moved: bool) {
        self.groups.leave_all(number);
        let connection = ConnectionId(number);
        self.inputs.push_back(Input::Detach { trunk: POLLING, connection, moved });
    }

    /// Takes a session out of everything here, answering what it has asked.
    pub(super) fn remove(&mut self, number: u64, ending: Ending) -> Option<Session> {
        self.withdraw(number);
        let session = self.sessions.remove(&number)?;
        self.by_id.remove(&session.id);
        self.groups.leave_all(number);
        self.timers.clear_all(number);
        self.touched.remove(&number);
        self.noted.remove(&number);
        self.moves.forget(number, &session.id);
        if let Some(asked) = session.poll {
            self.waiting.remove(&asked);
            match ending {
                Ending::Broken | Ending::Unseen => self.answer_ok(asked, CLOSE),
                Ending::Closed | Ending::Upgraded => self.answer_ok(asked, NOOP),
                Ending::Moved => self.answer_moved(asked, None),
            }
        }
        if let Some(post) = session.post {
            self.waiting.remove(&post.asked());
            match (post, ending) {
                // Who has moved takes along what it has said.
                (Post::Unsettled(asked), Ending::Closed | Ending::Upgraded | Ending::Moved) => {
                    self.answer_ok(asked, answer::TAKEN);
                }
                (Post::Coming(asked), Ending::Moved) => self.answer_moved(asked, None),
                // What was only announced is not taken any more.
                (Post::Coming(asked), _)
                | (Post::Unsettled(asked), Ending::Broken | Ending::Unseen) => {
                    self.answer(asked, Problem::BadRequest);
                }
            }
        }
        Some(session)
    }
}
