//! The server's side of the opening handshake (RFC 6455 §4.2).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, Response};
use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::server::create_response_with_body;

use super::Refusal;

/// The native protocol's name, offered back to who asks for it.
pub(crate) const SUBPROTOCOL: &str = "trunkline.v1";

/// Checks the request and makes the 101 that accepts it, with the subprotocol that is spoken if
/// the client has asked for it.
///
/// # Errors
/// A [`Refusal`]: 426 for another version of WebSocket, 400 for everything else.
pub(crate) fn upgrade<B>(
    request: &Request<B>,
    subprotocol: Option<&'static str>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    // Two of one of these would be read differently by different proxies.
    for name in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION] {
        if request.headers().get_all(&name).iter().count() > 1 {
            return Err(Refusal::bad_request(format!("send {name} once")));
        }
    }
    let mut answer =
        create_response_with_body(request, Full::default).map_err(|error| refusal(&error))?;
    if let Some(name) = subprotocol.filter(|name| asks_for(request.headers(), name)) {
        let name = HeaderValue::from_static(name);
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(answer)
}

/// The headers of a 426: what would be accepted.
pub(crate) fn wanted() -> [(HeaderName, HeaderValue); 2] {
    [
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (UPGRADE, HeaderValue::from_static("websocket")),
    ]
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            Refusal::wrong_version()
        }
        Error::Protocol(ProtocolError::WrongHttpMethod) => {
            Refusal::bad_request("a WebSocket is opened with GET")
        }
        Error::Protocol(ProtocolError::WrongHttpVersion) => {
            Refusal::bad_request("a WebSocket is opened over HTTP/1.1")
        }
        Error::Protocol(ProtocolError::MissingConnectionUpgradeHeader) => {
            Refusal::bad_request("this is a WebSocket's address: send `Connection: Upgrade`")
        }
        Error::Protocol(ProtocolError::MissingUpgradeWebSocketHeader) => {
            Refusal::bad_request("this is a WebSocket's address: send `Upgrade: websocket`")
        }
        _ => Refusal::bad_request("Sec-WebSocket-Key must be 16 bytes in base64"),
    }
}

fn asks_for(headers: &HeaderMap, subprotocol: &str) -> bool {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == subprotocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;
    use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT};
    use hyper::http::request::Builder;

    /// The example of RFC 6455 §1.3.
    fn request() -> Builder {
        Request::get("/ws")
            .header(CONNECTION, "keep-alive, Upgrade")
            .header(UPGRADE, "WebSocket")
            .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
            .header(SEC_WEBSOCKET_VERSION, "13")
    }

    fn outcome(request: Builder) -> Result<Response<Full<Bytes>>, StatusCode> {
        upgrade(&request.body(()).expect("a request"), Some(SUBPROTOCOL))
            .map_err(|refusal| refusal.status)
    }

    fn without(name: HeaderName) -> Builder {
        let mut request = request();
        request.headers_mut().expect("headers").remove(name);
        request
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let answer = outcome(request()).expect("accepted");
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!answer.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn the_subprotocol_is_offered_back_to_who_asks() {
        let answer = outcome(request().header(SEC_WEBSOCKET_PROTOCOL, "chat, trunkline.v1"));
        assert_eq!(answer.expect("accepted").headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
        let other = outcome(request().header(SEC_WEBSOCKET_PROTOCOL, "chat"));
        assert!(!other.expect("accepted").headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn what_is_no_handshake_is_a_bad_request() {
        for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY] {
            assert_eq!(outcome(without(name)).map(|_| ()), Err(StatusCode::BAD_REQUEST));
        }
        let cases = [
            request().method("POST"),
            request().version(hyper::Version::HTTP_10),
            request().header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            without(SEC_WEBSOCKET_KEY).header(SEC_WEBSOCKET_KEY, "c2hvcnQ="),
        ];
        for case in cases {
            assert_eq!(outcome(case).map(|_| ()), Err(StatusCode::BAD_REQUEST));
        }
    }

    #[test]
    fn another_version_is_told_which_one_is_spoken() {
        let other = without(SEC_WEBSOCKET_VERSION).header(SEC_WEBSOCKET_VERSION, "8");
        assert_eq!(outcome(other).map(|_| ()), Err(StatusCode::UPGRADE_REQUIRED));
        let none = without(SEC_WEBSOCKET_VERSION);
        assert_eq!(outcome(none).map(|_| ()), Err(StatusCode::UPGRADE_REQUIRED));
    }
}
