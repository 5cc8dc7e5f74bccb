//! Applications that fail, take too long, or are away; and those who do not need them meanwhile.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::join;

use super::{KEY, MOVES, asking};
use crate::harness::{Application, Socket};

#[tokio::test]
async fn what_fails_is_asked_again_under_the_same_id() {
    let (mut application, cluster) = asking("retries = 3\ntimeout = \"25s\"", MOVES).await;
    let mut player = Socket::open(cluster.port, "alice").await;
    let step = json!(["move", "e4"]);
    let (acknowledgement, ()) = join!(player.ask(&step), async {
        let first = application.asked().await;
        first.is_signed_by(KEY);
        let (id, told) = (first.header("webhook-id").to_owned(), first.json());
        first.answer_with(StatusCode::INTERNAL_SERVER_ERROR, "");
        // The connection ends without an answer.
        drop(application.asked().await);
        application.asked().await.answer_with(StatusCode::TOO_MANY_REQUESTS, "");
        let last = application.asked().await;
        last.is_signed_by(KEY);
        assert_eq!((last.header("webhook-id"), last.json()), (id.as_str(), told));
        last.answer(&json!({"ack": ["at last"]}));
    });
    assert_eq!(acknowledgement, ["at last"]);
    // Another question has another.
    let (_, ()) = join!(player.ask(&step), async {
        let next = application.asked().await;
        assert_eq!(next.header("webhook-id"), next.json()["id"]);
        next.answer(&json!({}));
    });
    application.is_asked_no_more();
}

#[tokio::test]
async fn no_more_is_tried_than_was_allowed() {
    let (mut application, cluster) = asking("retries = 1\ntimeout = \"25s\"", MOVES).await;
    let mut player = Socket::open(cluster.port, "alice").await;
    let step = json!(["move", "e4"]);
    let (refused, ()) = join!(player.ask(&step), async {
        for _ in 0..2 {
            application.asked().await.answer_with(StatusCode::SERVICE_UNAVAILABLE, "");
        }
    });
    assert_eq!(
        (&refused[0]["type"], &refused[0]["code"]),
        (&json!("error"), &json!("unavailable"))
    );
    application.is_asked_no_more();
}

#[tokio::test]
async fn an_application_that_says_nothing_is_waited_for_no_longer_than_was_set() {
    let (mut application, cluster) = asking("timeout = \"1s\"", MOVES).await;
    let mut player = Socket::open(cluster.port, "alice").await;
    let step = json!(["move", "e4"]);
    let begun = Instant::now();
    let (refused, _kept) = join!(player.ask(&step), application.asked());
    assert_eq!(refused[0]["code"], "unavailable");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_application_that_comes_back_is_asked_again() {
    let (application, cluster) = asking("retries = 0", MOVES).await;
    let mut player = Socket::open(cluster.port, "alice").await;
    let step = json!(["move", "e4"]);
    let address = application.address;
    drop(application);
    // Its socket is closed when its task is, a moment later.
    cluster
        .eventually("it can't be asked", async || {
            player.ask(&step).await[0]["code"] == "unavailable"
        })
        .await;
    let mut application = Application::start_at(address).await;
    let (acknowledgement, ()) = join!(player.ask(&step), async {
        application.asked().await.answer(&json!({"ack": ["back"]}));
    });
    assert_eq!(acknowledgement, ["back"]);
}

#[tokio::test]
async fn a_shard_with_all_the_calls_it_may_have_serves_everybody_else() {
    const CALLS: usize = 1024;
    const CLIENTS: usize = 24;
    /// Of each client; a router lets it have 64 unsettled messages.
    const EACH: usize = 50;
    let (mut application, cluster) = asking("timeout = \"2m\"", MOVES).await;
    let mut players = Vec::new();
    for n in 0..CLIENTS {
        let port = cluster.ports()[n % 2];
        players.push(Socket::open(port, &cluster.user_on("a", n)).await);
    }
    for player in &mut players {
        for n in 1..=EACH {
            assert_eq!(player.emit(&json!(["move", n])).await, n as u64);
        }
    }
    let mut questions = Vec::new();
    for _ in 0..CALLS {
        questions.push(application.asked().await);
    }
    let full = "trunkline_application_calls_total{outcome=\"full\"}";
    let rest = (CLIENTS * EACH - CALLS) as f64;
    cluster
        .eventually("the rest has failed", async || cluster.shard_metric("a", full).await == rest)
        .await;

    // Nobody has had an answer, and all others have theirs.
    let begun = Instant::now();
    let user = cluster.user_on("a", CLIENTS);
    let mut native = cluster.connect(&user).await;
    let mut socket = Socket::open(cluster.port, &user).await;
    let room = cluster.room_on("a");
    native.join(&room).await;
    socket.join(&room).await;
    for n in 0..100 {
        native.publish(&room, n).await;
        assert_eq!(socket.event_of("chat message").await.args[1], n);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    let unavailable = |acknowledgement: &Value| acknowledgement["code"] == "unavailable";
    for question in questions {
        let told = question.json();
        question.answer(&json!({"ack": [told["args"][0]]}));
    }
    let mut failed = 0;
    for player in &mut players {
        for (n, acknowledgement) in player.acknowledgements(EACH).await {
            match &acknowledgement[..] {
                [one] if *one == n => {}
                [one] if unavailable(one) => failed += 1,
                other => panic!("{n} was answered {other:?}"),
            }
        }
    }
    assert_eq!(failed, CLIENTS * EACH - CALLS);
}
