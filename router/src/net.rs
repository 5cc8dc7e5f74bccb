//! The only module that names real sockets, the real clock and the operating system's
//! randomness. Everything else is handed what it needs, so that it can run over a simulated
//! network in simulated time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;
use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Channel, Endpoint};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A client's byte stream, plain or inside TLS.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for T {}

/// Where clients come from.
pub(crate) trait Listener {
    /// The next client's socket and address.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Box<dyn Socket>, SocketAddr)>>;
}

/// How shards are reached.
pub(crate) trait Connector: 'static {
    /// Connects, within the endpoint's own timeout.
    fn connect(
        &self,
        endpoint: Endpoint,
    ) -> Pin<Box<dyn Future<Output = Result<Channel, tonic::transport::Error>> + '_>>;
}

/// Milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

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

/// Connects over TCP.
pub(crate) struct Tcp;

impl Connector for Tcp {
    fn connect(
        &self,
        endpoint: Endpoint,
    ) -> Pin<Box<dyn Future<Output = Result<Channel, tonic::transport::Error>> + '_>> {
        Box::pin(async move { endpoint.connect().await })
    }
}

impl Listener for TcpListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Socket>, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Frames leave when they are ready; waiting to fill a segment would only delay them.
        stream.set_nodelay(true)?;
        Ok((Box::<TcpStream>::new(stream), peer))
    }
}

/// Binds once without `SO_REUSEPORT`, which would let a second router share the port unnoticed,
/// and says which port it was.
pub(crate) fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(address)?.local_addr()
}

/// A listener of one of several workers on the same port. It must be made inside the worker's
/// runtime.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
