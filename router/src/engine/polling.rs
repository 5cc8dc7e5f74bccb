//! Requests of clients that poll: each is passed on to its session's shard, and answered with what
//! the shard says.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use trunkline_proto::engine::Problem;
use trunkline_proto::trunk::poll_request::What;
use trunkline_proto::trunk::{Dialect, Nothing, PollAnswer};

use super::verify::Target;
use super::way::Way;
use super::{post, problem};
use crate::handshake::{Admission, Refusal};
use crate::http::{Answer, Client, come_back, text};
use crate::metrics::Polls;

const PLAIN: &str = "text/plain; charset=UTF-8";
/// Some browsers would offer plain text for download.
pub(super) const HTML: &str = "text/html";

/// Counts a request whose client hangs up while it waits.
struct Waiting<'a> {
    polls: &'a Polls,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.polls.abandoned.inc();
        }
    }
}

pub(super) async fn answer(
    client: &Rc<Client>,
    request: Request<Incoming>,
    target: Target,
) -> Answer {
    let metrics = &client.worker.metrics;
    let mut waiting = Waiting { polls: &metrics.polls, answered: false };
    let answer = match (request.method(), target) {
        (_, Target::New) => open(client, &request).await,
        (&Method::GET, Target::Session(session)) => {
            let _seat = client.worker.poll_seat();
            ask(client, session, What::Poll(Nothing {}), PLAIN).await
        }
        (&Method::POST, Target::Session(session)) => post::answer(client, request, session).await,
        // The reference fails at it, which is nothing to imitate.
        _ => problem::no_such_method("GET, POST"),
    };
    waiting.answered = true;
    match answer.status() {
        status if status.is_success() => metrics.polls.answered.inc(),
        StatusCode::SERVICE_UNAVAILABLE => metrics.polls.unavailable.inc(),
        _ => metrics.polls.refused.inc(),
    }
    answer
}

async fn open(client: &Rc<Client>, request: &Request<Incoming>) -> Answer {
    let worker = &client.worker;
    if worker.is_full() {
        let Refusal { label, text, .. } = Refusal::full();
        worker.metrics.handshake_failed(label);
        return unavailable(text);
    }
    match worker.doorkeeper().admit(request, client.peer, Dialect::SocketIo) {
        Ok(Admission::Attach(attach)) => {
            let session = attach.session.clone();
            ask(client, session, What::Open(*attach), PLAIN).await
        }
        Ok(_) => refused(client, "token"),
        Err(refusal) => refused(client, refusal.label),
    }
}

/// Passes a request on to the shard where its session is. A good answer is of the content type
/// given.
pub(super) async fn ask(
    client: &Client,
    session: Bytes,
    what: What,
    content: &'static str,
) -> Answer {
    let patience = patience(client);
    client.lifetime.extend(patience);
    let mut way = Way::new(&client.worker, &session);
    let mut next = way.begin().await;
    while let Some(trunk) = next {
        client.lifetime.extend(patience);
        let answered = match &what {
            What::Poll(_) => {
                trunk.poll(session.clone(), client.worker.phases.clone(), patience).await
            }
            what => trunk.ask(session.clone(), what.clone(), patience).await,
        };
        match answered {
            Some(PollAnswer { moved: Some(shard), .. }) => next = way.go_on(&shard).await,
            answered => return pass_back(client, answered, content),
        }
    }
    pass_back(client, None, content)
}

/// Passes back what the shard has said.
pub(super) fn pass_back(
    client: &Client,
    answered: Option<PollAnswer>,
    content: &'static str,
) -> Answer {
    let Some(answered) = answered else {
        return unavailable("the service restarts; come back");
    };
    client.lifetime.extend(Duration::ZERO);
    let PollAnswer { request: _, status, body, moved: _ } = answered;
    let status = u16::try_from(status).unwrap_or(0);
    if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
        return unavailable("this shard has all the sessions it may have; try again later");
    }
    let is_empty = body.is_empty();
    let mut answer = problem::with_body(status, body);
    let is_good = answer.status().is_success();
    let headers = answer.headers_mut();
    if is_good {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else if !is_empty {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    answer
}

/// The shard says something at least as often as it pings, or ends the session.
pub(super) fn patience(client: &Client) -> Duration {
    let socketio = &client.worker.settings.socketio;
    socketio.ping_interval + socketio.ping_timeout
}

fn refused(client: &Client, label: &'static str) -> Answer {
    client.worker.metrics.handshake_failed(label);
    problem::answer(Problem::BadRequest)
}

pub(super) fn no_such_shard() -> Answer {
    unavailable("no such shard")
}

fn unavailable(why: impl Into<String>) -> Answer {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, why);
    come_back(&mut answer);
    answer
}
