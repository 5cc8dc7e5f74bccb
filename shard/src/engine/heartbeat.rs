//! Whether a client is still there: it is asked some time after its last pong, and has some time
//! to answer. A session that nobody polls ends by this.

use trunkline_core::Mono;
use trunkline_proto::engine::PING;

use super::Engine;
use super::ending::Ending;
use super::timers::Timer;

impl Engine {
    /// A ping is due, or a pong overdue.
    pub(super) fn beat(&mut self, number: u64, now: Mono) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        // Who waits for the answer to a POST, or still sends it, can't send a pong.
        if session.pinged && session.post.is_none() {
            return self.end(number, Ending::Broken);
        }
        if !session.pinged {
            session.pinged = true;
            session.queue.push_control(PING);
            session.ledger.queue(1);
        }
        self.timers.set(number, Timer::Heartbeat, now + self.settings.ping_timeout);
        self.flush(number);
    }

    pub(super) fn pong(&mut self, number: u64, now: Mono) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.pinged = false;
        self.timers.set(number, Timer::Heartbeat, now + self.settings.ping_interval);
    }
}
