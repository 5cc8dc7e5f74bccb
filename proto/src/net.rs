//! What a process takes from its machine to be part of a cluster: the way to shards, the clock,
//! and numbers that nobody guesses. Everything else is handed these, so that it can run over a
//! simulated network in simulated time. Where clients and streams come *in* is named by each
//! process's own `net` module.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tonic::transport::{Channel, Endpoint, Error};

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A connection to a shard that is being made.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Channel, Error>> + Send + 'a>>;

/// How shards are reached.
pub trait Connector: Send + Sync + 'static {
    /// Connects, within the endpoint's own timeout.
    fn connect(&self, endpoint: Endpoint) -> Connecting<'_>;
}

/// Connects over TCP.
struct Tcp;

impl Connector for Tcp {
    fn connect(&self, endpoint: Endpoint) -> Connecting<'_> {
        Box::pin(async move { endpoint.connect().await })
    }
}

/// What a process is handed when it starts.
#[derive(Clone)]
pub struct Machine {
    /// How it reaches shards.
    pub connector: Arc<dyn Connector>,
    /// What it takes for the time of day. How long something takes it has from tokio.
    pub clock: Clock,
    /// Where its numbers come from: those that must not be guessed, and the jitter of its pauses.
    pub entropy: StdRng,
}

impl Machine {
    /// The one that this process runs on: TCP, its clock, and numbers that nobody can guess.
    #[must_use]
    pub fn real() -> Self {
        let clock = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        Self { connector: Arc::new(Tcp), clock: Arc::new(clock), entropy: StdRng::from_os_rng() }
    }
}
