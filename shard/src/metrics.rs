//! What a shard counts.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use trunkline_core::Gauges;
use trunkline_log::Usage;

/// A shard's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    sessions: IntGauge,
    departed: IntGauge,
    rooms: IntGauge,
    members: IntGauge,
    requests: IntGauge,
    topics: IntGauge,
    moving: IntGauge,
    kept_topics: IntGauge,
    kept_bytes: IntGauge,
    pub(crate) polling: IntGauge,
    pub(crate) trunks: IntGauge,
    pub(crate) link_up: IntGaugeVec,
    pub(crate) link_messages: IntCounterVec,
    pub(crate) dropped: IntCounterVec,
    pub(crate) publish_seconds: Histogram,
    /// By outcome: `recovered` or `anew`.
    pub(crate) sought: IntCounterVec,
    pub(crate) unhandled: IntCounter,
    pub(crate) calls: CallMetrics,
}

/// What is counted of calls to the application.
#[derive(Clone, Debug)]
pub(crate) struct CallMetrics {
    /// By outcome: `ok`, `refused`, `unavailable`, or `full` for those that were not begun.
    pub(crate) calls: IntCounterVec,
    pub(crate) seconds: Histogram,
}

/// From 50 µs to 13 s, each twice the one before.
const PUBLISH_BUCKETS: (f64, f64, usize) = (0.000_05, 2.0, 18);
/// From 1 ms to 65 s, each twice the one before.
const CALL_BUCKETS: (f64, f64, usize) = (0.001, 2.0, 17);

impl Metrics {
    /// Registers all of them.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(format!("trunkline_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters =
                IntCounterVec::new(Opts::new(format!("trunkline_{name}"), help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let link_up = IntGaugeVec::new(
            Opts::new("trunkline_link_up", "Whether the link to a shard is up."),
            &["shard"],
        )?;
        registry.register(Box::new(link_up.clone()))?;
        let link_messages =
            counters("link_messages_total", "Messages sent to another shard.", &["shard"])?;
        let histogram = |name: &str, help: &str, (start, factor, count)| {
            let buckets = prometheus::exponential_buckets(start, factor, count)?;
            let options = HistogramOpts::new(format!("trunkline_{name}"), help).buckets(buckets);
            let histogram = Histogram::with_opts(options)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let unhandled = IntCounter::new(
            "trunkline_events_unhandled_total",
            "Events of Socket.IO clients for which there is no rule.",
        )?;
        registry.register(Box::new(unhandled.clone()))?;
        Ok(Self {
            sessions: gauge("sessions", "Sessions whose home this shard is.")?,
            departed: gauge(
                "sessions_departed",
                "Socket.IO sessions that have ended and whose clients may come back.",
            )?,
            rooms: gauge("rooms", "Rooms owned by this shard that somebody is in.")?,
            members: gauge("members", "Sessions in the rooms owned by this shard.")?,
            requests: gauge("requests_waiting", "Requests that wait for a topic's owner.")?,
            topics: gauge("topics", "Rooms and inboxes in memory.")?,
            moving: gauge("moving", "Topics that are another shard's and haven't gone yet.")?,
            kept_topics: gauge("log_topics", "Rooms and inboxes in this shard's own store.")?,
            kept_bytes: gauge("log_bytes", "What this shard's own store takes.")?,
            polling: gauge("polling_sessions", "Sessions of Socket.IO clients that poll.")?,
            trunks: gauge("trunks", "Router workers that are connected.")?,
            link_up,
            link_messages,
            dropped: counters("dropped_total", "What a full queue has cost.", &["queue", "why"])?,
            publish_seconds: histogram(
                "publish_seconds",
                "From a publish's arrival at its home shard to its acknowledgement.",
                PUBLISH_BUCKETS,
            )?,
            sought: counters(
                "sessions_sought_total",
                "Clients whose sessions no shard had any more and routers were asked for, by how they went on.",
                &["outcome"],
            )?,
            unhandled,
            calls: CallMetrics {
                calls: counters(
                    "application_calls_total",
                    "Calls to the application, by what became of them.",
                    &["outcome"],
                )?,
                seconds: histogram(
                    "application_seconds",
                    "From a call's beginning to its last answer, all tries together.",
                    CALL_BUCKETS,
                )?,
            },
        })
    }

    /// There is another shard. Its link exists, if down, from then on.
    pub(crate) fn peer_comes(&self, peer: &str) {
        self.link_up.with_label_values(&[peer]);
        self.link_messages.with_label_values(&[peer]);
    }

    /// A shard is in no map any more, and nothing is left to say to it.
    pub(crate) fn peer_goes(&self, peer: &str) {
        // An error is one of which nothing was counted.
        let _ = self.link_up.remove_label_values(&[peer]);
        let _ = self.link_messages.remove_label_values(&[peer]);
    }

    /// What the store keeps; of one that all shards share nothing is said.
    pub(crate) fn set_usage(&self, usage: Usage) {
        let Usage { topics, bytes } = usage;
        let count = |number: Option<u64>| number.map_or(0, |it| it.try_into().unwrap_or(i64::MAX));
        self.kept_topics.set(count(topics));
        self.kept_bytes.set(count(bytes));
    }

    pub(crate) fn set_gauges(&self, gauges: Gauges) {
        let Gauges { sessions, connections: _, departed, rooms, members, requests, topics, moving } =
            gauges;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.sessions.set(count(sessions));
        self.departed.set(count(departed));
        self.rooms.set(count(rooms));
        self.members.set(count(members));
        self.requests.set(count(requests));
        self.topics.set(count(topics));
        self.moving.set(count(moving));
    }
}
