//! Where routers and other shards come in, and the way to the application: the shard's only module
//! that names real sockets. Everything else is handed what it needs, so that it can run over a
//! simulated network in simulated time.

use std::future::Future;
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
use rand::rngs::StdRng;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Connected;
use trunkline_log::{LogSettings, TopicLog};
use trunkline_proto::net::Machine;

use crate::start::ShardOptions;
use crate::store::{self, StoreError};

/// The sockets of routers and other shards as they come in.
pub type Incoming<S> = Pin<Box<dyn Stream<Item = io::Result<S>> + Send>>;

/// What a shard runs on.
pub trait Ground {
    /// Where it listens: a byte stream to a router or another shard.
    type Socket: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;

    /// The way to other shards, the clock and randomness.
    fn machine(&self) -> Machine;

    /// Where routers and other shards come in, by the address of the shard map.
    fn listen(
        &self,
        address: &str,
    ) -> impl Future<Output = io::Result<Incoming<Self::Socket>>> + Send;

    /// The shard's store, for as much as `keeps` says.
    fn open(
        &self,
        options: &ShardOptions,
        keeps: LogSettings,
        entropy: StdRng,
    ) -> impl Future<Output = Result<Box<dyn TopicLog>, StoreError>> + Send;
}

/// The machine that this process runs on, and the store that the settings name.
pub(crate) struct Real;

impl Ground for Real {
    type Socket = TcpStream;

    fn machine(&self) -> Machine {
        Machine::real()
    }

    async fn listen(&self, address: &str) -> io::Result<Incoming<TcpStream>> {
        let listener = TcpListenerStream::new(TcpListener::bind(address).await?);
        // Batches are made above, of whatever is ready; Nagle's algorithm would hold each back
        // until the one before is acknowledged, and the other side delays its acknowledgements.
        // tonic sets this only on sockets of listeners of its own.
        Ok(Box::pin(listener.and_then(|socket| async move {
            socket.set_nodelay(true)?;
            Ok(socket)
        })))
    }

    async fn open(
        &self,
        options: &ShardOptions,
        keeps: LogSettings,
        entropy: StdRng,
    ) -> Result<Box<dyn TopicLog>, StoreError> {
        let ShardOptions { settings, id, data, .. } = options;
        store::open(settings, keeps, id, data.as_deref(), entropy).await
    }
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
