//! Every mistake is answered as the reference server answers it.

use trunkline_config::settings::{Auth, JwtAlgorithm, JwtSettings};

use super::{polling, sid};
use crate::harness::{Raw, Request, Stage, request};

const UNKNOWN_TRANSPORT: &str = r#"{"code":0,"message":"Transport unknown"}"#;
const UNKNOWN_SESSION: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const BAD_HANDSHAKE: &str = r#"{"code":2,"message":"Bad handshake method"}"#;
const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;
const UNSUPPORTED: &str = r#"{"code":5,"message":"Unsupported protocol version"}"#;

#[tokio::test]
async fn mistakes_get_400_and_the_references_words() {
    let stage = Stage::set().await;
    let sid = sid();
    let other = format!("{}A", &sid[..42]);
    for (method, query, body) in [
        ("GET", String::new(), UNKNOWN_TRANSPORT),
        ("GET", "EIO=4&transport=tobi".to_owned(), UNKNOWN_TRANSPORT),
        ("GET", "EIO=4&transport=polling&sid=abc".to_owned(), UNKNOWN_SESSION),
        ("GET", format!("EIO=4&transport=polling&sid={other}"), UNKNOWN_SESSION),
        ("POST", "EIO=4&transport=polling".to_owned(), BAD_HANDSHAKE),
        ("PUT", "EIO=4&transport=polling".to_owned(), BAD_HANDSHAKE),
        ("GET", "EIO=4&transport=websocket".to_owned(), BAD_REQUEST),
        ("GET", format!("EIO=4&transport=websocket&sid={sid}"), BAD_REQUEST),
        ("GET", "EIO=3&transport=polling".to_owned(), UNSUPPORTED),
        ("GET", "transport=polling".to_owned(), UNSUPPORTED),
        ("GET", "EIO=4&transport=polling&user=%FF".to_owned(), BAD_REQUEST),
    ] {
        let path = format!("/socket.io/?{query}");
        let answer = Request::of(method, path).answer(stage.address()).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, body), "{method} {query}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let put = Request::of("PUT", polling(&sid)).answer(stage.address()).await;
    assert_eq!((put.status, put.header("allow")), (405, Some("get, post")));
}

#[tokio::test]
async fn an_upgrade_is_refused_in_plain_words() {
    let stage = Stage::set().await;
    for (query, words) in [
        ("EIO=4&transport=tobi", "Transport unknown"),
        ("EIO=4&transport=websocket&sid=abc", "Session ID unknown"),
        ("EIO=4&transport=polling", "Bad request"),
        ("EIO=3&transport=websocket", "Unsupported protocol version"),
    ] {
        let mut raw = Raw::connect(stage.address()).await;
        let path = format!("/socket.io/?{query}");
        raw.write(request(stage.address(), &path, "").as_bytes()).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with(words), "{answer}");
        assert!(answer.contains("content-type: text/html"), "{answer}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_believed_is_a_bad_request_and_opens_no_websocket() {
    let mut stage = Stage::set_with(|settings| {
        let key = b"a secret of the tests, long enough".to_vec();
        let algorithm = JwtAlgorithm::Hs256;
        settings.auth = Auth::Jwt(JwtSettings { algorithm, key, audience: None });
    })
    .await;
    let path = "/socket.io/?EIO=4&transport=polling&token=nonsense";
    let answer = Request::get(path).answer(stage.address()).await;
    assert_eq!((answer.status, answer.body.as_str()), (400, BAD_REQUEST));
    let path = "/socket.io/?EIO=4&transport=websocket&token=nonsense";
    let mut raw = Raw::connect(stage.address()).await;
    raw.write(request(stage.address(), path, "").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 400 "));
    assert_eq!(stage.metric("trunkline_handshake_failures_total{why=\"token\"}"), 2);

    // Without one the client may still give it to the core, and is nobody until then.
    let path = "/socket.io/?EIO=4&transport=websocket&user=alice";
    let _raw = Raw::upgrade(stage.address(), path).await;
    let attach = stage.trunk.attach().await;
    assert!(attach.guest && !attach.authenticated);
    assert!(attach.user.starts_with("guest-"), "{}", attach.user);
}

#[tokio::test]
async fn a_disabled_endpoint_is_not_there() {
    let stage = Stage::set_with(|settings| settings.socketio.enabled = false).await;
    let answer = Request::get(polling("")).answer(stage.address()).await;
    assert_eq!(answer.status, 404);
}
