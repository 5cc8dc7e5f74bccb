//! Where routers and other shards come in, and the way to the application: the shard's only module
//! that names real sockets.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;

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

/// How long a connection to the application may take: one that can't be made is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle connection to the application is kept; servers commonly close theirs after
/// more than that, and a request that meets the closing is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Idle connections to the application that are kept.
const IDLE: usize = 64;

/// How the application is reached.
pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that keeps connections, and follows no redirects.
pub(crate) fn http_client(tls: ClientConfig) -> HttpClient {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE)
        .build(connector)
}
