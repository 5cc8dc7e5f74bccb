//! The only module that names real sockets, the real clock and the operating system's
//! randomness. Everything else is handed what it needs.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{Stream, TryStreamExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};

/// Milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A connection to another shard that is being made.
pub(crate) type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<Channel, tonic::transport::Error>> + Send + 'a>>;

/// How other shards are reached.
pub(crate) trait Connector: Send + Sync + 'static {
    /// Connects, within the endpoint's own timeout.
    fn connect(&self, endpoint: Endpoint) -> Connecting<'_>;
}

/// Connects over TCP.
pub(crate) struct Tcp;

impl Connector for Tcp {
    fn connect(&self, endpoint: Endpoint) -> Connecting<'_> {
        Box::pin(async move { endpoint.connect().await })
    }
}

/// The machine's clock.
pub(crate) fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A generator that nobody can guess.
pub(crate) fn entropy() -> StdRng {
    StdRng::from_os_rng()
}

/// The sockets of routers and other shards as they come in.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = io::Result<TcpStream>> + Send>>;

/// Where routers and other shards come in.
pub(crate) async fn listen(address: &str) -> io::Result<Incoming> {
    let listener = TcpListenerStream::new(TcpListener::bind(address).await?);
    // Batches are made above, of whatever is ready; Nagle's algorithm would hold each back until
    // the one before is acknowledged, and the other side delays its acknowledgements. tonic sets
    // this only on sockets of listeners of its own.
    Ok(Box::pin(listener.and_then(|socket| async move {
        socket.set_nodelay(true)?;
        Ok(socket)
    })))
}
