//! What browsers need: CORS, and the client library.

use std::io::Write as _;

use trunkline_config::settings::AllowedOrigins;

use super::{polling, sid};
use crate::harness::{Answered, Raw, Request, Stage, answer, request};

const APP: &str = "https://app.example";

async fn listed() -> Stage {
    Stage::set_with(|settings| {
        settings.router.allowed_origins = AllowedOrigins::Listed(vec![APP.to_owned()]);
    })
    .await
}

#[tokio::test]
async fn pages_of_an_allowed_origin_may_read_the_answers() {
    let mut stage = listed().await;
    let asked = Request::get(polling(&sid())).header("Origin", APP).send(stage.address()).await;
    let poll = stage.trunk.poll().await;
    stage.trunk.batch(vec![answer(poll.request, 200, "6")]).await;
    let answered = Answered::read(asked).await;
    let wrong = Request::get("/socket.io/").header("Origin", APP).answer(stage.address()).await;
    for answered in [answered, wrong] {
        assert_eq!(answered.header("access-control-allow-origin"), Some(APP));
        assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answered.header("vary"), Some("origin"));
    }
    let plain = Request::get("/socket.io/").answer(stage.address()).await;
    assert_eq!(plain.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn browsers_that_ask_first_are_told() {
    let stage = listed().await;
    let asked = Request::of("OPTIONS", polling(""))
        .header("Origin", APP)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type,x-mine");
    let answer = asked.answer(stage.address()).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    let methods = answer.header("access-control-allow-methods");
    assert_eq!(methods, Some("get,head,put,patch,post,delete"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type,x-mine"));
}

#[tokio::test]
async fn pages_of_another_origin_are_forbidden() {
    let stage = listed().await;
    let evil = "https://evil.example";
    for method in ["GET", "OPTIONS"] {
        let asked = Request::of(method, polling("")).header("Origin", evil);
        let answer = asked.answer(stage.address()).await;
        let body = r#"{"code":4,"message":"Forbidden"}"#;
        assert_eq!((answer.status, answer.body.as_str()), (403, body));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let mut raw = Raw::connect(stage.address()).await;
    let path = "/socket.io/?EIO=4&transport=websocket";
    let origin = format!("Origin: {evil}\r\n");
    raw.write(request(stage.address(), path, &origin).as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 403 "));
    assert_eq!(stage.metric("trunkline_handshake_failures_total{why=\"origin\"}"), 3);
}

#[tokio::test]
async fn the_library_comes_from_its_file_or_from_its_authors() {
    let stage = Stage::set().await;
    let answer = Request::get("/socket.io/socket.io.js").answer(stage.address()).await;
    assert_eq!(answer.status, 302);
    let published = "https://cdn.socket.io/4.8.1/socket.io.min.js";
    assert_eq!(answer.header("location"), Some(published));

    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"io = 1").expect("written");
    let path = file.path().to_owned();
    let stage = Stage::set_with(|settings| settings.socketio.client = Some(path)).await;
    for name in ["socket.io.js", "socket.io.min.js"] {
        let answer = Request::get(format!("/socket.io/{name}")).answer(stage.address()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "io = 1"));
        let content = answer.header("content-type");
        assert_eq!(content, Some("application/javascript; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
}
