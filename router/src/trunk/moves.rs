//! Moving connections whose keys belong to another shard than the one that has them.
//!
//! Nobody is asked: the old shard is told that the connection has moved, and from then on it is
//! no member of the old trunk, so that nothing the shard still says reaches it. What happens then
//! is what happens when a trunk was broken and is up again, on the new trunk and for this one
//! connection. Whoever has no trunk to lose goes over at once; the others at a pace, when the
//! new trunk is up, and only with a checkpoint: without one they stay until the old trunk ends.

use std::collections::BTreeMap;
use std::rc::Rc;

use prometheus::IntGauge;
use tokio::time::Instant;
use trunkline_proto::outbox::Haste;
use trunkline_proto::trunk::Detach;

use super::{Live, Trunk, Trunks};
use crate::connection::Connection;

/// Connections by number, which is the order in which they are moved.
type Strays = BTreeMap<u64, Rc<Connection>>;

/// A worker's connections that are not where they belong.
pub(super) struct Moves {
    /// They are looked at, one after the other.
    ready: Strays,
    /// They were, and can't be moved yet.
    waiting: Strays,
    /// Of the whole router, and how many of these it counts.
    gauge: IntGauge,
    counted: i64,
}

/// What became of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    /// It is gone, or where it belongs.
    Done,
    Waits,
}

impl Moves {
    pub(super) fn new(gauge: IntGauge) -> Self {
        Self { ready: Strays::new(), waiting: Strays::new(), gauge, counted: 0 }
    }

    /// Whether somebody is to be looked at.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether somebody can't be moved yet.
    pub(super) fn wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The view has changed: finds everybody who is not where it belongs.
    pub(super) fn begin(&mut self, trunks: &Trunks) {
        self.ready.clear();
        self.waiting.clear();
        let view = trunks.view();
        for trunk in trunks.all() {
            let live = trunk.live.borrow();
            let members = live.as_ref().into_iter().flat_map(|live| live.members.all());
            let strays = members.filter(|it| view.owner_of(it.tie.digest()) != trunk.number);
            self.ready.extend(strays.map(|it| (it.alias(), Rc::clone(it))));
        }
        drop(view);
        self.resume(trunks);
    }

    /// A trunk has come up or gone down, or time has passed: those who wait are looked at again, and
    /// those who have no trunk go over at once.
    pub(super) fn resume(&mut self, trunks: &Trunks) {
        self.ready.append(&mut self.waiting);
        for old in trunks.all() {
            for connection in old.hold.waiting() {
                let Some(new) = trunks.of(connection.tie.digest()) else { continue };
                if !Rc::ptr_eq(&old, &new) {
                    connection.tie.change(&new);
                    old.hold.hand_over(connection.alias(), &new.hold);
                    self.ready.remove(&connection.alias());
                }
            }
        }
        self.count();
    }

    /// Moves as many as may be now.
    pub(super) fn step(&mut self, trunks: &Trunks, most: usize) {
        let mut moved = 0;
        while moved < most
            && let Some((number, connection)) = self.ready.pop_first()
        {
            match move_one(trunks, &connection) {
                Step::Moved => moved += 1,
                Step::Done => {}
                Step::Waits => {
                    self.waiting.insert(number, connection);
                }
            }
        }
        self.count();
    }

    fn count(&mut self) {
        let count = i64::try_from(self.ready.len() + self.waiting.len()).unwrap_or(i64::MAX);
        self.gauge.add(count - self.counted);
        self.counted = count;
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        self.gauge.sub(self.counted);
    }
}

fn move_one(trunks: &Trunks, connection: &Rc<Connection>) -> Step {
    let number = connection.alias();
    let Some(old) = connection.tie.trunk().filter(|old| old.carries(number)) else {
        return Step::Done;
    };
    match trunks.of(connection.tie.digest()) {
        Some(new) if Rc::ptr_eq(&old, &new) => Step::Done,
        Some(new) if new.is_up() && old.part_with(connection) => {
            new.take_over(connection);
            Step::Moved
        }
        _ => Step::Waits,
    }
}

impl Trunk {
    pub(super) fn carries(&self, connection: u64) -> bool {
        let live = self.live.borrow();
        live.as_ref().is_some_and(|live| live.members.get(connection).is_some())
    }

    /// Whether it has nobody, and nobody waits for it.
    pub(super) fn is_idle(&self) -> bool {
        let is_unused =
            |live: &Live| live.members.is_empty() && live.polls.is_empty() && live.calls.is_empty();
        self.hold.is_empty() && self.live.borrow().as_ref().is_none_or(is_unused)
    }

    /// Tells the shard that a connection of its goes elsewhere. False if the connection stays for now:
    /// what it takes to go on elsewhere is not there, or the shard is behind.
    fn part_with(&self, connection: &Connection) -> bool {
        let number = connection.alias();
        let mut live = self.live.borrow_mut();
        let Some(live) = live.as_mut().filter(|live| live.outbox.has_room()) else { return false };
        if !connection.may_be_held() {
            return false;
        }
        let Some(positions) = live.members.part_with(number) else { return false };
        connection.hold(positions);
        self.hold.forget(number);
        self.detach(live, Detach { connection: number, moved: true }, Haste::Now);
        true
    }

    /// Takes a connection that another trunk has parted with, to attach it again.
    fn take_over(self: &Rc<Self>, connection: &Rc<Connection>) {
        connection.tie.move_to(self);
        self.hold.add(Rc::clone(connection), Instant::now());
        self.hold.notify();
    }
}
