//! Which path is what.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use trunkline_proto::trunk::Dialect;

use super::{Answer, Client, api, demo, health, page, text};
use crate::engine;
use crate::handshake::{self, Admission, Refusal, SUBPROTOCOL};

/// How long a client that found the worker full should wait, in seconds.
const RETRY_AFTER_S: &str = "5";

/// Answers a request; an upgrade is left in the client for after the answer.
pub(super) async fn answer(client: &Rc<Client>, mut request: Request<Incoming>) -> Answer {
    let settings = &client.worker.settings;
    match request.uri().path() {
        "/ws" => upgrade(client, &mut request, Some(SUBPROTOCOL), |request| {
            client.worker.doorkeeper().admit(request, client.peer, Dialect::Native)
        }),
        "/echo" if settings.router.echo => {
            upgrade(client, &mut request, Some(SUBPROTOCOL), |_| Ok(Admission::Echo))
        }
        path if engine::serves(&settings.socketio, path) => engine::answer(client, request).await,
        path if api::owns(path) => api::answer(client, request).await,
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        "/healthz" => health::alive(),
        "/readyz" => health::ready(client.worker.board.hindrance()),
        path => page::file(path).or_else(|| demo::file(path)).unwrap_or_else(|| {
            text(StatusCode::NOT_FOUND, "not found; the chat is at / and the WebSocket at /ws")
        }),
    }
}

/// Answers a request for a WebSocket, which `admit` lets in or not.
pub(crate) fn upgrade(
    client: &Rc<Client>,
    request: &mut Request<Incoming>,
    subprotocol: Option<&'static str>,
    admit: impl FnOnce(&Request<Incoming>) -> Result<Admission, Refusal>,
) -> Answer {
    let worker = &client.worker;
    let admitted = if worker.is_full() {
        Err(Refusal::full())
    } else {
        handshake::upgrade(request, subprotocol)
            .and_then(|answer| admit(request).map(|admission| (answer, admission)))
    };
    match admitted {
        Ok((answer, admission)) => {
            client.upgrade_to(hyper::upgrade::on(request), admission);
            answer
        }
        Err(refusal) => {
            worker.metrics.handshake_failed(refusal.label);
            tracing::debug!(peer = %client.peer, status = refusal.status.as_u16(),
                why = %refusal.text, "upgrade refused");
            let mut answer = text(refusal.status, refusal.text);
            if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                come_back(&mut answer);
            }
            if refusal.status == StatusCode::UPGRADE_REQUIRED {
                answer.headers_mut().extend(handshake::wanted());
            }
            answer
        }
    }
}

/// Asks a client to come back after a pause.
pub(crate) fn come_back(answer: &mut Answer) {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
}
