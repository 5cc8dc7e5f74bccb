//! Sockets of the simulated network, as routers and shards take them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::codegen::http::Uri;
use tonic::transport::Endpoint;
use tonic::transport::server::Connected;
use tower::service_fn;
use trunkline_proto::net::{Connecting, Connector};
use trunkline_router::{Listener, Socket};
use trunkline_shard::Incoming;
use turmoil::net::{TcpListener, TcpStream};

/// A byte stream between two hosts.
pub(crate) struct Wire(TcpStream);

impl Wire {
    /// Connects to a host by its name.
    pub(crate) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        Ok(Self(TcpStream::connect((host, port)).await?))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// How routers and shards reach shards.
pub(crate) struct Wires;

impl Connector for Wires {
    fn connect(&self, endpoint: Endpoint) -> Connecting<'_> {
        let dial = service_fn(|uri: Uri| async move {
            let wire = Wire::connect(uri.host().unwrap_or_default(), PORT).await?;
            Ok::<_, io::Error>(TokioIo::new(wire))
        });
        Box::pin(async move { endpoint.connect_with_connector(dial).await })
    }
}

/// Where every host listens.
pub(crate) const PORT: u16 = 7400;

async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(("0.0.0.0", PORT)).await
}

/// Where routers and shards come in at a shard.
pub(crate) async fn incoming() -> io::Result<Incoming<Wire>> {
    let streams = stream::unfold(listen().await?, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| Wire(stream));
        Some((accepted, listener))
    });
    Ok(Box::pin(streams))
}

/// Where clients come in at a router.
pub(crate) struct Door(TcpListener);

impl Door {
    pub(crate) async fn open() -> io::Result<Self> {
        Ok(Self(listen().await?))
    }
}

impl Listener for Door {
    async fn accept(&mut self) -> io::Result<(Box<dyn Socket>, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Box::new(Wire(stream)), peer))
    }
}
