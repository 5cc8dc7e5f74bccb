//! Where clients come in: the router's only module that names real sockets. Everything else is
//! handed what it needs, so that it can run over a simulated network in simulated time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A client's byte stream, plain or inside TLS.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Ready when reading may be worth a try, and so when it is not known. Nothing is read.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Socket for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // A socket that is new passes for ready, so that it has to be looked at.
        let mut first = [0];
        // Reading meets the end, or an error, again.
        self.poll_peek(cx, &mut ReadBuf::new(&mut first)).map(|_| ())
    }
}

impl Socket for TlsStream<Box<dyn Socket>> {
    /// What is decrypted already can't be seen from here.
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Clients as they come in over TCP.
pub(crate) type Clients = TcpListener;

/// Where clients come from.
pub trait Listener {
    /// The next client's socket and address.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Box<dyn Socket>, SocketAddr)>>;
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
pub(crate) fn listen(address: SocketAddr) -> io::Result<Clients> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A listener that shares its port with nobody.
pub(crate) async fn listen_alone(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
