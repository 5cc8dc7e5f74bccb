//! A client's socket while it speaks HTTP. The answer that makes it a WebSocket is kept, so that it leaves
//! with the first frame: each write wakes up the client, and what is between it and the router.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::{Early, Socket};

/// The socket as hyper has it.
pub(super) struct Opening {
    socket: Early,
    keeps: Keeps,
    answer: Vec<u8>,
}

/// Tells a socket that what follows is the answer to be kept. Only one thread has it, but hyper gives
/// upgraded sockets only what may be sent to others.
#[derive(Clone, Default)]
pub(super) struct Keeps(Arc<AtomicBool>);

impl Keeps {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket that has become a WebSocket.
pub(crate) struct Upgraded {
    pub(crate) socket: Box<dyn Socket>,
    /// What the client has yet to be answered before all else.
    pub(crate) answer: Bytes,
    /// What the client sent behind its request.
    pub(crate) early: Vec<u8>,
}

impl Opening {
    pub(super) fn new(socket: Early) -> Self {
        Self { socket, keeps: Keeps::default(), answer: Vec::new() }
    }

    pub(super) fn keeps(&self) -> Keeps {
        self.keeps.clone()
    }

    /// `read` is what was read behind the request.
    pub(super) fn into_upgraded(self, read: &[u8]) -> Upgraded {
        let (socket, rest) = self.socket.into_parts();
        Upgraded { socket, answer: self.answer.into(), early: [read, &rest].concat() }
    }
}

impl AsyncRead for Opening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Opening {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.keeps.has_begun() {
            self.answer.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.keeps.has_begun() {
            let before = self.answer.len();
            slices.iter().for_each(|slice| self.answer.extend_from_slice(slice));
            return Poll::Ready(Ok(self.answer.len() - before));
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn only_the_answer_that_is_to_be_kept_is() {
        let (mut client, server) = duplex(64);
        client.write_all(b"GET, and more").await.expect("room");
        let mut opening = Opening::new(Early::read(Box::new(server)).await.expect("a request"));
        opening.read_exact(&mut [0; 3]).await.expect("the request");
        opening.write_all(b"200").await.expect("room");
        opening.keeps().begin();
        opening.write_all(b"1").await.expect("it is kept");
        let rest = [IoSlice::new(b"0"), IoSlice::new(b"1")];
        assert_eq!(opening.write_vectored(&rest).await.expect("it is kept"), 2);
        opening.flush().await.expect("nothing to do");
        let Upgraded { socket, answer, early } = opening.into_upgraded(b" (read)");
        assert_eq!((&*answer, &*early), (b"101".as_slice(), b" (read), and more".as_slice()));
        drop(socket);
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.expect("text");
        assert_eq!(heard, "200");
    }
}
