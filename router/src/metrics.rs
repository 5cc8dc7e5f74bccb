//! What an operator sees of a router, under the names of CONFIG.md.
//!
//! On the path of a delivery nothing here is touched per receiver: a batch is tallied in plain
//! numbers first ([`Tally`]).

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use trunkline_proto::out_queue::{Class, NoRoom};
use trunkline_proto::trunk::Dialect;

/// The codes that have a label of their own; a client can send 4,000 others.
const CODES: [u16; 13] =
    [1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4002];

/// The router's metrics; clones share the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) connections: IntGauge,
    pub(crate) held: IntGauge,
    pub(crate) moving: IntGauge,
    pub(crate) reattached: IntCounter,
    pub(crate) messages_in: PerDialect,
    pub(crate) polls: Polls,
    pub(crate) deposits: Deposits,
    pub(crate) batches: IntCounter,
    pub(crate) trunk_up: IntGaugeVec,
    deliveries: PerDialect,
    dropped_live: IntCounter,
    dropped_ephemeral: IntCounter,
    dropped_reply: IntCounter,
    closes: IntCounterVec,
    handshake_failures: IntCounterVec,
    api_requests: IntCounterVec,
}

/// How servers of the application ask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interface {
    Http,
    Grpc,
}

/// One number per way of speaking.
#[derive(Clone, Debug)]
pub(crate) struct PerDialect {
    native: IntCounter,
    socketio: IntCounter,
}

impl PerDialect {
    fn new(counters: &IntCounterVec) -> Self {
        Self {
            native: counters.with_label_values(&["native"]),
            socketio: counters.with_label_values(&["socketio"]),
        }
    }

    pub(crate) fn of(&self, dialect: Dialect) -> &IntCounter {
        match dialect {
            Dialect::SocketIo => &self.socketio,
            Dialect::Native | Dialect::Unspecified => &self.native,
        }
    }
}

/// What became of requests of clients that poll.
#[derive(Clone, Debug)]
pub(crate) struct Polls {
    pub(crate) answered: IntCounter,
    pub(crate) refused: IntCounter,
    /// The shard is not reached, or did not answer in time.
    pub(crate) unavailable: IntCounter,
    /// The client has hung up before.
    pub(crate) abandoned: IntCounter,
}

/// What shards have deposited of clients that poll.
#[derive(Clone, Debug)]
pub(crate) struct Deposits {
    pub(crate) kept: IntGauge,
    pub(crate) bytes: IntGauge,
    /// There was no room for them.
    pub(crate) dropped: IntCounter,
}

/// What one batch of a trunk did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) deliveries: u64,
    /// The same to Socket.IO clients.
    pub(crate) deliveries_socketio: u64,
    pub(crate) dropped_live: u64,
    pub(crate) dropped_ephemeral: u64,
    pub(crate) dropped_reply: u64,
}

impl Tally {
    pub(crate) fn drop_one(&mut self, why: NoRoom) {
        match why.0 {
            Class::Live => self.dropped_live += 1,
            Class::Ephemeral => self.dropped_ephemeral += 1,
            Class::Reply => self.dropped_reply += 1,
        }
    }
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// When the registry already has one of that name.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let connections = gauge("trunkline_connections", "Open WebSockets")?;
        let held = gauge(
            "trunkline_held",
            "Open WebSockets that wait for their broken trunk to be up again",
        )?;
        let moving = gauge(
            "trunkline_moving_connections",
            "Open WebSockets that another shard has than the one where they belong",
        )?;
        let reattached = IntCounter::new(
            "trunkline_reattached_total",
            "WebSockets that were attached again after their trunk broke",
        )?;
        registry.register(Box::new(reattached.clone()))?;
        let batches =
            IntCounter::new("trunkline_trunk_batches_total", "Batches received from shards")?;
        registry.register(Box::new(batches.clone()))?;
        let trunk_up = IntGaugeVec::new(
            Opts::new("trunkline_trunk_up", "1 when every worker's trunk to the shard is up"),
            &["shard"],
        )?;
        registry.register(Box::new(trunk_up.clone()))?;
        let polls = counters(
            "trunkline_polling_requests_total",
            "Requests of clients that poll, by what became of them",
            &["outcome"],
        )?;
        let dropped = counters(
            "trunkline_dropped_total",
            "Frames and deposits that found no room",
            &["queue", "why"],
        )?;
        let deposits = Deposits {
            kept: gauge(
                "trunkline_deposits",
                "Sessions of clients that poll of which shards have deposited how they go on",
            )?,
            bytes: gauge("trunkline_deposit_bytes", "What these take")?,
            dropped: dropped.with_label_values(&["deposits", "full"]),
        };
        Ok(Self {
            connections,
            held,
            moving,
            reattached,
            batches,
            trunk_up,
            messages_in: PerDialect::new(&counters(
                "trunkline_messages_in_total",
                "Messages received from clients over WebSockets",
                &["dialect"],
            )?),
            polls: Polls {
                answered: polls.with_label_values(&["answered"]),
                refused: polls.with_label_values(&["refused"]),
                unavailable: polls.with_label_values(&["unavailable"]),
                abandoned: polls.with_label_values(&["abandoned"]),
            },
            deposits,
            deliveries: PerDialect::new(&counters(
                "trunkline_deliveries_total",
                "Messages queued for WebSockets, answers to their own requests not counted",
                &["dialect"],
            )?),
            dropped_live: dropped.with_label_values(&["out", "full"]),
            dropped_ephemeral: dropped.with_label_values(&["out", "ephemeral"]),
            dropped_reply: dropped.with_label_values(&["out", "replies"]),
            closes: counters(
                "trunkline_closes_total",
                "WebSockets closed, by the code that was sent",
                &["code"],
            )?,
            handshake_failures: counters(
                "trunkline_handshake_failures_total",
                "Connections that did not become a session",
                &["why"],
            )?,
            api_requests: counters(
                "trunkline_api_requests_total",
                "Requests of the application's servers, by `ok` or the error's code",
                &["interface", "outcome"],
            )?,
        })
    }

    pub(crate) fn count(&self, tally: Tally) {
        let Tally {
            deliveries,
            deliveries_socketio,
            dropped_live,
            dropped_ephemeral,
            dropped_reply,
        } = tally;
        self.deliveries.native.inc_by(deliveries);
        self.deliveries.socketio.inc_by(deliveries_socketio);
        self.dropped_live.inc_by(dropped_live);
        self.dropped_ephemeral.inc_by(dropped_ephemeral);
        self.dropped_reply.inc_by(dropped_reply);
    }

    pub(crate) fn closed(&self, code: u16) {
        let label = if CODES.contains(&code) { code.to_string() } else { "other".to_owned() };
        self.closes.with_label_values(&[&label]).inc();
    }

    /// `outcome` is one of a few fixed words.
    pub(crate) fn api_request(&self, interface: Interface, outcome: &'static str) {
        let interface = match interface {
            Interface::Http => "http",
            Interface::Grpc => "grpc",
        };
        self.api_requests.with_label_values(&[interface, outcome]).inc();
    }

    /// `why` is one of a few fixed words.
    pub(crate) fn handshake_failed(&self, why: &'static str) {
        self.handshake_failures.with_label_values(&[why]).inc();
    }
}
