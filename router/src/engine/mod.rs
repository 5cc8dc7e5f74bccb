//! Engine.IO protocol 4, where Socket.IO clients come in: by polling, whose requests are passed on
//! to the session's shard one by one, or by a WebSocket.
//!
//! Any router takes any request: a `sid` says where its session belongs, and the shard there has
//! what there is of the session. What messages say is the core's business. Answers are those of
//! the reference server, mistakes included where clients see them.

mod body;
mod cors;
mod library;
mod polling;
mod post;
mod problem;
mod query;
mod uplink;
mod verify;
mod way;

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, UPGRADE};
use hyper::{Method, Request};
use trunkline_config::settings::SocketIo;
use trunkline_proto::engine::Problem;
use trunkline_proto::trunk::{Attach, Dialect};

use crate::handshake::Admission;
use crate::http::{Answer, Client, upgrade};
pub(crate) use library::Library;
use query::Query;
pub(crate) use uplink::Uplink;
use verify::{Target, verify};

/// Whether a path is served here.
pub(crate) fn serves(settings: &SocketIo, path: &str) -> bool {
    settings.enabled
        && (path == settings.path
            || Some(path) == settings.path.strip_suffix('/')
            || path.strip_prefix(settings.path.as_str()).is_some_and(library::is_name))
}

/// Answers a request; an upgrade is left in the client for after the answer.
pub(crate) async fn answer(client: &Rc<Client>, request: Request<Incoming>) -> Answer {
    let worker = &client.worker;
    if worker.doorkeeper().check_origin(request.headers()).is_err() {
        worker.metrics.handshake_failed("origin");
        return problem::answer(Problem::Forbidden);
    }
    if *request.method() == Method::OPTIONS {
        return cors::preflight(request.headers());
    }
    let cors = cors::headers(request.headers());
    let path = request.uri().path();
    let mut answer = match path.strip_prefix(worker.settings.socketio.path.as_str()) {
        Some(name) if library::is_name(name) => worker.client_library.answer(request.method()),
        _ => session(client, request).await,
    };
    answer.headers_mut().extend(cors);
    answer
}

/// Some clients offer HTTP/2 with every request.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let value = headers.get(UPGRADE);
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

async fn session(client: &Rc<Client>, mut request: Request<Incoming>) -> Answer {
    let worker = &client.worker;
    let upgrades = asks_for_websocket(request.headers());
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let target =
        match verify(&worker.settings.socketio, request.method(), upgrades, &query, |sid| {
            worker.doorkeeper().unseal(sid)
        }) {
            Ok(target) => target,
            Err(problem) => {
                worker.metrics.handshake_failed("engine");
                return if upgrades { problem::upgrade(problem) } else { problem::answer(problem) };
            }
        };
    if !upgrades {
        return polling::answer(client, request, target).await;
    }
    upgrade(client, &mut request, None, |request| match target {
        Target::New => worker.doorkeeper().admit(request, client.peer, Dialect::SocketIo),
        Target::Session(session) => {
            let dialect = Dialect::SocketIo.into();
            let attach = Attach { session, dialect, upgrade: true, ..Attach::default() };
            Ok(Admission::Attach(Box::new(attach)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_served_with_and_without_its_last_slash() {
        let settings = SocketIo::default();
        for path in ["/socket.io/", "/socket.io", "/socket.io/socket.io.js"] {
            assert!(serves(&settings, path), "{path}");
        }
        for path in ["/", "/socket", "/socket.io/other", "/socket.iox", "/engine.io/"] {
            assert!(!serves(&settings, path), "{path}");
        }
        let disabled = SocketIo { enabled: false, ..settings };
        assert!(!serves(&disabled, "/socket.io/"));
    }
}
