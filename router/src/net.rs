//! Where clients come in: the router's only module that names real sockets. Everything else is
//! handed what it needs, so that it can run over a simulated network in simulated time.

mod early;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

pub(crate) use early::Early;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A client's byte stream, plain or inside TLS.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for T {}

/// Clients as they come in over TCP, by one listener or several.
pub(crate) struct Clients {
    listeners: Vec<TcpListener>,
    /// The one that is asked first.
    next: usize,
}

impl Clients {
    /// It must be made inside the worker's runtime.
    pub(crate) fn of(listeners: Vec<std::net::TcpListener>) -> io::Result<Self> {
        for listener in &listeners {
            // Frames leave when they are ready; waiting to fill a segment would only delay them. What
            // is accepted inherits it, which is a system call less for each client.
            SockRef::from(listener).set_tcp_nodelay(true)?;
        }
        let listeners = listeners.into_iter().map(TcpListener::from_std);
        Ok(Self { listeners: listeners.collect::<io::Result<_>>()?, next: 0 })
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        for _ in 0..self.listeners.len() {
            let listener = &self.listeners[self.next];
            self.next = (self.next + 1) % self.listeners.len();
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// Where clients come from.
pub trait Listener {
    /// The next client's socket and address.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Box<dyn Socket>, SocketAddr)>>;
}

impl Listener for Clients {
    async fn accept(&mut self) -> io::Result<(Box<dyn Socket>, SocketAddr)> {
        let (stream, peer) = poll_fn(|cx| self.poll_accept(cx)).await?;
        Ok((Box::<TcpStream>::new(stream), peer))
    }
}

/// Binds once without `SO_REUSEPORT`, which would let a second router share the port unnoticed,
/// and says which port it was.
pub(crate) fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(address)?.local_addr()
}

/// A listener of one of several workers on the same port.
pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listener that shares its port with nobody.
pub(crate) fn listen_alone(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// One listener or more for each worker, of those that are there and, if they are too few, of new
/// ones at the same address. Each of them is somebody's, since the kernel queues clients at all.
pub(crate) fn share(
    listeners: Vec<std::net::TcpListener>,
    address: SocketAddr,
    workers: usize,
) -> io::Result<Vec<Vec<std::net::TcpListener>>> {
    let mut shares: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for (index, listener) in listeners.into_iter().enumerate() {
        shares[index % workers].push(listener);
    }
    for share in shares.iter_mut().filter(|share| share.is_empty()) {
        share.push(listen(address)?);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn shares(sockets: usize, workers: usize) -> Vec<usize> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listeners = vec![listen(any).expect("listens")];
        let address = listeners[0].local_addr().expect("bound");
        listeners.extend((1..sockets).map(|_| listen(address).expect("listens")));
        let shares = share(listeners, address, workers).expect("listens");
        let is_there = |it: &std::net::TcpListener| it.local_addr().expect("bound") == address;
        assert!(shares.iter().flatten().all(is_there));
        shares.iter().map(Vec::len).collect()
    }

    #[test]
    fn each_worker_has_a_listener_and_each_listener_a_worker() {
        assert_eq!(shares(2, 2), [1, 1]);
        assert_eq!(shares(5, 2), [3, 2]);
        assert_eq!(shares(1, 3), [1, 1, 1]);
    }

    #[tokio::test]
    async fn clients_of_all_listeners_are_accepted() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listeners: Vec<_> = (0..3).map(|_| listen(any).expect("listens")).collect();
        let addresses: Vec<_> =
            listeners.iter().map(|it| it.local_addr().expect("bound")).collect();
        let mut clients = Clients::of(listeners).expect("a runtime");
        for address in addresses.into_iter().rev() {
            let client = TcpStream::connect(address).await.expect("connects");
            let (_, peer) = clients.accept().await.expect("accepts");
            assert_eq!(peer, client.local_addr().expect("bound"));
        }
    }

    #[tokio::test]
    async fn what_is_accepted_does_not_wait_to_fill_a_segment() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = listen(any).expect("listens");
        let address = listener.local_addr().expect("bound");
        let mut clients = Clients::of(vec![listener]).expect("a runtime");
        let _client = TcpStream::connect(address).await.expect("connects");
        let (stream, _) = poll_fn(|cx| clients.poll_accept(cx)).await.expect("accepts");
        assert!(stream.nodelay().expect("a socket"));
    }
}
