//! Deadlines that all lie equally far ahead when they are set, so that a queue keeps them sorted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Mono;

/// A queue of things to look at after one fixed delay. An entry is not removed when its reason
/// goes away: who takes it out checks whether it still means something.
#[derive(Debug)]
pub(crate) struct Deadlines<T> {
    delay: Duration,
    queue: VecDeque<(Mono, T)>,
}

impl<T> Deadlines<T> {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay, queue: VecDeque::new() }
    }

    /// Sets a deadline one delay from now.
    pub(crate) fn push(&mut self, now: Mono, what: T) {
        self.queue.push_back((now + self.delay, what));
    }

    /// Takes out the next entry whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Mono) -> Option<T> {
        let due = self.queue.front().is_some_and(|(at, _)| *at <= now);
        if due { self.queue.pop_front().map(|(_, what)| what) } else { None }
    }

    /// Takes out the next entry, due or not.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.queue.pop_front().map(|(_, what)| what)
    }

    /// When the next entry is due.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.queue.front().map(|(at, _)| *at)
    }
}
