//! Requests of clients that poll are passed on, and answered with what the shard says.

use std::time::Duration;

use trunkline_config::ShardKey;
use trunkline_proto::trunk::{
    Dialect, PollAnswer, PollGone, PollRequest, down, poll_request::What,
};

use super::{SESSION, polling, sid};
use crate::harness::{Answered, Client, FakeShard, Raw, Request, Stage, answer, map, soon, start};

/// What the next request posts.
async fn posted(stage: &mut Stage) -> (u64, String) {
    match stage.trunk.poll().await {
        PollRequest { request, what: Some(What::Post(body)), .. } => {
            (request, String::from_utf8(body.to_vec()).expect("text"))
        }
        other => panic!("not a post: {other:?}"),
    }
}

/// The number of the next request, which must be an announced post.
async fn announced(stage: &mut Stage) -> u64 {
    match stage.trunk.poll().await {
        PollRequest { request, what: Some(What::Posting(_)), session } => {
            assert_eq!(session[..], SESSION);
            request
        }
        other => panic!("no post is announced: {other:?}"),
    }
}

/// A post of 14 bytes whose last 9 are still to come.
async fn half_sent(stage: &mut Stage) -> (Raw, u64) {
    let half = Request::of("POST", polling(&sid())).header("Content-Length", "14");
    let mut raw = half.send(stage.address()).await;
    raw.write(b"4half").await;
    (raw, announced(stage).await)
}

#[tokio::test]
async fn a_handshake_is_placed_like_any_client_and_answered_by_the_shard() {
    let mut stage = Stage::set().await;
    for path in ["/socket.io/", "/socket.io"] {
        let path = format!("{path}?EIO=4&transport=polling&t=abc&user=alice");
        let asked = Request::get(path).send(stage.address()).await;
        let PollRequest { request, session, what } = stage.trunk.poll().await;
        let Some(What::Open(attach)) = what else { panic!("not a handshake: {what:?}") };
        let digest = map(stage.shard.address).digest(&ShardKey::User("alice"));
        assert_eq!(session[..8], digest.0.to_be_bytes());
        assert_eq!((attach.session.clone(), attach.connection), (session, 0));
        assert_eq!((attach.dialect(), attach.user.as_str()), (Dialect::SocketIo, "alice"));
        assert!(!attach.guest && !attach.authenticated && !attach.upgrade);
        stage.trunk.batch(vec![answer(request, 200, "0{}")]).await;
        let answered = Answered::read(asked).await;
        assert_eq!((answered.status, answered.body.as_str()), (200, "0{}"));
        assert_eq!(answered.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answered.header("cache-control"), Some("no-store"));
        assert_eq!(answered.header("content-length"), Some("3"));
    }
    let _asked = Request::get("/socket.io/?EIO=4&transport=polling").send(stage.address()).await;
    let what = stage.trunk.poll().await.what;
    assert!(matches!(what, Some(What::Open(attach)) if attach.guest));
}

#[tokio::test]
async fn polls_wait_for_their_own_answers() {
    let mut stage = Stage::set().await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        let raw = Request::get(polling(&sid())).send(stage.address()).await;
        let poll = stage.trunk.poll().await;
        assert_eq!(poll.session[..], SESSION);
        assert!(matches!(poll.what, Some(What::Poll(_))));
        asked.push((raw, poll.request));
    }
    // An answer that nobody waits for is nothing.
    let answers: Vec<_> = asked.iter().map(|(_, n)| answer(*n, 200, &format!("4{n}"))).collect();
    stage.trunk.batch(answers.into_iter().rev().chain([answer(99, 200, "4")]).collect()).await;
    for (raw, number) in asked {
        assert_eq!(Answered::read(raw).await.body, format!("4{number}"));
    }
    assert_eq!(stage.metric("trunkline_polling_requests_total{outcome=\"answered\"}"), 2);
}

#[tokio::test]
async fn a_post_is_passed_on_and_answered() {
    let mut stage = Stage::set().await;
    let asked = Request::post(polling(&sid()), "4hello\x1e3").send(stage.address()).await;
    let (request, body) = posted(&mut stage).await;
    assert_eq!(body, "4hello\x1e3");
    stage.trunk.batch(vec![answer(request, 200, "ok")]).await;
    let answered = Answered::read(asked).await;
    assert_eq!((answered.status, answered.body.as_str()), (200, "ok"));
    assert_eq!(answered.header("content-type"), Some("text/html"));
    assert_eq!(answered.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn what_the_shard_refuses_is_refused() {
    let mut stage = Stage::set().await;
    let refusal = r#"{"code":1,"message":"Session ID unknown"}"#;
    for (status, body, content) in
        [(400, refusal, Some("application/json")), (400, "", None), (503, "", None)]
    {
        let asked = Request::get(polling(&sid())).send(stage.address()).await;
        let request = stage.trunk.poll().await.request;
        stage.trunk.batch(vec![answer(request, status, body)]).await;
        let answered = Answered::read(asked).await;
        assert_eq!(u32::from(answered.status), status);
        if status == 503 {
            assert!(answered.header("retry-after").is_some());
        } else {
            assert_eq!((answered.body.as_str(), answered.header("content-type")), (body, content));
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_and_costs_the_session_nothing() {
    let mut stage = Stage::set_with(|settings| settings.socketio.max_http_buffer_size = 10).await;
    let large = Request::post(polling(&sid()), "4".repeat(11)).answer(stage.address()).await;
    assert_eq!((large.status, large.body.as_str()), (413, ""));
    let chunks = Request::of("POST", polling(&sid())).header("Transfer-Encoding", "chunked");
    let mut raw = chunks.send(stage.address()).await;
    raw.write(b"6\r\n444444\r\n").await;
    let request = announced(&mut stage).await;
    raw.write(b"6\r\n444444\r\n0\r\n\r\n").await;
    assert_eq!(stage.trunk.poll_over().await, PollGone { request, too_large: true });
    assert_eq!(Answered::read(raw).await.status, 413);
    let _fits = Request::post(polling(&sid()), "4".repeat(10)).send(stage.address()).await;
    assert_eq!(posted(&mut stage).await.1.len(), 10);
}

#[tokio::test]
async fn a_body_that_is_still_to_come_is_announced_and_follows() {
    let mut stage = Stage::set().await;
    let (mut raw, request) = half_sent(&mut stage).await;
    raw.write(b" and half").await;
    assert_eq!(posted(&mut stage).await, (request, "4half and half".to_owned()));
    stage.trunk.batch(vec![answer(request, 200, "ok")]).await;
    assert_eq!(Answered::read(raw).await.body, "ok");
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_binary_ends_the_session() {
    let mut stage = Stage::set().await;
    let post = Request::post(polling(&sid()), "\x01");
    let asked = post.header("Content-Type", "application/octet-stream").send(stage.address()).await;
    let request = announced(&mut stage).await;
    assert_eq!(stage.trunk.poll_gone().await, request);
    let answered = Answered::read(asked).await;
    assert_eq!((answered.status, answered.body.as_str()), (400, ""));
    let (raw, request) = half_sent(&mut stage).await;
    drop(raw);
    assert_eq!(stage.trunk.poll_gone().await, request);
}

#[tokio::test]
async fn a_shard_that_answers_does_not_wait_for_the_body() {
    let mut stage = Stage::set().await;
    let (raw, request) = half_sent(&mut stage).await;
    stage.trunk.batch(vec![answer(request, 400, "")]).await;
    assert_eq!(Answered::read(raw).await.status, 400);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_gone() {
    let mut stage = Stage::set().await;
    let raw = Request::get(polling(&sid())).send(stage.address()).await;
    let request = stage.trunk.poll().await.request;
    drop(raw);
    assert_eq!(stage.trunk.poll_gone().await, request);
    stage.counts("trunkline_polling_requests_total{outcome=\"abandoned\"}", 1).await;
}

#[tokio::test]
async fn a_poll_that_is_not_answered_in_time_is_given_up() {
    let mut stage = Stage::set_with(|settings| {
        settings.socketio.ping_interval = Duration::from_millis(50);
        settings.socketio.ping_timeout = Duration::from_millis(50);
    })
    .await;
    let raw = Request::get(polling(&sid())).send(stage.address()).await;
    let request = stage.trunk.poll().await.request;
    assert_eq!(Answered::read(raw).await.status, 503);
    assert_eq!(stage.trunk.poll_gone().await, request);
}

#[tokio::test]
async fn without_a_trunk_clients_are_asked_to_come_back() {
    let mut stage = Stage::set().await;
    let raw = Request::get(polling(&sid())).send(stage.address()).await;
    stage.trunk.poll().await;
    drop(stage.trunk);
    stage.shard.stop().await;
    assert_eq!(Answered::read(raw).await.status, 503);

    let shard = FakeShard::start().await.stop().await;
    let router = start(&prometheus::Registry::new(), shard, |_| {}).await;
    let answered = Request::get(polling(&sid())).answer(router.local_addr()).await;
    assert_eq!(answered.status, 503);
    assert!(answered.header("retry-after").is_some());
}

#[tokio::test]
async fn one_connection_takes_one_request_after_the_other() {
    let mut stage = Stage::set().await;
    let mut raw = Raw::connect(stage.address()).await;
    for _ in 0..3 {
        let path = polling(&sid());
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let request = stage.trunk.poll().await.request;
        stage.trunk.batch(vec![answer(request, 200, "")]).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn clients_that_poll_count_like_others() {
    let mut stage = Stage::set_with(|settings| settings.limits.connections_per_worker = 1).await;
    let raw = Request::get(polling(&sid())).send(stage.address()).await;
    let request = stage.trunk.poll().await.request;
    let path = "/socket.io/?EIO=4&transport=polling";
    assert_eq!(Request::get(path).answer(stage.address()).await.status, 503);
    stage.trunk.batch(vec![answer(request, 200, "6")]).await;
    assert_eq!(Answered::read(raw).await.body, "6");
    let _client = soon("a place", Client::connect(stage.address(), "/ws")).await;
    stage.trunk.attach().await;
    assert_eq!(Request::get(path).answer(stage.address()).await.status, 503);
}

/// Nothing was done of the request: its session is at this shard, or where it belongs.
fn moved(request: u64, at: &str) -> down::Item {
    let moved = Some(at.to_owned());
    down::Item::Poll(PollAnswer { request, moved, ..PollAnswer::default() })
}

#[tokio::test]
async fn what_is_asked_too_early_is_asked_again_until_it_is_answered() {
    let mut stage = Stage::set().await;
    let asked = Request::post(polling(&sid()), "4hello").send(stage.address()).await;
    let mut numbers = Vec::new();
    for at in ["", "of no map", "a", ""] {
        let (request, body) = posted(&mut stage).await;
        assert_eq!(body, "4hello");
        numbers.push(request);
        stage.trunk.batch(vec![moved(request, at)]).await;
    }
    let (request, _) = posted(&mut stage).await;
    assert!(!numbers.contains(&request));
    stage.trunk.batch(vec![answer(request, 200, "ok")]).await;
    assert_eq!(Answered::read(asked).await.body, "ok");

    let asked = Request::get("/socket.io/?EIO=4&transport=polling").send(stage.address()).await;
    for _ in 0..2 {
        let PollRequest { request, what, .. } = stage.trunk.poll().await;
        assert!(matches!(what, Some(What::Open(_))));
        stage.trunk.batch(vec![moved(request, "")]).await;
    }
    let request = stage.trunk.poll().await.request;
    stage.trunk.batch(vec![answer(request, 200, "0{}")]).await;
    assert_eq!(Answered::read(asked).await.body, "0{}");
}

#[tokio::test]
async fn a_post_that_was_announced_is_announced_again_where_its_session_has_gone() {
    let mut stage = Stage::set().await;
    let (mut raw, request) = half_sent(&mut stage).await;
    stage.trunk.batch(vec![moved(request, "")]).await;
    let again = announced(&mut stage).await;
    assert_ne!(again, request);
    raw.write(b" and rest").await;
    let (request, body) = posted(&mut stage).await;
    assert_eq!((request, body.as_str()), (again, "4half and rest"));
    // It has gone on while the body was on its way.
    stage.trunk.batch(vec![moved(request, "")]).await;
    let (request, body) = posted(&mut stage).await;
    assert_eq!(body, "4half and rest");
    stage.trunk.batch(vec![answer(request, 200, "ok")]).await;
    assert_eq!(Answered::read(raw).await.body, "ok");
}

#[tokio::test]
async fn a_session_that_is_nowhere_for_too_long_is_given_up() {
    let mut stage = Stage::set().await;
    let asked = Request::get(polling(&sid())).send(stage.address()).await;
    let mut answering = async || loop {
        let request = stage.trunk.poll().await.request;
        stage.trunk.batch(vec![moved(request, "")]).await;
    };
    let answered = tokio::select! {
        answered = Answered::read(asked) => answered,
        () = answering() => unreachable!("it is given up"),
    };
    assert_eq!(answered.status, 503);
    assert!(answered.header("retry-after").is_some());
}
