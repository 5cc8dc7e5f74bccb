//! Connections that outlive their trunk: held until it is up again, or for as long as they may.
//!
//! Their sockets, heartbeats and what they say go on by themselves. The hold only knows who they
//! are, until when they may wait, and how much of each the shard has been told by a new stream.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::time::Instant;
use trunkline_proto::trunk::{Attach, ClientMessage};

use crate::connection::Connection;
use crate::connection::close::CloseReason;

/// Those of one trunk who are held.
pub(super) struct Hold {
    /// How long each may wait; nobody is held if that is nothing.
    patience: Duration,
    /// By number: the order in which they are attached again.
    held: RefCell<BTreeMap<u64, Held>>,
    /// Told when there are more, or the trunk is up.
    changed: Notify,
    /// Of the whole router.
    gauge: IntGauge,
}

struct Held {
    connection: Rc<Connection>,
    until: Instant,
    /// Once it is attached again: up to which of its messages the shard has been sent them.
    sent: Cell<Option<u64>>,
}

/// What the shard is to be told next.
pub(super) enum Next {
    Attach(Rc<Connection>, Attach),
    Message(ClientMessage),
    /// It was told everything of the first: [`Hold::release`].
    Done,
}

impl Hold {
    pub(super) fn new(patience: Duration, gauge: IntGauge) -> Self {
        let (held, changed) = (RefCell::default(), Notify::new());
        Self { patience, held, changed, gauge }
    }

    /// Whether anybody is ever held.
    pub(super) fn is_on(&self) -> bool {
        !self.patience.is_zero()
    }

    /// Holds a connection whose trunk has just broken.
    pub(super) fn add(&self, connection: Rc<Connection>, now: Instant) {
        let until = now + self.patience;
        let number = connection.alias();
        let held = Held { connection, until, sent: Cell::new(None) };
        if self.held.borrow_mut().insert(number, held).is_none() {
            self.gauge.inc();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.borrow().is_empty()
    }

    pub(super) fn has(&self, connection: u64) -> bool {
        self.held.borrow().contains_key(&connection)
    }

    /// Forgets who is gone.
    pub(super) fn forget(&self, connection: u64) {
        if self.held.borrow_mut().remove(&connection).is_some() {
            self.gauge.dec();
        }
    }

    /// Everybody who waits and whom the shard has not been told of.
    pub(super) fn waiting(&self) -> Vec<Rc<Connection>> {
        let held = self.held.borrow();
        held.values().filter(|held| held.waits()).map(|held| Rc::clone(&held.connection)).collect()
    }

    /// Lets one who waits go over to another hold, to wait there no longer than here.
    pub(super) fn hand_over(&self, connection: u64, to: &Self) {
        if let Some(held) = self.held.borrow_mut().remove(&connection) {
            to.held.borrow_mut().insert(connection, held);
            to.notify();
        }
    }

    /// What the shard is to be told next; none when nobody is held. It counts as told with
    /// [`Hold::told`].
    pub(super) fn next(&self) -> Option<Next> {
        let held = self.held.borrow();
        let Held { connection, sent, .. } = held.first_key_value()?.1;
        let next = match sent.get() {
            None => {
                connection.attach_again().map(|attach| Next::Attach(Rc::clone(connection), attach))
            }
            Some(sent) => connection.unsettled_after(sent).map(Next::Message),
        };
        Some(next.unwrap_or(Next::Done))
    }

    /// The shard was told of the first up to a sequence of its messages.
    pub(super) fn told(&self, sequence: u64) {
        if let Some((_, first)) = self.held.borrow().first_key_value() {
            first.sent.set(Some(sequence));
        }
    }

    /// Lets the first go its way. True if it is attached again: one that has begun to close
    /// meanwhile is not.
    pub(super) fn release(&self) -> bool {
        let Some((_, first)) = self.held.borrow_mut().pop_first() else { return false };
        self.gauge.dec();
        first.sent.get().is_some()
    }

    /// When the first of those who wait have done so for too long; none if nobody waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let held = self.held.borrow();
        held.values().filter(|held| held.waits()).map(|held| held.until).min()
    }

    /// Closes those who have waited for too long.
    pub(super) fn expire(&self, now: Instant) {
        self.held.borrow_mut().retain(|_, held| {
            let stays = !held.waits() || held.until > now;
            if !stays {
                held.connection.close_now(&CloseReason::RESTART);
                self.gauge.dec();
            }
            stays
        });
    }

    pub(super) fn notify(&self) {
        self.changed.notify_one();
    }

    /// Returns when there are more, or the trunk is up.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Held {
    /// The shard has not been told of it yet.
    fn waits(&self) -> bool {
        self.sent.get().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::testing::connection;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A hold and a connection for each number, in it.
    fn hold(numbers: &[u64]) -> (Hold, IntGauge) {
        let gauge = IntGauge::new("held", "held").expect("a gauge");
        let hold = Hold::new(PATIENCE, gauge.clone());
        for number in numbers {
            hold.add(held(*number), Instant::now());
        }
        (hold, gauge)
    }

    fn held(number: u64) -> Rc<Connection> {
        let connection = connection(number).0;
        connection.remember(&Attach { user: "alice".to_owned(), ..Attach::default() });
        connection.keep_checkpoint(b"state");
        connection
    }

    fn attached(hold: &Hold) -> u64 {
        match hold.next() {
            Some(Next::Attach(connection, attach)) => {
                assert_eq!(attach.connection, connection.number);
                attach.connection
            }
            _ => panic!("not an attach"),
        }
    }

    #[test]
    fn they_are_attached_by_number_and_what_was_not_told_is_told_again() {
        let (hold, gauge) = hold(&[7, 3, 5]);
        let mut order = Vec::new();
        while hold.next().is_some() {
            assert_eq!(attached(&hold), attached(&hold));
            order.push(attached(&hold));
            hold.told(0);
            assert!(matches!(hold.next(), Some(Next::Done)));
            assert!(hold.release());
        }
        assert_eq!(order, [3, 5, 7]);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn one_that_has_begun_to_close_is_let_go_untold() {
        let (hold, _) = hold(&[1]);
        let closing = held(2);
        hold.forget(1);
        hold.add(Rc::clone(&closing), Instant::now());
        closing.close(&CloseReason::DONE);
        assert!(matches!(hold.next(), Some(Next::Done)));
        assert!(!hold.release());
        assert!(hold.next().is_none());
    }

    #[test]
    fn who_waits_too_long_is_closed_and_who_is_being_attached_is_not() {
        let (hold, gauge) = hold(&[1]);
        hold.told(0);
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        hold.add(held(2), later);
        hold.add(held(3), now);
        assert_eq!(hold.deadline(), Some(now + PATIENCE));
        hold.forget(3);
        assert_eq!(hold.deadline(), Some(later + PATIENCE));
        hold.expire(now + PATIENCE);
        assert!(hold.has(2));
        hold.expire(later + PATIENCE);
        assert!(hold.has(1) && !hold.has(2));
        assert_eq!((hold.deadline(), gauge.get()), (None, 1));
    }

    #[test]
    fn who_goes_over_to_another_hold_has_waited_already() {
        let (old, gauge) = hold(&[1, 2]);
        let new = Hold::new(PATIENCE, gauge.clone());
        let until = old.deadline();
        old.hand_over(1, &new);
        old.hand_over(1, &new);
        assert!(!old.has(1) && old.has(2) && new.has(1));
        assert_eq!((new.deadline() <= until, gauge.get()), (true, 2));
    }

    #[test]
    fn a_trunk_that_breaks_again_begins_anew() {
        let (hold, gauge) = hold(&[1]);
        hold.told(0);
        let now = Instant::now();
        hold.add(held(1), now);
        assert_eq!(attached(&hold), 1);
        assert_eq!(hold.deadline(), Some(now + PATIENCE));
        assert_eq!(gauge.get(), 1);
    }
}
