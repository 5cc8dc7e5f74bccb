//! What a shard counts.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use trunkline_core::Gauges;

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
    pub(crate) polling: IntGauge,
    pub(crate) trunks: IntGauge,
    pub(crate) link_up: IntGaugeVec,
    pub(crate) link_messages: IntCounterVec,
    pub(crate) dropped: IntCounterVec,
    pub(crate) publish_seconds: Histogram,
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
    /// Registers all of them. `peers` are the other shards: their links exist, if down, from
    /// the start.
    pub(crate) fn new<'a>(
        registry: &Registry,
        peers: impl Iterator<Item = &'a str>,
    ) -> prometheus::Result<Self> {
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
        for peer in peers {
            link_up.with_label_values(&[peer]).set(0);
            link_messages.with_label_values(&[peer]).reset();
        }
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
            moving: gauge("moving", "Rooms and inboxes that are another shard's and have not gone.")?,
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

    pub(crate) fn set_gauges(&self, gauges: Gauges) {
        let Gauges { sessions, departed, rooms, members, requests, topics, moving } = gauges;
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
