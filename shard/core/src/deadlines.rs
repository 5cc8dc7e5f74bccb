//! Deadlines that all lie equally far ahead when they are set, so that a queue keeps them sorted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Mono;

/// What may be looked at this much before it is due, to spare a wake-up for nothing.
const NEAR: Duration = Duration::from_secs(1);

/// What may be looked at late is looked at together with all else of so long a time, or of a part of
/// its delay if that is less.
const TOGETHER: Duration = Duration::from_secs(1);
const PARTS: u32 = 16;

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

    /// When to look for what may be looked at a little late. On a busy shard something of this kind is
    /// always due, and a wake-up for each would be one for each client that has come or gone.
    pub(crate) fn next_roughly(&self) -> Option<Mono> {
        let Mono(at) = self.next()?;
        let grain = TOGETHER.min(self.delay / PARTS).as_nanos();
        let late = at.as_nanos().checked_rem(grain).filter(|over| *over > 0);
        // Less than a second.
        let rest = late.and_then(|over| u64::try_from(grain - over).ok()).unwrap_or(0);
        Some(Mono(at + Duration::from_nanos(rest)))
    }

    /// When the next entry is due that still means something. Those before it are let go of, but not
    /// before they are near: until then most of those that mean something come to mean nothing.
    pub(crate) fn next_that(
        &mut self,
        now: Mono,
        means_something: impl Fn(&T) -> bool,
    ) -> Option<Mono> {
        while let Some((at, what)) = self.queue.front() {
            if *at > now + NEAR || means_something(what) {
                return Some(*at);
            }
            self.queue.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_late_is_looked_at_together_and_never_early() {
        let at = |millis| Mono(Duration::from_millis(millis));
        let mut deadlines = Deadlines::new(Duration::from_secs(45));
        for number in 0..100 {
            deadlines.push(at(number * 100), number);
        }
        let mut looks = Vec::new();
        while let Some(now) = deadlines.next_roughly() {
            assert!(deadlines.next().is_some_and(|next| next <= now));
            while deadlines.pop_due(now).is_some() {}
            looks.push(now);
        }
        assert_eq!(looks, (45..56).map(|second| at(second * 1000)).collect::<Vec<_>>());
        let mut short = Deadlines::new(Duration::from_millis(160));
        short.push(at(1), ());
        assert_eq!((short.next(), short.next_roughly()), (Some(at(161)), Some(at(170))));
        let mut none = Deadlines::new(Duration::ZERO);
        none.push(at(1), ());
        assert_eq!(none.next_roughly(), Some(at(1)));
    }

    #[test]
    fn nobody_wakes_up_for_what_means_nothing_any_more() {
        let at = |seconds| Mono(Duration::from_secs(seconds));
        let mut deadlines = Deadlines::new(Duration::from_secs(10));
        for second in 0..5 {
            deadlines.push(at(second), second);
        }
        let means_something = |what: &u64| *what == 3;
        // What is far isn't looked at.
        assert_eq!(deadlines.next_that(at(8), means_something), Some(at(10)));
        assert_eq!(deadlines.next_that(at(9), means_something), Some(at(11)));
        assert_eq!(deadlines.next_that(at(11), means_something), Some(at(13)));
        assert_eq!(deadlines.pop_due(at(13)), Some(3));
        assert_eq!(deadlines.next_that(at(13), means_something), None);
        assert_eq!(deadlines.pop(), None);
    }
}
