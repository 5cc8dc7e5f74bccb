//! Clients that the application lets in, or doesn't, and those that go.

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::join;

use super::{KEY, asking};
use crate::harness::{Application, Cluster, Question, Socket};

const DOOR: &str = r#"
[socketio]
namespaces = ["/", "/club-*"]

[[event]]
name = "connect"
namespace = "/club-*"
do = "call"

[[event]]
name = "connect"
namespace = "/club-*"
do = "broadcast"
emit = "came"
data = { user = "$user" }
echo = false

[[event]]
name = "disconnect"
namespace = "/club-*"
do = "call"
"#;

/// Knocks and answers the question.
async fn knock(
    cluster: &Cluster,
    application: &mut Application,
    user: &str,
    auth: Value,
    answer: impl FnOnce(Question),
) -> Result<Socket, Value> {
    let (outcome, ()) =
        join!(Socket::try_open(cluster.ports()[1], user, "/club-1", &auth), async {
            answer(application.asked().await);
        });
    outcome
}

#[tokio::test]
async fn who_may_come_in_is_asked_with_what_the_client_shows() {
    let (mut application, cluster) = asking("", DOOR).await;
    let mut alice = knock(&cluster, &mut application, "alice", json!({"ticket": 7}), |question| {
        question.is_signed_by(KEY);
        let told = question.json();
        assert_eq!(told["event"], "connect");
        assert_eq!(told["namespace"], "/club-1");
        assert_eq!((&told["user"], &told["args"]), (&json!("alice"), &json!([])));
        assert_eq!(told["auth"], json!({"ticket": 7}));
        question.answer(&json!({"do": [
            {"do": "join", "room": "members"},
            {"do": "reply", "emit": "welcome", "args": ["alice"]},
        ]}));
    })
    .await
    .unwrap_or_else(|error| panic!("refused: {error}"));
    assert_eq!(alice.event_of("welcome").await.args[1], "alice");
    let presence = alice.ask(&json!(["presence", "members"])).await;
    assert_eq!(presence[0]["users"][0]["user"], "alice");

    // Who is turned away has not come, and bob, who has, is heard of first.
    let reject = json!({"reject": {"message": "no ticket", "data": {"buy": "/tickets"}}});
    let turned_away =
        knock(&cluster, &mut application, "mallory", Value::Null, |it| it.answer(&reject)).await;
    assert_eq!(
        turned_away.err(),
        Some(json!({"message": "no ticket", "data": {"buy": "/tickets"}}))
    );
    knock(&cluster, &mut application, "bob", Value::Null, |it| it.answer(&json!({})))
        .await
        .unwrap_or_else(|error| panic!("refused: {error}"));
    assert_eq!(alice.event_of("came").await.args[1], json!({"user": "bob"}));
}

#[tokio::test]
async fn a_refusal_by_status_and_an_application_that_is_away_keep_clients_out() {
    let (mut application, cluster) = asking("retries = 0", DOOR).await;
    let forbidden = |question: Question| question.answer_with(StatusCode::FORBIDDEN, "");
    let refused = knock(&cluster, &mut application, "alice", Value::Null, forbidden).await;
    assert_eq!(refused.err().unwrap()["data"]["code"], "forbidden");
    let down = |question: Question| question.answer_with(StatusCode::BAD_GATEWAY, "");
    let refused = knock(&cluster, &mut application, "alice", Value::Null, down).await;
    assert_eq!(refused.err().unwrap()["data"]["code"], "unavailable");
    // Other namespaces do not need it.
    Socket::open(cluster.port, "alice").await.join("lobby").await;
}

#[tokio::test]
async fn the_application_hears_of_who_goes_and_why() {
    let (mut application, cluster) = asking("", DOOR).await;
    let alice = knock(&cluster, &mut application, "alice", Value::Null, |it| it.answer(&json!({})))
        .await
        .unwrap_or_else(|error| panic!("refused: {error}"));
    let session = alice.sid.clone();
    alice.close().await;
    let question = application.asked().await;
    let told = question.json();
    assert_eq!((&told["event"], &told["session"]), (&json!("disconnect"), &json!(session)));
    assert!(told["reason"].is_string(), "{told}");
    question.answer(&json!({}));
}
