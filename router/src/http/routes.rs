//! Which path is what.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};

use super::{Answer, Client, api, health, page, text};
use crate::handshake::{self, Refusal};

/// How long a client that found the worker full should wait, in seconds.
const RETRY_AFTER_S: &str = "5";

/// Answers a request; an upgrade is left in the client for after the answer.
pub(super) async fn answer(client: &Rc<Client>, mut request: Request<Incoming>) -> Answer {
    let echo = client.worker.settings.router.echo;
    match request.uri().path() {
        "/ws" => upgrade(client, &mut request, Endpoint::Ws),
        "/echo" if echo => upgrade(client, &mut request, Endpoint::Echo),
        path if api::owns(path) => api::answer(client, request).await,
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        "/healthz" => health::alive(),
        "/readyz" => health::ready(&client.worker.board.missing()),
        path => page::file(path).unwrap_or_else(|| {
            text(StatusCode::NOT_FOUND, "not found; the chat is at / and the WebSocket at /ws")
        }),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Ws,
    Echo,
}

fn upgrade(client: &Rc<Client>, request: &mut Request<Incoming>, endpoint: Endpoint) -> Answer {
    let worker = &client.worker;
    let admitted = if worker.is_full() {
        Err(Refusal::full())
    } else {
        handshake::upgrade(request).and_then(|answer| {
            let admission = match endpoint {
                Endpoint::Ws => worker.doorkeeper().admit(request, client.peer)?,
                Endpoint::Echo => handshake::Admission::Echo,
            };
            Ok((answer, admission))
        })
    };
    match admitted {
        Ok((answer, admission)) => {
            *client.upgrade.borrow_mut() = Some((hyper::upgrade::on(request), admission));
            answer
        }
        Err(refusal) => {
            worker.metrics.handshake_failed(refusal.label);
            tracing::debug!(peer = %client.peer, status = refusal.status.as_u16(),
                why = %refusal.text, "upgrade refused");
            let mut answer = text(refusal.status, refusal.text);
            if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            if refusal.status == StatusCode::UPGRADE_REQUIRED {
                answer.headers_mut().extend(handshake::wanted());
            }
            answer
        }
    }
}
