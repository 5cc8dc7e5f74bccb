//! The checks of a request, in the reference server's order.

use bytes::Bytes;
use hyper::Method;
use trunkline_config::settings::SocketIo;
use trunkline_proto::engine::Problem;

use super::query::Query;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A session that is to begin.
    New,
    /// One that there was, at least.
    Session(Bytes),
}

/// Checks a request. `upgrades` when it asks for a WebSocket; `unseal` says which session a `sid`
/// names.
///
/// # Errors
/// The reference's [`Problem`]. Whether the session still is there only its shard knows.
pub(super) fn verify(
    settings: &SocketIo,
    method: &Method,
    upgrades: bool,
    query: &Query,
    unseal: impl FnOnce(&str) -> Option<Bytes>,
) -> Result<Target, Problem> {
    let websocket = match query.transport.as_deref() {
        Some("polling") if settings.polling => false,
        Some("websocket") => true,
        _ => return Err(Problem::UnknownTransport),
    };
    if let Some(sid) = &query.sid {
        let session = unseal(sid).ok_or(Problem::UnknownSession)?;
        // Nobody polls who has changed to a WebSocket, or asks for one in order to poll. Another
        // version's session can't be here.
        if websocket != upgrades || query.protocol.as_deref() != Some("4") {
            return Err(Problem::BadRequest);
        }
        return Ok(Target::Session(session));
    }
    if *method != Method::GET {
        return Err(Problem::BadHandshakeMethod);
    }
    if websocket != upgrades {
        return Err(Problem::BadRequest);
    }
    if query.protocol.as_deref() != Some("4") {
        return Err(Problem::UnsupportedProtocol);
    }
    Ok(Target::New)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(method: &Method, upgrades: bool, query: &str) -> Result<Target, Problem> {
        let settings = SocketIo::default();
        verify(&settings, method, upgrades, &Query::parse(query), |sid| {
            (sid == "known").then(|| Bytes::from_static(b"session"))
        })
    }

    #[test]
    fn mistakes_are_found_in_the_references_order() {
        let get = |query| outcome(&Method::GET, false, query);
        assert_eq!(get(""), Err(Problem::UnknownTransport));
        assert_eq!(get("transport=tobi&sid=x"), Err(Problem::UnknownTransport));
        assert_eq!(get("transport=polling&sid=x"), Err(Problem::UnknownSession));
        assert_eq!(get("transport=websocket&sid=known"), Err(Problem::BadRequest));
        assert_eq!(get("transport=websocket&EIO=4"), Err(Problem::BadRequest));
        assert_eq!(get("transport=polling&EIO=3&sid=known"), Err(Problem::BadRequest));
        assert_eq!(get("transport=polling&sid=known"), Err(Problem::BadRequest));
        assert_eq!(get("transport=polling&EIO=3"), Err(Problem::UnsupportedProtocol));
        let post = outcome(&Method::POST, false, "transport=polling&EIO=3");
        assert_eq!(post, Err(Problem::BadHandshakeMethod));
        let upgrade = outcome(&Method::GET, true, "transport=polling&EIO=4");
        assert_eq!(upgrade, Err(Problem::BadRequest));
    }

    #[test]
    fn what_has_none_begins_a_session_or_is_about_one() {
        let new = |upgrades, query| outcome(&Method::GET, upgrades, query);
        assert_eq!(new(false, "transport=polling&EIO=4&sid="), Ok(Target::New));
        assert_eq!(new(true, "transport=websocket&EIO=4"), Ok(Target::New));
        let known = Ok(Target::Session(Bytes::from_static(b"session")));
        assert_eq!(outcome(&Method::PUT, false, "transport=polling&EIO=4&sid=known"), known);
        assert_eq!(new(true, "transport=websocket&EIO=4&sid=known"), known);
    }

    #[test]
    fn polling_can_be_switched_off() {
        let settings = SocketIo { polling: false, ..SocketIo::default() };
        let query = Query::parse("transport=polling&EIO=4");
        let outcome = verify(&settings, &Method::GET, false, &query, |_| None);
        assert_eq!(outcome, Err(Problem::UnknownTransport));
    }
}
