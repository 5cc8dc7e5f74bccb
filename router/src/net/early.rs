//! A socket of which something has been read already.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Socket;

/// What is read at first: most requests for a WebSocket are shorter.
const FIRST: usize = 4096;

/// What was read comes first, and then the rest.
pub(crate) struct Early {
    socket: Box<dyn Socket>,
    bytes: Bytes,
}

impl Early {
    /// Waits until something comes, or the end. Until then there is nothing but the socket.
    ///
    /// # Errors
    /// That of the socket.
    pub(crate) async fn read(mut socket: Box<dyn Socket>) -> io::Result<Self> {
        let bytes = poll_fn(|cx| {
            let mut space = [MaybeUninit::uninit(); FIRST];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut socket).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok::<_, io::Error>(Bytes::copy_from_slice(buffer.filled())))
        })
        .await?;
        Ok(Self { socket, bytes })
    }

    /// A socket of which nothing has been read.
    pub(crate) fn nothing(socket: Box<dyn Socket>) -> Self {
        Self { socket, bytes: Bytes::new() }
    }

    /// The socket, and what was read of it and asked for by nobody.
    pub(crate) fn into_parts(self) -> (Box<dyn Socket>, Bytes) {
        (self.socket, self.bytes)
    }
}

impl AsyncRead for Early {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        let count = self.bytes.len().min(buffer.remaining());
        buffer.put_slice(&self.bytes[..count]);
        self.bytes.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Early {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
    async fn what_was_read_early_is_read_first_however_little_is_asked_for() {
        let (mut client, server) = duplex(2 * FIRST);
        client.write_all(b"early").await.expect("room");
        let mut early = Early::read(Box::new(server)).await.expect("something came");
        client.write_all(b" and late").await.expect("room");
        let mut first = [0; 3];
        early.read_exact(&mut first).await.expect("it is there");
        assert_eq!(&first, b"ear");
        let mut rest = [0; 11];
        early.read_exact(&mut rest).await.expect("it is there");
        assert_eq!(&rest, b"ly and late");
        assert!(early.into_parts().1.is_empty());
    }

    #[tokio::test]
    async fn the_end_is_met_again() {
        let (client, server) = duplex(1);
        drop(client);
        let mut early = Early::read(Box::new(server)).await.expect("the end");
        assert_eq!(early.read(&mut [0; 8]).await.expect("the end"), 0);
    }
}
