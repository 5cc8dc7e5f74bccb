//! The interface for servers of the application, over HTTP unless it is said otherwise.

mod grpc;
mod openapi;
mod placement;

use serde_json::json;
use tokio::join;
use trunkline_config::Settings;
use trunkline_proto::api::{
    Acknowledgements, DisconnectReply, Error, HistoryReply, KeptMessage, PresenceReply,
    PublishReply, SendReply, UserPresence,
};
use trunkline_proto::trunk::{ApiCall, api_answer::What, api_call};

use crate::harness::{KEY, Raw, Stage, ask, ask_with, post, soon};

fn with_key(settings: &mut Settings) {
    settings.api.keys = vec!["another".to_owned(), KEY.to_owned()];
}

async fn stage() -> Stage {
    Stage::set_with(with_key).await
}

fn kept(offset: u64) -> What {
    What::Publish(PublishReply { epoch: "9k2f".to_owned(), offset, acknowledgements: None })
}

fn error(code: &str) -> What {
    What::Error(Error { code: code.to_owned(), message: "do something".to_owned() })
}

/// The event and the arguments of a call, which must publish or send.
fn said(call: &ApiCall) -> (String, String) {
    let message = match call.what.clone().expect("a call") {
        api_call::What::Publish(request) => request.message,
        api_call::What::Send(request) => request.message,
        other => panic!("no message: {other:?}"),
    };
    let message = message.expect("a message");
    (message.event, message.args)
}

#[tokio::test]
async fn without_keys_there_is_no_interface() {
    let stage = Stage::set().await;
    let answer = ask(stage.address(), "GET", "/api/v1/openapi.json").await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
    assert_eq!(post(stage.address(), "/api/v1/rooms/a/messages", "{}").await.status, 404);
}

#[tokio::test]
async fn who_has_no_key_is_told_to_send_one() {
    let stage = stage().await;
    let path = "/api/v1/rooms/a/presence";
    for wrong in ["", "Authorization: Bearer nope\r\n", "Authorization: Basic swordfish\r\n"] {
        let answer = ask_with(stage.address(), "GET", path, wrong, "").await;
        assert_eq!((answer.status, answer.code()), (401, "unauthenticated"));
        assert!(answer.head.contains("www-authenticate: Bearer"), "{}", answer.head);
    }
    let name = "trunkline_api_requests_total{interface=\"http\",outcome=\"unauthenticated\"}";
    stage.counts(name, 3).await;
}

#[tokio::test]
async fn a_message_goes_to_the_room_that_the_path_names() {
    let mut stage = stage().await;
    let address = stage.address();
    let body = r#"{"event":"note","data":{"n":1.50},"from":"alice","key":"k"}"#;
    let path = "/api/v1/rooms/caf%C3%A9%2F1/messages?namespace=/game";
    let (answer, ()) = join!(post(address, path, body), async {
        let call = stage.trunk.call().await;
        assert_eq!((call.request, call.session.len()), (1, 24));
        let Some(api_call::What::Publish(request)) = call.what else { panic!("no publish") };
        assert_eq!((request.namespace.as_str(), request.room.as_str()), ("/game", "café/1"));
        let message = request.message.expect("a message");
        assert_eq!((message.event.as_str(), message.args.as_str()), ("note", r#"[{"n":1.50}]"#));
        assert_eq!((message.from.as_str(), message.key.as_str()), ("alice", "k"));
        stage.trunk.answer(1, kept(58)).await;
    });
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json, json!({"room": "café/1", "epoch": "9k2f", "offset": 58}));
}

#[tokio::test]
async fn clients_are_asked_to_acknowledge() {
    let mut stage = stage().await;
    let address = stage.address();
    let body = r#"{"event":"question","args":["ready?",1],"ack_timeout":"5s"}"#;
    let (answer, ()) = join!(post(address, "/api/v1/rooms/*/messages", body), async {
        let call = stage.trunk.call().await;
        let Some(api_call::What::Publish(request)) = call.what else { panic!("no publish") };
        let message = request.message.expect("a message");
        assert_eq!((request.room.as_str(), message.ack_timeout_ms), ("*", 5000));
        assert_eq!(message.from, "server");
        let responses = vec![r#"["yes"]"#.to_owned(), "[]".to_owned()];
        let acknowledgements = Some(Acknowledgements { responses, asked: 3 });
        let reply = PublishReply { acknowledgements, ..PublishReply::default() };
        stage.trunk.answer(call.request, What::Publish(reply)).await;
    });
    let expected = json!({"room": "*", "acknowledgements": [["yes"], []], "asked": 3});
    assert_eq!(answer.json, expected);
}

#[tokio::test]
async fn a_batch_is_carried_out_in_order_and_each_message_has_its_result() {
    let mut stage = stage().await;
    let address = stage.address();
    let body = r#"{"messages":[{"event":"a","data":1},{"event":"b"},{"event":"c","args":[]}]}"#;
    let (answer, ()) = join!(post(address, "/api/v1/rooms/a/messages", body), async {
        let (first, second) = (stage.trunk.call().await, stage.trunk.call().await);
        assert_eq!(said(&first), ("a".to_owned(), "[1]".to_owned()));
        assert_eq!(said(&second), ("c".to_owned(), "[]".to_owned()));
        // Which is answered first changes nothing.
        stage.trunk.answer(second.request, error("unavailable")).await;
        stage.trunk.answer(first.request, kept(7)).await;
    });
    assert_eq!(answer.status, 200);
    let results = answer.json["results"].as_array().expect("results");
    assert_eq!(results[0], json!({"room": "a", "epoch": "9k2f", "offset": 7}));
    assert_eq!(results[1]["error"]["code"], "bad_request");
    assert_eq!(results[2]["error"]["code"], "unavailable");
    assert_eq!(results.len(), 3);
}

#[tokio::test]
async fn a_user_is_sent_to_and_disconnected() {
    let mut stage = stage().await;
    let address = stage.address();
    let body = r#"{"event":"note","data":1}"#;
    let (answer, ()) = join!(post(address, "/api/v1/users/alice/messages", body), async {
        let call = stage.trunk.call().await;
        let Some(api_call::What::Send(request)) = call.what else { panic!("no send") };
        assert_eq!(request.to, "alice");
        let reply = SendReply { status: "queued".to_owned() };
        stage.trunk.answer(call.request, What::Send(reply)).await;
    });
    assert_eq!(answer.json, json!({"to": "alice", "status": "queued"}));
    let (answer, ()) = join!(ask(address, "DELETE", "/api/v1/users/alice/connections"), async {
        let call = stage.trunk.call().await;
        let Some(api_call::What::Disconnect(request)) = call.what else { panic!("no end") };
        assert_eq!(request.user, "alice");
        let reply = DisconnectReply { connections: 2 };
        stage.trunk.answer(call.request, What::Disconnect(reply)).await;
    });
    assert_eq!(answer.json, json!({"user": "alice", "connections": 2}));
}

#[tokio::test]
async fn a_room_is_read() {
    let mut stage = stage().await;
    let address = stage.address();
    let path = "/api/v1/rooms/a/history?after=5&before=9&limit=3";
    let (answer, ()) = join!(ask(address, "GET", path), async {
        let call = stage.trunk.call().await;
        let Some(api_call::What::History(request)) = call.what else { panic!("no history") };
        assert_eq!((request.after, request.before, request.limit), (Some(5), Some(9), 3));
        let message = |offset, args: &str| KeptMessage {
            offset,
            time_ms: 1,
            from: "alice".to_owned(),
            event: "note".to_owned(),
            args: args.to_owned(),
        };
        let messages = vec![message(6, "[1.50]"), message(7, "[]")];
        let reply = HistoryReply { epoch: "9k2f".to_owned(), messages };
        stage.trunk.answer(call.request, What::History(reply)).await;
    });
    let first = json!({"offset": 6, "time": 1, "from": "alice", "event": "note", "data": 1.50});
    assert_eq!(answer.json["messages"][0], first);
    assert_eq!(answer.json["messages"][1]["args"], json!([]));
    let (answer, ()) = join!(ask(address, "GET", "/api/v1/rooms/a/presence?after=al%20"), async {
        let call = stage.trunk.call().await;
        let Some(api_call::What::Presence(request)) = call.what else { panic!("no presence") };
        assert_eq!((request.after.as_str(), request.limit), ("al ", 1000));
        let users = vec![UserPresence { user: "bob".to_owned(), connections: 2 }];
        let reply = PresenceReply { users, sure: false };
        stage.trunk.answer(call.request, What::Presence(reply)).await;
    });
    let users = json!([{"user": "bob", "connections": 2}]);
    assert_eq!(answer.json, json!({"room": "a", "users": users, "sure": false}));
}

#[tokio::test]
async fn a_shards_refusal_has_a_fitting_status() {
    let mut stage = stage().await;
    let address = stage.address();
    for (code, status) in
        [("rate_limited", 429), ("unavailable", 503), ("too_large", 413), ("unknown_type", 400)]
    {
        let (answer, ()) = join!(ask(address, "GET", "/api/v1/rooms/a/presence"), async {
            let call = stage.trunk.call().await;
            stage.trunk.answer(call.request, error(code)).await;
        });
        assert_eq!((answer.status, answer.code()), (status, code));
        assert_eq!(answer.head.contains("retry-after"), [429, 503].contains(&status));
    }
}

#[tokio::test]
async fn an_answer_to_something_else_is_not_passed_on() {
    let mut stage = stage().await;
    let address = stage.address();
    let (answer, ()) = join!(ask(address, "GET", "/api/v1/rooms/a/presence"), async {
        let call = stage.trunk.call().await;
        stage.trunk.answer(call.request + 1, kept(1)).await;
        stage.trunk.answer(call.request, kept(2)).await;
    });
    assert_eq!((answer.status, answer.code()), (500, "internal"));
}

#[tokio::test]
async fn a_trunk_that_breaks_answers_what_waits() {
    let Stage { router, mut shard, mut trunk, .. } = stage().await;
    let address = router.local_addr();
    let body = r#"{"messages":[{"event":"a","data":1},{"event":"b","data":1}]}"#;
    let (answer, ()) = join!(post(address, "/api/v1/rooms/a/messages", body), async {
        trunk.call().await;
        drop(trunk);
    });
    for result in answer.json["results"].as_array().expect("results") {
        assert_eq!(result["error"]["code"], "unavailable");
    }
    // The numbers count on when the trunk is back.
    let mut trunk = shard.trunk().await;
    let answer = soon("an answer", async {
        loop {
            let asked = ask(address, "GET", "/api/v1/rooms/a/presence");
            tokio::select! {
                answer = asked => assert_eq!(answer.status, 503),
                call = trunk.call() => break call,
            }
        }
    })
    .await;
    assert!(answer.request > 2);
}

#[tokio::test]
async fn without_a_trunk_the_caller_is_told_to_come_again() {
    let shard = crate::harness::FakeShard::start().await;
    let gone = shard.stop().await;
    let router = crate::harness::start(&prometheus::Registry::new(), gone, with_key).await;
    let answer = ask(router.local_addr(), "GET", "/api/v1/rooms/a/presence").await;
    assert_eq!((answer.status, answer.code()), (503, "unavailable"));
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
}

#[tokio::test]
async fn a_shard_that_does_not_answer_in_time_gets_504() {
    let stage = stage().await;
    let mut raw = Raw::connect(stage.address()).await;
    let request = format!(
        "GET /api/v1/rooms/a/presence HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    raw.write(request.as_bytes()).await;
    // Just before the harness loses its own patience.
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 504 "));
}

#[tokio::test]
async fn what_breaks_a_rule_is_answered_with_what_to_do() {
    let stage = stage().await;
    let address = stage.address();
    let long = "x".repeat(257);
    let large = format!(r#"{{"event":"e","data":"{}"}}"#, "x".repeat(65_536));
    let many = format!(r#"{{"messages":[{}]}}"#, ["1"; 101].join(","));
    let room = "/api/v1/rooms/a/messages";
    let good = r#"{"event":"e","data":1}"#;
    let posts: [(&str, &str, u16); 12] = [
        (room, "", 400),
        (room, "[]", 400),
        (room, r#"{"event":"connect","data":1}"#, 400),
        (room, r#"{"event":"e","data":1,"from":"~a"}"#, 400),
        (room, r#"{"messages":[]}"#, 400),
        (room, &many, 413),
        (room, &large, 413),
        ("/api/v1/rooms/%00/messages", good, 400),
        ("/api/v1/rooms/%FF/messages", good, 400),
        ("/api/v1/rooms//messages", good, 400),
        (&format!("/api/v1/rooms/{long}/messages"), good, 400),
        ("/api/v1/users/~short/messages", good, 400),
    ];
    for (path, body, status) in posts {
        let answer = post(address, path, body).await;
        assert_eq!(answer.status, status, "{path} {body:.40}: {}", answer.json);
        assert!(!answer.json["error"]["message"].as_str().expect("words").is_empty());
    }
    for (method, path, status) in [
        ("GET", "/api/v1/users/alice/history", 404),
        ("GET", "/api/v1/rooms/a/messages", 405),
        ("GET", "/api/v1/rooms/a/history?limit=1001", 400),
        ("GET", "/api/v1/rooms/a/history?after=x", 400),
        ("GET", "/api/v1/rooms/a/presence?after=~x", 400),
        ("DELETE", "/api/v1/users/~x/connections", 400),
        ("DELETE", "/api/v1/users/a/connections?namespace=/", 400),
    ] {
        let answer = ask(address, method, path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.head.contains("allow: POST"), status == 405);
    }
}

#[tokio::test]
async fn a_body_is_bounded_before_it_is_read() {
    let stage = stage().await;
    let room = "/api/v1/rooms/a/messages";
    let head = format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
    // Nothing of it is ever sent.
    let announced = format!("{head}Content-Length: 2000000\r\n");
    assert_eq!(ask_with(stage.address(), "POST", room, &announced, "").await.status, 413);
    let chunk = format!("{:x}\r\n{}\r\n", 500_000, "x".repeat(500_000)).repeat(3) + "0\r\n\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n");
    assert_eq!(ask_with(stage.address(), "POST", room, &chunked, &chunk).await.status, 413);
    let form = format!("Authorization: Bearer {KEY}\r\nContent-Length: 0\r\n");
    let answer = ask_with(stage.address(), "POST", room, &form, "").await;
    assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"));
}

#[tokio::test]
async fn a_caller_keeps_its_connection() {
    let mut stage = stage().await;
    let mut raw = Raw::connect(stage.address()).await;
    for _ in 0..2 {
        let request = format!(
            "GET /api/v1/rooms/a/presence HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        );
        raw.write(request.as_bytes()).await;
        let call = stage.trunk.call().await;
        stage.trunk.answer(call.request, error("forbidden")).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 403 "));
        raw.skip_body(br#"{"error":{"code":"forbidden","message":"do something"}}"#.len()).await;
    }
}
