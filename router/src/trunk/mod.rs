//! A worker's trunk to one shard: every connection of the worker that the shard owns shares it.
//!
//! A trunk is up or down. When its stream breaks, connections for which the shard has given a
//! checkpoint are held, and attached again when it is up again; the others are closed with 1012 and
//! come back by themselves. A connection whose key belongs to another shard goes over to that one's
//! trunk. It doesn't look into messages.

mod again;
mod apply;
pub(crate) mod board;
mod calls;
#[cfg(test)]
mod cost;
mod dial;
mod escrow;
mod group;
mod hold;
mod moves;
mod polls;
mod stream;
#[cfg(test)]
mod testing;
mod tie;
mod trunks;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use prost::Message as _;
use tokio::sync::Notify;
use tokio::time::Instant;
use trunkline_config::Statuses;
use trunkline_proto::cluster::{Cluster, decode_status, encode_status};
use trunkline_proto::outbox::{Haste, Outbox};
use trunkline_proto::trunk::{
    ApiCall, Attach, ClientMessage, Detach, Dialect, Down, Found, Seek, Up, up,
};

use crate::connection::close::CloseReason;
use crate::connection::{Connection, Taken};
use crate::metrics::Metrics;
use apply::Applier;
use calls::Calls;
pub(crate) use calls::Pending;
pub(crate) use dial::Dialer;
use escrow::Escrow;
use group::Members;
use hold::Hold;
pub(crate) use polls::Asking;
use polls::Polls;
pub(crate) use tie::{Tie, digest};
pub(crate) use trunks::Trunks;

/// What an item without payload takes on the wire, about, in bytes.
const ITEM_SIZE: usize = 32;
/// The same for an Attach, whose IDs may be long.
const ATTACH_SIZE: usize = 512;

/// Why a connection could not be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unattached {
    /// The shard is not reached now.
    Down,
    /// The shard is far behind.
    Full,
}

/// One trunk, up or down.
pub(crate) struct Trunk {
    /// The shard's.
    number: u16,
    cluster: Cluster,
    live: RefCell<Option<Live>>,
    /// Those whose stream broke, until they are attached to another.
    hold: Hold,
    /// What this and other shards have deposited.
    escrow: Rc<Escrow>,
    /// The last request of a client that polls; never used twice.
    last_poll: Cell<u64>,
    /// Told when the stream must be given up from this side.
    cut: Notify,
    finishing: Cell<bool>,
    /// Told when any of the worker's trunks has come up or gone down.
    changed: Rc<Notify>,
    metrics: Rc<Metrics>,
}

struct Live {
    outbox: Outbox<Up>,
    members: Members,
    applier: Applier,
    polls: Polls,
    calls: Calls,
    /// What the shard knows of all shards.
    told: Statuses,
}

impl Trunk {
    /// `patience` is how long connections are held; zero holds none. `changed` is told when the
    /// trunk has come up or gone down.
    fn new(
        number: u16,
        cluster: Cluster,
        patience: Duration,
        escrow: Rc<Escrow>,
        changed: Rc<Notify>,
        metrics: Rc<Metrics>,
    ) -> Self {
        Self {
            number,
            cluster,
            live: RefCell::new(None),
            hold: Hold::new(patience, metrics.held.clone()),
            escrow,
            last_poll: Cell::new(0),
            cut: Notify::new(),
            finishing: Cell::new(false),
            changed,
            metrics,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.live.borrow().is_some()
    }

    /// Tells the shard that a connection speaks for a session from here on.
    ///
    /// # Errors
    /// [`Unattached`] when it can't be told; the connection is not attached then.
    pub(crate) fn attach(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        attach: Attach,
    ) -> Result<(), Unattached> {
        let mut live = self.live.borrow_mut();
        let Some(live) = live.as_mut() else { return Err(Unattached::Down) };
        // A Socket.IO client is answered when it has said something, which this leaves with.
        let haste = match attach.dialect() {
            Dialect::SocketIo => Haste::Later,
            Dialect::Native | Dialect::Unspecified => Haste::Now,
        };
        if self.hold.is_on() {
            connection.remember(&attach);
        }
        connection.tie.begin(self, &attach.session);
        let item = Up { item: Some(up::Item::Attach(attach)) };
        live.outbox.push_all([(item, ATTACH_SIZE)], haste).map_err(|_| Unattached::Full)?;
        live.members.attach(connection);
        Ok(())
    }

    /// Passes on what a client has said. Of one that is held it is only kept: it follows when the
    /// client is attached again.
    pub(crate) fn pass(&self, message: ClientMessage, dialect: Dialect) -> Taken {
        let passed = Taken::Passed { payload: message.payload.clone(), binary: message.binary };
        if self.hold.has(message.connection) {
            self.metrics.messages_in.of(dialect).inc();
            return passed;
        }
        let live = self.live.borrow();
        let Some(live) = live.as_ref() else { return Taken::Refused(CloseReason::RESTART) };
        if !message.control {
            self.metrics.messages_in.of(dialect).inc();
        }
        let (size, is_kept) = (message.payload.len() + ITEM_SIZE, !message.control);
        match live.outbox.push(Up { item: Some(up::Item::Message(message)) }, size) {
            Ok(()) => passed,
            // The stream has ended, and what comes next finds out: the client is held, or closed.
            Err(_) if live.outbox.is_closed() && is_kept => passed,
            Err(_) => Taken::Refused(CloseReason::OVERLOADED),
        }
    }

    /// Passes on what a server of the application asks.
    ///
    /// # Errors
    /// [`Unattached`] when it can't be passed on.
    pub(crate) fn call(self: &Rc<Self>, call: ApiCall) -> Result<Pending, Unattached> {
        let mut live = self.live.borrow_mut();
        let Some(Live { outbox, calls, .. }) = live.as_mut() else { return Err(Unattached::Down) };
        if calls.is_full() {
            return Err(Unattached::Full);
        }
        let (number, size) = (call.request, call.encoded_len());
        outbox.push(Up { item: Some(up::Item::Api(call)) }, size).map_err(|_| Unattached::Full)?;
        Ok(Pending { trunk: Rc::clone(self), number, answered: calls.expect(number, size) })
    }

    fn forget_call(&self, number: u64) {
        if let Some(live) = self.live.borrow_mut().as_mut() {
            live.calls.forget(number);
        }
    }

    /// `told` is what the shard has said and was told of all shards.
    fn come_up(&self, outbox: Outbox<Up>, told: Statuses) {
        // What was said of the stream before is not meant for this one.
        let _ = self.cut.notified().now_or_never();
        *self.live.borrow_mut() = Some(Live {
            outbox,
            members: Members::default(),
            applier: Applier::default(),
            polls: Polls::default(),
            calls: Calls::default(),
            told,
        });
        self.hold.notify();
        self.changed.notify_one();
    }

    /// Tells the shard what it doesn't know of others. False when there is no room.
    fn tell_news(&self) -> bool {
        let mut live = self.live.borrow_mut();
        let Some(Live { outbox, told, .. }) = live.as_mut() else { return true };
        let news = self.cluster.outlook().statuses.news_since(told);
        news.into_iter().all(|status| {
            told.learn(&status);
            let status = up::Item::Status(encode_status(status));
            outbox.push(Up { item: Some(status) }, ATTACH_SIZE).is_ok()
        })
    }

    /// Holds who may be held and closes the others; they come back by themselves.
    fn go_down(&self) {
        let Some(Live { outbox, members, .. }) = self.live.borrow_mut().take() else { return };
        // Whoever is attached again says again what a shard has not had.
        outbox.cut();
        let now = Instant::now();
        self.escrow.orphan(self.number, now);
        for (connection, positions) in members.part() {
            let is_over = self.finishing.get() || trunkline_planted::is("hold nobody");
            if !is_over && connection.hold(positions) {
                self.hold.add(connection, now);
            } else {
                self.hold.forget(connection.alias());
                connection.close_now(&CloseReason::RESTART);
            }
        }
        self.hold.notify();
        self.changed.notify_one();
    }

    /// Applies a batch. False when what it asked for could not be answered: a shard that reads
    /// nothing for so long is cut.
    fn apply(&self, items: Vec<Down>) -> bool {
        let mut live = self.live.borrow_mut();
        let Some(Live { outbox, members, applier, polls, calls, told }) = live.as_mut() else {
            return false;
        };
        let applied = applier.apply(members, items);
        self.metrics.batches.inc();
        self.metrics.count(applied.tally);
        applier.flush();
        // A client that has its answer may come back at once.
        for deposit in &applied.deposits {
            self.escrow.take(self.number, deposit);
        }
        let found = applied.sought.into_iter().map(|Seek { number, private_id }| {
            let deposits = self.escrow.give(&private_id);
            let size = deposits.iter().map(|it| it.state.len() + ATTACH_SIZE).sum::<usize>();
            (Up { item: Some(up::Item::Found(Found { number, deposits })) }, size + ITEM_SIZE)
        });
        let found: Vec<_> = found.collect();
        if !found.is_empty() && outbox.push_all(found, Haste::Now).is_err() {
            return false;
        }
        applied.polled.into_iter().for_each(|answer| polls.answer(answer));
        applied.answered.into_iter().for_each(|answer| calls.answer(answer));
        for status in applied.statuses.into_iter().filter_map(decode_status) {
            told.learn(&status);
            self.cluster.learn(&status);
        }
        if applied.receipts.is_empty() {
            return true;
        }
        let haste = applied.haste;
        let receipts = applied.receipts.into_iter().map(|item| (item, ITEM_SIZE));
        outbox.push_all(receipts, haste).is_ok()
    }

    /// Ends the stream after what is queued for the shard, for good.
    pub(crate) fn finish(&self) {
        self.finishing.set(true);
        if let Some(live) = self.live.borrow().as_ref() {
            live.outbox.close();
        }
    }

    /// Ready when the shard would be told more; wakes the task otherwise.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.live.borrow().as_ref().map_or(Poll::Ready(()), |live| live.outbox.poll_room(cx))
    }

    /// A connection is closing, or its socket is gone.
    fn gone(&self, connection: u64) {
        self.hold.forget(connection);
        let mut live = self.live.borrow_mut();
        let Some(live) = live.as_mut() else { return };
        let speaks = live.members.get(connection).is_some_and(|it| it.speaks());
        if live.members.detach(connection) && !trunkline_planted::is("tell no shard who has gone") {
            // Nobody waits for it: who comes back by another trunk, and sooner, is taken for who is
            // still believed to be there, as after any connection that ended without a word. But a
            // session that polls takes no other WebSocket to change to before it has heard.
            let haste = if speaks { Haste::Later } else { Haste::Now };
            self.detach(live, Detach { connection, moved: false }, haste);
        }
    }

    fn detach(&self, live: &Live, detach: Detach, haste: Haste) {
        let detach = Up { item: Some(up::Item::Detach(detach)) };
        if live.outbox.push_all([(detach, ITEM_SIZE)], haste).is_err() {
            // A shard that misses a Detach would keep a ghost; without the trunk it knows that
            // all are gone.
            self.cut.notify_one();
        }
    }
}
