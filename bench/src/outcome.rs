//! What came of it.

use hdrhistogram::Histogram;
use serde::Serialize;

/// What came of it; as JSON, the names are those of the fields.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The dialect's name.
    pub dialect: &'static str,
    /// How many clients.
    pub clients: usize,
    /// How many rooms.
    pub rooms: usize,
    /// Messages or arrivals a second, as planned.
    pub rate: f64,
    /// Bytes of each message's argument.
    pub payload: usize,
    /// How long was measured, from the first intended time to the end of the wait for the last.
    pub seconds: f64,
    /// Messages that were sent; of a storm, clients that came.
    pub sent: u64,
    /// Deliveries; of a storm, clients that got in.
    pub delivered: u64,
    /// Deliveries that there should have been.
    pub expected: u64,
    /// Errors that servers told, or that kept a message from being sent.
    pub errors: u64,
    /// The first of them.
    pub error: Option<String>,
    /// Connections that ended by themselves.
    pub lost: u64,
    /// From the intended time to the delivery; of a storm, until the client was in.
    pub latency_ms: Latency,
    /// From the intended time to the acknowledgement, where one was asked for.
    pub acknowledged_ms: Option<Latency>,
    /// What the servers cost, if any were to be measured.
    pub server: Option<Servers>,
    /// How the driver itself fared.
    pub driver: Driver,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latency {
    pub(crate) fn of(micros: &Histogram<u64>) -> Self {
        // A latency is far below 2^53 microseconds.
        #[allow(clippy::cast_precision_loss)]
        let at = |quantile| micros.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// What all the servers' processes cost together.
#[derive(Clone, Debug, Serialize)]
pub struct Servers {
    /// CPU time of all of them.
    pub cpu_seconds: f64,
    /// Of that, in user mode.
    pub user_seconds: f64,
    /// Of that, in the kernel.
    pub system_seconds: f64,
    /// Deliveries (of a storm, clients that got in) per CPU-second.
    pub per_cpu_second: f64,
    /// Resident memory before the first client came, in bytes.
    pub rss_before: u64,
    /// Resident memory at the end, the clients still there, in bytes.
    pub rss_after: u64,
    /// What each connection added to the resident memory, in bytes.
    pub per_connection: f64,
    /// Each of them.
    pub processes: Vec<Process>,
    /// How many have ended while they were measured.
    pub gone: usize,
}

/// One process of the servers.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// Its ID.
    pub pid: i32,
    /// Its name.
    pub name: String,
    /// CPU time while it was measured.
    pub cpu_seconds: f64,
    /// Resident memory at the end, in bytes.
    pub rss: u64,
}

/// How the driver itself fared.
#[derive(Clone, Debug, Serialize)]
pub struct Driver {
    /// CPU time of the driver.
    pub cpu_seconds: f64,
    /// The share of a core that its busiest thread had.
    pub busy: f64,
    /// By how much it sent messages later than intended, at the 99th percentile.
    pub lag_p99_ms: f64,
    /// It was too busy, or too late, for the latencies to be the servers' alone.
    pub bottleneck: bool,
}

impl Driver {
    /// Beyond this share of a core a thread has no time to spare.
    const BUSY_MAX: f64 = 0.85;
    /// Beyond this its lateness shows in the latencies.
    const LAG_MAX_MS: f64 = 5.0;

    pub(crate) fn new(cpu_seconds: f64, busy: f64, lag_p99_ms: f64) -> Self {
        let bottleneck = busy > Self::BUSY_MAX || lag_p99_ms > Self::LAG_MAX_MS;
        Self { cpu_seconds, busy, lag_p99_ms, bottleneck }
    }
}
