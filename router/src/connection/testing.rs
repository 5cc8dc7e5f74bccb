//! Connections over a pipe, or another socket that is none, for unit tests.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use prometheus::Registry;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use trunkline_proto::out_queue::Bounds;
use trunkline_proto::trunk::Dialect;

use super::queue::OutQueue;
use super::{Connection, Shared};
use crate::metrics::Metrics;
use crate::net::Socket;

/// A connection and the client's end of its socket.
pub(crate) fn connection(number: u64) -> (Rc<Connection>, DuplexStream) {
    let (client, server) = duplex(1024);
    (connection_over(number, Box::new(server)), client)
}

/// A connection whose socket is this.
pub(crate) fn connection_over(number: u64, socket: Box<dyn Socket>) -> Rc<Connection> {
    upgraded(number, socket, Bytes::new())
}

/// A connection whose client has yet to be answered its upgrade.
pub(crate) fn upgraded(number: u64, socket: Box<dyn Socket>, answer: Bytes) -> Rc<Connection> {
    let metrics = Rc::new(Metrics::register(&Registry::new()).expect("registers"));
    let shared = Rc::new(Shared::new(metrics));
    let queue = OutQueue::after(answer, Bounds { messages: 1000, replies: 4000 });
    Rc::new(Connection::new(number, Dialect::Native, socket, queue, 100, shared))
}

/// A socket that takes every write at once and never has anything to read.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    writes: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Sink {
    /// How often it was written to.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// How much was written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn take(&self, length: usize) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Ok(length))
    }
}

impl AsyncRead for Sink {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.take(slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
