//! All WebSockets of a worker: numbering, counting, heartbeats, and ending them together.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use trunkline_config::settings::{self, Settings, SocketIo};
use trunkline_proto::trunk::Dialect;

use super::close::CloseReason;
use super::heartbeat::{Due, Heartbeats};
use super::queue::OutQueue;
use super::{Connection, Shared};
use crate::metrics::Metrics;
use crate::net::Socket;
use crate::pace::Pace;

/// Where a Socket.IO client's session has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    Here,
    /// It has polled, and was pinged by its shard.
    Elsewhere,
}

pub(crate) struct Roster {
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    /// Of WebSockets' own pings.
    heartbeats: RefCell<Heartbeats>,
    /// Of Engine.IO's.
    packets: RefCell<Heartbeats>,
    /// Numbers are never used twice in a worker, and so not on any of its trunks.
    last: Cell<u64>,
    emptied: Notify,
    closing: Cell<bool>,
    shared: Rc<Shared>,
}

impl Roster {
    pub(crate) fn new(settings: &Settings, metrics: Rc<Metrics>) -> Self {
        let settings::Heartbeat { interval, timeout } = settings.heartbeat;
        let SocketIo { ping_interval, ping_timeout, .. } = settings.socketio;
        Self {
            connections: RefCell::default(),
            heartbeats: RefCell::new(Heartbeats::new(interval, timeout)),
            packets: RefCell::new(Heartbeats::new(ping_interval, ping_timeout)),
            last: Cell::new(0),
            emptied: Notify::new(),
            closing: Cell::new(false),
            shared: Rc::new(Shared::new(metrics)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    /// A new connection under the next number; `message` is the largest message. That of a Socket.IO client is asked for pongs when
    /// its session has begun: [`Roster::begin_packets`].
    pub(crate) fn open(
        &self,
        socket: Box<dyn Socket>,
        queue: OutQueue,
        message: usize,
        dialect: Dialect,
    ) -> Rc<Connection> {
        self.last.set(self.last.get() + 1);
        let number = self.last.get();
        let shared = Rc::clone(&self.shared);
        let connection = Connection::new(number, dialect, socket, queue, message, shared);
        let connection = Rc::new(connection);
        self.connections.borrow_mut().insert(number, Rc::clone(&connection));
        if dialect == Dialect::Native {
            self.heartbeats.borrow_mut().add(number, Instant::now());
        }
        self.shared.metrics.connections.inc();
        if self.closing.get() {
            connection.close(&CloseReason::RESTART);
        }
        connection
    }

    /// A connection speaks for a Socket.IO client's session from here on.
    pub(crate) fn begin_packets(&self, connection: u64, begins: Begins) {
        let (mut packets, now) = (self.packets.borrow_mut(), Instant::now());
        match begins {
            Begins::Here => packets.add(connection, now),
            Begins::Elsewhere => packets.add_early(connection, now),
        }
    }

    /// The connection's task has ended.
    pub(crate) fn remove(&self, connection: u64) {
        let mut connections = self.connections.borrow_mut();
        if connections.remove(&connection).is_some() {
            self.shared.metrics.connections.dec();
        }
        if connections.is_empty() {
            *connections = HashMap::new();
            self.emptied.notify_waiters();
        }
    }

    /// Pings and expects pongs, for ever.
    pub(crate) async fn beat(&self) -> Infallible {
        let tick = self.heartbeats.borrow().tick().min(self.packets.borrow().tick());
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.sweep(&self.heartbeats, now);
            self.sweep(&self.packets, now);
        }
    }

    /// Closes every connection, at once, and returns when all have gone.
    pub(crate) async fn close_all(&self) {
        self.closing.set(true);
        let mut connections: Vec<_> = self.connections.borrow().values().cloned().collect();
        connections.sort_unstable_by_key(|connection| connection.number);
        for connection in connections {
            connection.close(&CloseReason::RESTART);
        }
        self.empties().await;
    }

    /// Closes every connection, the oldest first and so many a second, those at once that come
    /// meanwhile, and returns when all have gone.
    pub(crate) async fn close_gradually(&self, rate: u32) {
        self.closing.set(true);
        let mut numbers: Vec<u64> = self.connections.borrow().keys().copied().collect();
        numbers.sort_unstable();
        let mut pace = Pace::per_second(rate);
        let mut rest = numbers.as_slice();
        while !rest.is_empty() {
            let (lot, others) = rest.split_at(pace.lot().await.min(rest.len()));
            rest = others;
            let connections = self.connections.borrow();
            for connection in lot.iter().filter_map(|number| connections.get(number)) {
                connection.close(&CloseReason::RESTART);
            }
        }
        self.empties().await;
    }

    async fn empties(&self) {
        let emptied = self.emptied.notified();
        if self.len() > 0 {
            emptied.await;
        }
    }

    fn sweep(&self, heartbeats: &RefCell<Heartbeats>, now: Instant) {
        let mut heartbeats = heartbeats.borrow_mut();
        let connections = self.connections.borrow();
        while let Some(due) = heartbeats.due(now) {
            match due {
                Due::Ping(number) => {
                    if let Some(connection) = connections.get(&number) {
                        connection.ping();
                        heartbeats.pinged(number, now);
                    }
                }
                Due::Pong(number, asked) => {
                    if let Some(connection) = connections.get(&number) {
                        connection.expect_pong(asked);
                    }
                }
            }
        }
    }
}
