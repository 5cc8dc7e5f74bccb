//! What lets pages of other origins read the answers (the Fetch standard, "CORS protocol"), as the
//! reference server's library says it. Which origins may is checked before.

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};

use super::problem;
use crate::http::Answer;

const METHODS: &str = "GET,HEAD,PUT,PATCH,POST,DELETE";

/// What goes with an answer to a request with an Origin that is allowed.
pub(super) fn headers(request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(origin) = request.get(ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
    headers
}

/// The answer to a browser that asks before it sends a request.
pub(super) fn preflight(request: &HeaderMap) -> Answer {
    let mut answer = problem::bare(StatusCode::NO_CONTENT);
    let mut headers = headers(request);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
    if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    *answer.headers_mut() = headers;
    answer
}
