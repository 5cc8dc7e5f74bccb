//! What the application is told, and what its answers do.

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::join;

use super::{KEY, MOVES, asking};
use crate::harness::{Application, Cluster, Question, Socket};

/// A player and somebody who looks on, on shards and routers of their own.
async fn players(cluster: &Cluster) -> (Socket, Socket) {
    let player = Socket::open(cluster.ports()[0], &cluster.user_on("a", 0)).await;
    let onlooker = Socket::open(cluster.ports()[1], &cluster.user_on("b", 0)).await;
    (player, onlooker)
}

/// Makes a move, answers the question, and gives the acknowledgement.
async fn play(
    player: &mut Socket,
    application: &mut Application,
    arguments: Value,
    answer: impl FnOnce(Question),
) -> Vec<Value> {
    let event = json!(["move", arguments]);
    let (acknowledgement, ()) = join!(player.ask(&event), async {
        answer(application.asked().await);
    });
    acknowledgement
}

#[tokio::test]
async fn a_question_says_who_has_emitted_what_and_is_signed() {
    let (mut application, cluster) = asking("", MOVES).await;
    let (mut player, _) = players(&cluster).await;
    let (user, session) = (cluster.user_on("a", 0), player.sid.clone());
    play(&mut player, &mut application, json!({"to": "e4"}), |question| {
        question.is_signed_by(KEY);
        assert_eq!(question.path, "/events");
        assert_eq!(question.header("content-type"), "application/json");
        let wanted = json!({
            "id": question.header("webhook-id"), "event": "move", "namespace": "/",
            "user": user, "session": session, "args": [{"to": "e4"}],
        });
        assert_eq!(question.json(), wanted);
        question.answer(&json!({}));
    })
    .await;
}

#[tokio::test]
async fn with_nothing_to_say_the_next_rule_is_carried_out() {
    let (mut application, cluster) = asking("", MOVES).await;
    let (mut player, mut onlooker) = players(&cluster).await;
    let nothing: [fn(Question); 3] = [
        |question| question.answer(&json!({})),
        |question| question.answer_with(StatusCode::OK, ""),
        |question| question.answer_with(StatusCode::NO_CONTENT, ""),
    ];
    for (n, answer) in nothing.into_iter().enumerate() {
        let acknowledgement = play(&mut player, &mut application, json!(n), answer).await;
        assert_eq!(acknowledgement[0]["type"], "ok");
        assert_eq!(onlooker.event_of("moved").await.args[1], n);
    }
}

#[tokio::test]
async fn the_application_gives_the_acknowledgement() {
    let (mut application, cluster) = asking("", MOVES).await;
    let (mut player, mut onlooker) = players(&cluster).await;
    for ack in [json!([]), json!([{"ok": true}, 2])] {
        let answer = json!({"ack": ack});
        let acknowledgement =
            play(&mut player, &mut application, json!("e4"), |it| it.answer(&answer)).await;
        assert_eq!(json!(acknowledgement), ack);
        assert_eq!(onlooker.event_of("moved").await.args[1], "e4");
    }
}

#[tokio::test]
async fn what_is_rejected_goes_no_further() {
    let (mut application, cluster) = asking("", MOVES).await;
    let (mut player, mut onlooker) = players(&cluster).await;
    let reject = json!({"reject": {"message": "not your turn", "data": {"turn": "bob"}}});
    let refused = play(&mut player, &mut application, json!("e4"), |it| it.answer(&reject)).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["type"], "error");
    assert_eq!(refused[0]["code"], "forbidden");
    assert_eq!(refused[0]["message"], "not your turn");
    assert_eq!(refused[0]["data"], json!({"turn": "bob"}));
    for status in [StatusCode::FORBIDDEN, StatusCode::UNPROCESSABLE_ENTITY] {
        let refuse = |question: Question| question.answer_with(status, "");
        let refused = play(&mut player, &mut application, json!("e4"), refuse).await;
        assert_eq!(refused[0]["code"], "forbidden");
    }
    let unreadable = |question: Question| question.answer_with(StatusCode::OK, "[");
    let refused = play(&mut player, &mut application, json!("e4"), unreadable).await;
    assert_eq!(refused[0]["code"], "internal");
    application.is_asked_no_more();
    play(&mut player, &mut application, json!("d4"), |it| it.answer(&json!({}))).await;
    assert_eq!(onlooker.event_of("moved").await.args[1], "d4");
}

#[tokio::test]
async fn the_next_rules_are_given_what_the_application_has_rewritten() {
    let (mut application, cluster) = asking("", MOVES).await;
    let (mut player, mut onlooker) = players(&cluster).await;
    let rewrite = json!({"rewrite": {"args": ["e4", {"check": true}]}});
    play(&mut player, &mut application, json!("pawn"), |it| it.answer(&rewrite)).await;
    let event = onlooker.event_of("moved").await;
    assert_eq!(event.args[1..3], [json!("e4"), json!({"check": true})]);
}

#[tokio::test]
async fn the_application_has_more_done_in_its_order() {
    let (mut application, cluster) = asking("", MOVES).await;
    let (mut player, mut onlooker) = players(&cluster).await;
    let other = cluster.user_on("b", 0);
    let mut native = cluster.connect(&cluster.user_on("c", 0)).await;
    native.join("board").await;
    let answer = json!({"ack": ["done"], "do": [
        {"do": "join", "room": "board"},
        {"do": "publish", "room": "board", "emit": "state", "args": [1, {"$base64": "AAE="}]},
        {"do": "private", "to": other, "emit": "your turn", "args": []},
        {"do": "reply", "emit": "clock", "args": [300]},
        {"do": "broadcast", "emit": "news", "args": ["e4"]},
    ]});
    let acknowledgement =
        play(&mut player, &mut application, json!("e4"), |it| it.answer(&answer)).await;
    assert_eq!(acknowledgement, ["done"]);
    assert_eq!(player.event_of("clock").await.args[1], 300);
    let state = player.event_of("state").await;
    assert_eq!((&state.args[1], &state.attachments[..]), (&json!(1), &[vec![0, 1]][..]));
    let message = native.next_of("message").await;
    assert_eq!(message["args"], json!([1, {"$base64": "AAE="}]));
    assert_eq!(message["from"], cluster.user_on("a", 0));
    onlooker.event_of("your turn").await;
    assert_eq!(onlooker.event_of("news").await.args[1], "e4");
    assert_eq!(onlooker.event_of("moved").await.args[1], "e4");
    let leave = json!({"do": [{"do": "leave", "room": "board"}]});
    play(&mut player, &mut application, json!("d4"), |it| it.answer(&leave)).await;
    assert_eq!(native.next_of("left").await["user"], cluster.user_on("a", 0));
}
