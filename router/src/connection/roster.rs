//! All WebSockets of a worker: numbering, counting, heartbeats, and ending them together.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use trunkline_config::settings;

use super::Connection;
use super::close::CloseReason;
use super::heartbeat::{Due, Heartbeats};
use super::queue::Bounds;
use crate::metrics::Metrics;
use crate::net::Socket;

pub(crate) struct Roster {
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    heartbeats: RefCell<Heartbeats>,
    /// Numbers are never used twice in a worker, and so not on any of its trunks.
    last: Cell<u64>,
    emptied: Notify,
    closing: Cell<bool>,
    metrics: Rc<Metrics>,
}

impl Roster {
    pub(crate) fn new(heartbeat: &settings::Heartbeat, metrics: Rc<Metrics>) -> Self {
        Self {
            connections: RefCell::default(),
            heartbeats: RefCell::new(Heartbeats::new(heartbeat)),
            last: Cell::new(0),
            emptied: Notify::new(),
            closing: Cell::new(false),
            metrics,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    /// A new connection under the next number.
    pub(crate) fn open(&self, socket: Box<dyn Socket>, bounds: Bounds) -> Rc<Connection> {
        self.last.set(self.last.get() + 1);
        let number = self.last.get();
        let connection = Rc::new(Connection::new(number, socket, bounds, Rc::clone(&self.metrics)));
        self.connections.borrow_mut().insert(number, Rc::clone(&connection));
        self.heartbeats.borrow_mut().add(number, Instant::now());
        self.metrics.connections.inc();
        if self.closing.get() {
            connection.close(&CloseReason::GOING_AWAY);
        }
        connection
    }

    /// The connection's task has ended.
    pub(crate) fn remove(&self, connection: u64) {
        let mut connections = self.connections.borrow_mut();
        if connections.remove(&connection).is_some() {
            self.metrics.connections.dec();
        }
        if connections.is_empty() {
            *connections = HashMap::new();
            self.emptied.notify_waiters();
        }
    }

    /// Pings and expects pongs, for ever.
    pub(crate) async fn beat(&self) -> Infallible {
        let mut ticks = interval(self.heartbeats.borrow().tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.sweep(now);
        }
    }

    /// Closes every connection with 1001, those too that come later, and returns when all have
    /// gone.
    pub(crate) async fn close_all(&self) {
        self.closing.set(true);
        let emptied = self.emptied.notified();
        for connection in self.connections.borrow().values() {
            connection.close(&CloseReason::GOING_AWAY);
        }
        if self.len() > 0 {
            emptied.await;
        }
    }

    fn sweep(&self, now: Instant) {
        let mut heartbeats = self.heartbeats.borrow_mut();
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
