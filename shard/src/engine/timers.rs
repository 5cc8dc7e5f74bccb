//! Everything that is due for sessions at some time, in one sorted structure. What is not due any
//! more is taken out, so that nothing of a session stays behind.

use std::collections::{BTreeMap, BTreeSet};

use trunkline_core::Mono;

/// What is due. Of each kind a session has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A ping, or the end for want of a pong.
    Heartbeat,
    /// A poll that holds up the change to a WebSocket is to be released.
    Check,
    /// The change to a WebSocket takes too long.
    Upgrade,
    /// The client does not come for what is left to say.
    Farewell,
}

#[derive(Default)]
pub(super) struct Timers {
    sorted: BTreeSet<(Mono, u64, Timer)>,
    at: BTreeMap<(u64, Timer), Mono>,
}

impl Timers {
    /// Sets a session's timer, in place of the one before.
    pub(super) fn set(&mut self, session: u64, timer: Timer, at: Mono) {
        self.clear(session, timer);
        self.at.insert((session, timer), at);
        self.sorted.insert((at, session, timer));
    }

    pub(super) fn clear(&mut self, session: u64, timer: Timer) {
        if let Some(at) = self.at.remove(&(session, timer)) {
            self.sorted.remove(&(at, session, timer));
        }
    }

    /// When a session's timer is due.
    pub(super) fn at(&self, session: u64, timer: Timer) -> Option<Mono> {
        self.at.get(&(session, timer)).copied()
    }

    pub(super) fn clear_all(&mut self, session: u64) {
        for timer in [Timer::Heartbeat, Timer::Check, Timer::Upgrade, Timer::Farewell] {
            self.clear(session, timer);
        }
    }

    /// Takes out what is due.
    pub(super) fn pop_due(&mut self, now: Mono) -> Option<(u64, Timer)> {
        let &(at, session, timer) = self.sorted.first()?;
        if at > now {
            return None;
        }
        self.clear(session, timer);
        Some((session, timer))
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.sorted.first().map(|(at, _, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_timer_that_is_set_again_or_cleared_is_not_due_at_its_old_time() {
        let mut timers = Timers::default();
        timers.set(1, Timer::Heartbeat, at(1));
        timers.set(2, Timer::Heartbeat, at(2));
        timers.set(2, Timer::Check, at(1));
        timers.set(1, Timer::Heartbeat, at(3));
        timers.clear(2, Timer::Check);
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop_due(at(1)), None);
        assert_eq!(timers.pop_due(at(9)), Some((2, Timer::Heartbeat)));
        timers.clear_all(1);
        assert_eq!((timers.pop_due(at(9)), timers.next()), (None, None));
    }
}
