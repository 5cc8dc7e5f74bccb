//! What a shard counts.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
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
    pub(crate) polling: IntGauge,
    pub(crate) trunks: IntGauge,
    pub(crate) link_up: IntGaugeVec,
    pub(crate) link_messages: IntCounterVec,
    pub(crate) dropped: IntCounterVec,
    pub(crate) publish_seconds: Histogram,
}

/// From 50 µs to 13 s, each twice the one before.
const PUBLISH_BUCKETS: (f64, f64, usize) = (0.000_05, 2.0, 18);

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
        let (start, factor, count) = PUBLISH_BUCKETS;
        let publish_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "trunkline_publish_seconds",
                "From a publish's arrival at its home shard to its acknowledgement.",
            )
            .buckets(prometheus::exponential_buckets(start, factor, count)?),
        )?;
        registry.register(Box::new(publish_seconds.clone()))?;
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
            polling: gauge("polling_sessions", "Sessions of Socket.IO clients that poll.")?,
            trunks: gauge("trunks", "Router workers that are connected.")?,
            link_up,
            link_messages,
            dropped: counters("dropped_total", "What a full queue has cost.", &["queue", "why"])?,
            publish_seconds,
        })
    }

    pub(crate) fn set_gauges(&self, gauges: Gauges) {
        let Gauges { sessions, departed, rooms, members, requests, topics } = gauges;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.sessions.set(count(sessions));
        self.departed.set(count(departed));
        self.rooms.set(count(rooms));
        self.members.set(count(members));
        self.requests.set(count(requests));
        self.topics.set(count(topics));
    }
}
