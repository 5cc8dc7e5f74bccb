//! The operator's side of a process: `/metrics`, `/healthz` and `/readyz` on a port of its own.
//!
//! One request per connection, a bounded number of connections at once, and a deadline for each:
//! a scraper that stalls costs little and only for a while. What is counted is not decided here.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use trunkline_proto::watch;

/// Connections at once; more wait in the kernel's queue until one has ended.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take, from its acceptance to the end of the response.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure to accept, such as too many open files: time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Prometheus's text format 0.0.4.
const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A bound port that doesn't serve yet.
pub(crate) struct Ops {
    listener: TcpListener,
    closing: watch::Sender<bool>,
}

/// Closes the port, for which another process has come.
pub(crate) struct Closer(watch::Sender<bool>);

impl Closer {
    pub(crate) fn close(&self) {
        self.0.send_replace(true);
    }
}

struct State {
    registry: Registry,
    readiness: watch::Receiver<bool>,
}

impl Ops {
    /// Binds `HOST:PORT`.
    ///
    /// # Errors
    /// If that can't be done, which is mostly because the port is taken.
    pub(crate) async fn bind(address: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot serve metrics at {address}; free the port or set another metrics address"
            )
        })?;
        Ok(Self { listener, closing: watch::Sender::new(false) })
    }

    /// Serves at a port that another process had; none if it is not the one that is wanted.
    ///
    /// # Errors
    /// If the socket isn't usable.
    pub(crate) fn take(
        listener: std::net::TcpListener,
        wanted: SocketAddr,
    ) -> anyhow::Result<Option<Self>> {
        let found = listener.local_addr()?;
        if found.ip() != wanted.ip() || ![0, found.port()].contains(&wanted.port()) {
            return Ok(None);
        }
        listener.set_nonblocking(true)?;
        let (listener, closing) = (TcpListener::from_std(listener)?, watch::Sender::new(false));
        Ok(Some(Self { listener, closing }))
    }

    /// The same socket once more, for the process that comes next.
    ///
    /// # Errors
    /// When the process may have no more files.
    pub(crate) fn copy(&self) -> io::Result<std::net::TcpListener> {
        Ok(self.listener.as_fd().try_clone_to_owned()?.into())
    }

    /// What closes the port before the process ends.
    pub(crate) fn closer(&self) -> Closer {
        Closer(self.closing.clone())
    }

    /// Serves for as long as it is polled, or until the port is closed.
    pub(crate) async fn serve(self, registry: Registry, readiness: watch::Receiver<bool>) {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            () = self.accept(registry, readiness) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }

    async fn accept(&self, registry: Registry, readiness: watch::Receiver<bool>) {
        let state = Arc::new(State { registry, readiness });
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let state = Arc::clone(&state);
                    tokio::spawn(async move {
                        // A connection that breaks or takes too long concerns its client alone.
                        let _ =
                            tokio::time::timeout(CONNECTION_TIMEOUT, answer(stream, state)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the metrics port");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, state: Arc<State>) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &state);
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(method: &Method, path: &str, state: &State) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => metrics(&state.registry),
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if *state.readiness.borrow() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => text(StatusCode::NOT_FOUND, "try /metrics, /healthz or /readyz\n"),
    }
}

fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(metrics) => {
            let mut response = text(StatusCode::OK, metrics);
            response.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE);
            response
        }
        Err(error) => {
            tracing::error!(%error, "cannot encode the metrics");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be encoded; see the log\n")
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PLAIN_TEXT);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a request of this method and path is answered, as text.
    async fn ask(method: &str, path: &str, ready: bool) -> String {
        let registry = Registry::new();
        let counter = prometheus::IntCounter::new("trunkline_test", "A test.").unwrap();
        registry.register(Box::new(counter)).unwrap();
        let ops = Ops::bind("127.0.0.1:0").await.unwrap();
        let address = ops.listener.local_addr().unwrap();
        let (_sender, readiness) = watch::channel(ready);
        let server = tokio::spawn(ops.serve(registry, readiness));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        server.abort();
        response
    }

    #[tokio::test]
    async fn metrics_come_in_prometheus_s_text_format() {
        let response = ask("GET", "/metrics", false).await;
        assert!(response.contains("content-type: text/plain; version=0.0.4\r\n"), "{response}");
        assert!(response.ends_with("trunkline_test 0\n"), "{response}");
    }

    #[tokio::test]
    async fn a_process_is_healthy_before_it_is_ready() {
        assert!(ask("GET", "/healthz", false).await.starts_with("HTTP/1.1 200 "));
        assert!(ask("GET", "/readyz", false).await.starts_with("HTTP/1.1 503 "));
        assert!(ask("GET", "/readyz", true).await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        assert!(ask("GET", "/", true).await.starts_with("HTTP/1.1 404 "));
        let response = ask("POST", "/metrics", true).await;
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
        assert!(response.contains("allow: GET, HEAD\r\n"), "{response}");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = Ops::bind(&address).await.err().unwrap();
        assert!(error.to_string().starts_with(&format!("cannot serve metrics at {address}; free")));
    }
}
