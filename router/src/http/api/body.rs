//! Reading a request's body: so much, and in time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use tokio::time::timeout;

use crate::api::Problem;
use crate::api::problem::code;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);
const JSON: &str = "application/json";

/// Reads a body of JSON of at most `longest` bytes. One that says to be longer is not begun with.
///
/// # Errors
/// `unsupported_media_type`, `too_large`, or `bad_request` if it doesn't come in time.
pub(super) async fn read(request: Request<Incoming>, longest: usize) -> Result<Bytes, Problem> {
    check_type(request.headers())?;
    let too_large = || Problem::too_large(format!("a body may have {longest} bytes; send less"));
    let body = request.into_body();
    if body.size_hint().lower() > longest as u64 {
        return Err(too_large());
    }
    match timeout(PATIENCE, Limited::new(body, longest).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad("the body ended before it was complete")),
        Err(_) => Err(Problem::bad("the body did not come in time; send it at once")),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(JSON)) {
        let why = "send JSON, with `Content-Type: application/json`";
        return Err(Problem::new(code::MEDIA_TYPE, why));
    }
    let encoding = headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let why = "send the body as it is, with no `Content-Encoding`";
        return Err(Problem::new(code::MEDIA_TYPE, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn is_taken(kind: Option<&'static str>, encoding: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        kind.map(|kind| headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind)));
        encoding.map(|it| headers.insert(CONTENT_ENCODING, HeaderValue::from_static(it)));
        check_type(&headers).is_ok()
    }

    #[test]
    fn only_plain_json_is_taken() {
        assert!(is_taken(Some("application/json"), None));
        assert!(is_taken(Some("Application/JSON; charset=utf-8"), Some("identity")));
        assert!(!is_taken(None, None));
        assert!(!is_taken(Some("application/x-www-form-urlencoded"), None));
        assert!(!is_taken(Some("application/json"), Some("gzip")));
    }
}
