//! What the router answers over HTTP: the pages, health, and upgrades to WebSocket.
//!
//! hyper reads the requests. A socket has a deadline for each header and one for all of HTTP, so
//! that nobody holds one without using it; only polling, and who asks for the application, move that
//! one on.

mod api;
mod demo;
mod health;
mod lifetime;
mod opening;
mod page;
mod routes;

use std::cell::RefCell;
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

use crate::handshake::Admission;
use crate::net::Early;
use crate::phase::Phase;
use crate::seat::Seat;
use crate::worker::Worker;

/// More headers than any browser or proxy sends.
const MAX_HEADERS: usize = 100;
/// hyper takes no smaller buffer than this; the header's own limit is checked besides.
const SMALLEST_BUFFER: usize = 8 * 1024;
/// How long the answer to a server of the application may take.
const CALLER_WAIT: Duration = Duration::from_secs(120);

pub(crate) use lifetime::Lifetime;
pub(crate) use opening::Upgraded;
use opening::{Keeps, Opening};
pub(crate) use routes::{come_back, upgrade};

pub(crate) type Answer = Response<Full<Bytes>>;

/// A client's socket while it speaks HTTP.
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: IpAddr,
    pub(crate) lifetime: Lifetime,
    /// Set by the request that is upgraded.
    upgrade: RefCell<Option<(OnUpgrade, Admission)>>,
    keeps: Keeps,
}

impl Client {
    /// The answer that is given now makes it a WebSocket.
    fn upgrade_to(&self, upgrade: OnUpgrade, admission: Admission) {
        self.keeps.begin();
        *self.upgrade.borrow_mut() = Some((upgrade, admission));
    }

    /// A server of the application asks, which keeps its connection.
    fn stay(&self) {
        self.lifetime.extend(CALLER_WAIT);
    }
}

/// Serves a socket until it is closed or has become a WebSocket, which is then served by a task
/// of its own, so that hyper's memory is given back.
pub(crate) async fn serve(worker: Rc<Worker>, socket: Early, peer: SocketAddr, seat: Seat) {
    let limits = &worker.settings.limits;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header)
        .max_buf_size(limits.header.max(SMALLEST_BUFFER))
        .max_headers(MAX_HEADERS);
    let socket = Opening::new(socket);
    let client = Rc::new(Client {
        worker: Rc::clone(&worker),
        peer: peer.ip(),
        lifetime: Lifetime::begin(),
        upgrade: RefCell::new(None),
        keeps: socket.keeps(),
    });
    let service = {
        let client = Rc::clone(&client);
        service_fn(move |request| {
            let client = Rc::clone(&client);
            async move { Ok::<_, Infallible>(routes::answer(&client, request).await) }
        })
    };
    let connection = http.serve_connection(TokioIo::new(socket), service).with_upgrades();
    let mut connection = Box::pin(connection);
    let mut phases = worker.phases.clone();
    let served = async {
        tokio::select! {
            biased;
            outcome = &mut connection => return outcome,
            () = phases.reach(Phase::Draining) => {}
        }
        // What is asked is answered, and then the socket is closed: whoever polls goes on elsewhere.
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    let outcome = tokio::select! {
        biased;
        outcome = served => outcome.map_err(Some),
        () = client.lifetime.over() => Err(None),
    };
    match outcome {
        Ok(()) => {}
        // Whoever has polled, or asked for the application, may be silent afterwards.
        Err(_) if client.lifetime.was_renewed() => {}
        Err(Some(error)) if error.is_timeout() => worker.metrics.handshake_failed("timeout"),
        Err(Some(error)) if error.is_parse() => worker.metrics.handshake_failed("http"),
        // A client that hangs up is nothing to report.
        Err(Some(_)) => {}
        Err(None) => worker.metrics.handshake_failed("timeout"),
    }
    let Some((upgrade, admission)) = client.upgrade.take() else { return };
    let Ok(upgraded) = upgrade.await else { return };
    if let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<Opening>>() {
        worker.admit(io.into_inner().into_upgraded(&read_buf), admission, seat);
    }
}

/// A short answer in plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text.into() + "\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    answer
}
