//! Refusals as the reference server words them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use trunkline_proto::engine::Problem;

use crate::http::Answer;

/// To a request of a client that polls, or would.
pub(super) fn answer(problem: Problem) -> Answer {
    let mut answer = with_body(problem.status(), problem.body());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// To one for a WebSocket.
pub(super) fn upgrade(problem: Problem) -> Answer {
    let mut answer = with_body(400, problem.message());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// To a method that means nothing here.
pub(super) fn no_such_method(allowed: &'static str) -> Answer {
    let mut answer = bare(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// An answer with nothing but a status.
pub(super) fn bare(status: StatusCode) -> Answer {
    with_body(status.as_u16(), "")
}

pub(super) fn with_body(status: u16, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    answer
}
