//! What the router answers over HTTP: the chat page, health, and upgrades to WebSocket.
//!
//! hyper reads the requests. A socket has a deadline for each header and one for all of HTTP, so
//! that nobody holds one without using it.

mod api;
mod health;
mod page;
mod routes;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, sleep_until};

use crate::handshake::Admission;
use crate::net::Socket;
use crate::worker::{Seat, Worker};

/// How long a socket may speak HTTP in all: loading the page takes no longer.
const HTTP_LIFETIME: Duration = Duration::from_secs(60);
/// How long it may from the last request on that has shown a key: longer than such a request can
/// take, so that none is cut off.
const CALLER_LIFETIME: Duration = Duration::from_secs(180);
/// More headers than any browser or proxy sends.
const MAX_HEADERS: usize = 100;
/// hyper takes no smaller buffer than this; the header's own limit is checked besides.
const SMALLEST_BUFFER: usize = 8 * 1024;

pub(crate) type Answer = Response<Full<Bytes>>;

/// A client's socket while it speaks HTTP.
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: IpAddr,
    /// When it may speak HTTP no longer.
    until: Cell<Instant>,
    /// It is a server of the application: it has shown a key.
    is_caller: Cell<bool>,
    /// Set by the request that is upgraded.
    upgrade: RefCell<Option<(OnUpgrade, Admission)>>,
}

impl Client {
    /// A server of the application asks, which keeps its connection.
    fn stay(&self) {
        self.is_caller.set(true);
        self.until.set(Instant::now() + CALLER_LIFETIME);
    }

    /// Waits until it may speak HTTP no longer.
    async fn expired(&self) {
        while Instant::now() < self.until.get() {
            sleep_until(self.until.get()).await;
        }
    }
}

/// Serves a socket until it is closed or has become a WebSocket, which is then served by a task
/// of its own, so that hyper's memory is given back.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    socket: Box<dyn Socket>,
    peer: SocketAddr,
    seat: Seat,
) {
    let limits = &worker.settings.limits;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header)
        .max_buf_size(limits.header.max(SMALLEST_BUFFER))
        .max_headers(MAX_HEADERS);
    let client = Rc::new(Client {
        worker: Rc::clone(&worker),
        peer: peer.ip(),
        until: Cell::new(Instant::now() + HTTP_LIFETIME),
        is_caller: Cell::new(false),
        upgrade: RefCell::new(None),
    });
    let service = {
        let client = Rc::clone(&client);
        service_fn(move |request| {
            let client = Rc::clone(&client);
            async move { Ok::<_, Infallible>(routes::answer(&client, request).await) }
        })
    };
    let connection = http.serve_connection(TokioIo::new(socket), service).with_upgrades();
    let ended = tokio::select! {
        ended = Box::pin(connection) => Some(ended),
        () = client.expired() => None,
    };
    match ended {
        Some(Ok(())) => {}
        // Its connection was idle long enough.
        _ if client.is_caller.get() => {}
        Some(Err(error)) if error.is_timeout() => worker.metrics.handshake_failed("timeout"),
        Some(Err(error)) if error.is_parse() => worker.metrics.handshake_failed("http"),
        // A client that hangs up is nothing to report.
        Some(Err(_)) => {}
        None => worker.metrics.handshake_failed("timeout"),
    }
    let Some((upgrade, admission)) = client.upgrade.take() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    if let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<Box<dyn Socket>>>() {
        worker.admit(io.into_inner(), read_buf, admission, seat);
    }
}

/// A short answer in plain text.
fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text.into() + "\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    answer
}
