//! Callers of the interface over gRPC, as they connect: inside TLS where the router has a
//! certificate, and at most so many. Whoever shows no key soon gives its place to others.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use crate::net::{Clients, Listener, Socket};

/// Connections at once; others wait to be accepted.
const CONNECTIONS: usize = 1024;
/// TLS handshakes at once.
const HANDSHAKES: usize = 64;
/// The pause after a failed accept: what it failed for, such as no free file descriptor, lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the interface over gRPC is not offered.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Keys and messages would be there for all to read.
    #[error(
        "api.grpc is {0}, which others can reach, and its keys would travel in the clear; set router.tls, or choose an address such as 127.0.0.1:{port}", port = .0.port()
    )]
    Plain(SocketAddr),
    /// No caller would ever be let in.
    #[error("api.grpc is set and api.keys is empty; give it a key, or leave out api.grpc")]
    NoKey,
    /// The address can't be listened at.
    #[error("cannot listen at {address}: {source}; correct api.grpc")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Whether the interface may be served at an address.
///
/// # Errors
/// [`ListenError`] says what to change.
pub(crate) fn check(address: SocketAddr, keys: &[String], tls: bool) -> Result<(), ListenError> {
    if keys.is_empty() {
        return Err(ListenError::NoKey);
    }
    if !tls && !address.ip().to_canonical().is_loopback() {
        return Err(ListenError::Plain(address));
    }
    Ok(())
}

/// Where callers come from.
pub(super) struct Callers {
    listener: Clients,
    tls: Option<TlsAcceptor>,
    /// How long a TLS handshake may take, and then a first key.
    patience: Duration,
    seats: Arc<Semaphore>,
}

/// Whether a connection has shown a key. Its requests carry it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<AtomicBool>);

impl Known {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A caller's stream. Its seat is free again when it is dropped.
pub(super) struct Caller {
    socket: Box<dyn Socket>,
    known: Known,
    /// Until when it must be known.
    deadline: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

impl Callers {
    pub(super) fn new(listener: Clients, tls: Option<TlsAcceptor>, patience: Duration) -> Self {
        Self { listener, tls, patience, seats: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// The callers, ready to speak HTTP/2. It never ends.
    pub(super) fn stream(self) -> impl Stream<Item = io::Result<Caller>> + Send {
        let (tls, patience) = (self.tls.clone(), self.patience);
        stream::unfold(self, |mut callers| async {
            let accepted = callers.accept().await;
            Some((accepted, callers))
        })
        .map(move |(socket, seat)| greet(socket, seat, tls.clone(), patience))
        .buffer_unordered(HANDSHAKES)
        .filter_map(|caller| async { caller.map(Ok) })
    }

    async fn accept(&mut self) -> (Box<dyn Socket>, OwnedSemaphorePermit) {
        loop {
            // It is never closed: without it there is only the pause.
            let Ok(seat) = Arc::clone(&self.seats).acquire_owned().await else {
                sleep(PAUSE).await;
                continue;
            };
            match self.listener.accept().await {
                Ok((socket, _)) => return (socket, seat),
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a caller");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn greet(
    socket: Box<dyn Socket>,
    seat: OwnedSemaphorePermit,
    tls: Option<TlsAcceptor>,
    patience: Duration,
) -> Option<Caller> {
    let socket: Box<dyn Socket> = match tls {
        None => socket,
        Some(tls) => match timeout(patience, tls.accept(socket)).await {
            Ok(Ok(socket)) => Box::new(socket),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS with a caller");
                return None;
            }
            Err(_) => return None,
        },
    };
    let deadline = Box::pin(sleep(patience));
    Some(Caller { socket, known: Known::default(), deadline, _seat: seat })
}

impl Connected for Caller {
    type ConnectInfo = Known;

    fn connect_info(&self) -> Known {
        self.known.clone()
    }
}

impl AsyncRead for Caller {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.known.is_set() && self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut *self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.socket).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn refusal(address: &str, keys: &[String], tls: bool) -> Option<String> {
        let address = address.parse().expect("an address");
        check(address, keys, tls).err().map(|error| error.to_string())
    }

    #[test]
    fn beyond_loopback_there_is_no_listening_without_tls() {
        let keys = ["key".to_owned()];
        for plain in ["127.0.0.1:0", "[::1]:0"] {
            assert_eq!(refusal(plain, &keys, false), None);
        }
        let why = refusal("0.0.0.0:7001", &keys, false).expect("refused");
        assert!(why.contains("router.tls") && why.contains("127.0.0.1:7001"), "{why}");
        assert_eq!(refusal("0.0.0.0:0", &keys, true), None);
    }

    #[tokio::test]
    async fn who_shows_no_key_in_time_is_let_go() {
        let patience = Duration::from_millis(50);
        for is_known in [false, true] {
            let (near, _far) = tokio::io::duplex(64);
            let seat = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("a seat");
            let caller = greet(Box::new(near), seat, None, patience).await;
            let mut caller = caller.expect("a caller");
            if is_known {
                caller.connect_info().set();
            }
            let read = timeout(8 * patience, caller.read(&mut [0; 8])).await;
            // Nothing was sent: the read ends only because it is cut off.
            assert_eq!(read.is_err(), is_known);
        }
    }

    #[test]
    fn without_a_key_nobody_could_call() {
        let why = refusal("127.0.0.1:0", &[], false).expect("refused");
        assert!(why.contains("api.keys"), "{why}");
    }
}
