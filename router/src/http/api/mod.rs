//! The interface for servers of the application over HTTP, under `/api/v1`.
//!
//! It turns paths, queries and JSON into what `api.proto` has, and the answers back. What is
//! allowed, and what is done, is decided in [`crate::api`]. There is no CORS here: a key in a page
//! would be everybody's.

mod body;
mod path;
mod query;
mod reply;
mod request;
mod route;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use trunkline_proto::api::{DisconnectRequest, HistoryRequest, PresenceRequest};

use super::{Answer, Client};
use crate::api::problem::code;
use crate::api::{Problem, keys, longest_body};
use crate::metrics::Interface;
use query::Query;
use route::{Found, Operation};

/// What the interface is, for machines: OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("openapi.json");
/// Says where the description is.
const ROOT: &str = r#"{"name":"trunkline","openapi":"/api/v1/openapi.json"}"#;
/// How long a caller should wait when its shard can't be asked, in seconds.
const RETRY_AFTER_S: &str = "1";

/// Whether a path is one of the interface's.
pub(super) fn owns(path: &str) -> bool {
    path.strip_prefix(route::BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request, in JSON whatever becomes of it.
pub(super) async fn answer(client: &Client, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let outcome = serve(client, request).await;
    let label = outcome.as_ref().map_or_else(Problem::label, |_| "ok");
    client.worker.metrics.api_request(Interface::Http, label);
    match outcome {
        Ok(json) => answer_with(StatusCode::OK, json),
        Err(problem) => refuse(&problem, &path),
    }
}

async fn serve(client: &Client, request: Request<Incoming>) -> Result<Bytes, Problem> {
    if client.worker.settings.api.keys.is_empty() {
        return Err(Problem::new(code::NOT_FOUND, "this is off; set api.keys to turn it on"));
    }
    let Found { operation, name } = route::find(request.method(), request.uri().path())?;
    match operation {
        Operation::Root => return Ok(Bytes::from_static(ROOT.as_bytes())),
        Operation::Describe => return Ok(Bytes::from_static(DESCRIPTION.as_bytes())),
        _ => {}
    }
    let worker = &client.worker;
    keys::check(&worker.settings.api.keys, request.headers())?;
    client.stay();
    let api = &worker.api;
    let _seat = api.seat()?;
    let name = path::decode(name)?;
    let query = Query::parse(request.uri().query().unwrap_or_default(), operation.parameters())?;
    let namespace = query.namespace.clone();
    match operation {
        Operation::Publish => {
            let body = body::read(request, longest_body(worker.settings.limits.message)).await?;
            let request::Messages { messages, batch } = request::read(&body)?;
            let outcomes = api.publish(&namespace, &name, messages).await?;
            reply::each(outcomes, batch, |reply| reply::published(&name, reply))
        }
        Operation::Send => {
            let body = body::read(request, longest_body(worker.settings.limits.message)).await?;
            let request::Messages { messages, batch } = request::read(&body)?;
            let outcomes = api.send(&name, messages).await?;
            reply::each(outcomes, batch, |reply| reply::sent(&name, reply))
        }
        Operation::History => {
            let (after, before) = (query.after_offset()?, query.before);
            let asked =
                HistoryRequest { namespace, room: name.clone(), after, before, limit: query.limit };
            reply::history(&name, api.history(asked).await?)
        }
        Operation::Presence => {
            let after = query.after.unwrap_or_default();
            let asked =
                PresenceRequest { namespace, room: name.clone(), after, limit: query.limit };
            reply::presence(&name, api.presence(asked).await?)
        }
        Operation::Disconnect => {
            let reply = api.disconnect(DisconnectRequest { user: name.clone() }).await?;
            reply::disconnected(&name, &reply)
        }
        // They were answered above.
        Operation::Root | Operation::Describe => Err(Problem::internal()),
    }
}

fn answer_with(status: StatusCode, json: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(json));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn refuse(problem: &Problem, path: &str) -> Answer {
    let mut answer = answer_with(status(problem), reply::problem(problem));
    let status = answer.status();
    let headers = answer.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            if let Ok(methods) = HeaderValue::from_str(&route::methods(path)) {
                headers.insert(ALLOW, methods);
            }
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        _ => {}
    }
    answer
}

fn status(problem: &Problem) -> StatusCode {
    match problem.code.as_ref() {
        code::UNAUTHENTICATED => StatusCode::UNAUTHORIZED,
        code::FORBIDDEN => StatusCode::FORBIDDEN,
        code::NOT_FOUND => StatusCode::NOT_FOUND,
        code::METHOD => StatusCode::METHOD_NOT_ALLOWED,
        code::TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        code::MEDIA_TYPE => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        code::RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
        code::UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        code::TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
        code::INTERNAL => StatusCode::INTERNAL_SERVER_ERROR,
        // Whatever else a shard finds fault with is the request's.
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_base_are_the_interfaces() {
        for path in ["/api/v1", "/api/v1/", "/api/v1/rooms/a/messages", "/api/v1/nothing"] {
            assert!(owns(path), "{path}");
        }
        for path in ["/", "/api", "/api/v10", "/api/v2/rooms", "/socket.io/"] {
            assert!(!owns(path), "{path}");
        }
    }

    #[test]
    fn a_code_that_only_shards_know_is_a_bad_request() {
        let problem = Problem::new("unknown_type", "x");
        assert_eq!(status(&problem), StatusCode::BAD_REQUEST);
    }
}
