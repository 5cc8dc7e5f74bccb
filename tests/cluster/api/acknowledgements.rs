//! Messages that every Socket.IO client is asked to acknowledge.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::join;

use super::{servers, setup};
use crate::harness::{Cluster, Socket};

/// A member on each shard, over both routers.
async fn members(cluster: &Cluster, room: &str) -> Vec<Socket> {
    let mut members = Vec::new();
    for (n, shard) in ["a", "b", "c"].into_iter().enumerate() {
        let mut socket = Socket::open(cluster.ports()[n % 2], &cluster.user_on(shard, 0)).await;
        socket.join(room).await;
        members.push(socket);
    }
    members
}

fn question(ack_timeout: &str) -> Value {
    json!({"event": "ready?", "data": 1, "ack_timeout": ack_timeout})
}

/// What was answered, in the order of the answers' texts, for it depends on the way.
fn answers(answer: &Value) -> Vec<String> {
    let all = answer["acknowledgements"].as_array().unwrap();
    let mut all: Vec<_> = all.iter().map(ToString::to_string).collect();
    all.sort();
    all
}

#[tokio::test]
async fn the_answers_of_clients_on_all_shards_are_gathered() {
    let cluster = setup().start().await;
    for shard in ["a", "b", "c"] {
        let room = cluster.room_on(shard);
        let mut members = members(&cluster, &room).await;
        let mut native = cluster.connect("native").await;
        native.join(&room).await;
        for server in servers(&cluster) {
            let begun = Instant::now();
            let path = format!("/rooms/{room}/messages");
            let (question, replies) =
                (question("25s"), [json!([]), json!(["yes"]), json!([2, {}])]);
            let (answer, ()) = join!(server.post(&path, &question), async {
                for (socket, reply) in members.iter_mut().zip(&replies) {
                    let event = socket.event_of("ready?").await;
                    assert_eq!(event.args[1], 1);
                    socket.acknowledge(&event, reply).await;
                }
            });
            let answer = answer.granted();
            assert_eq!(answer["asked"], 3);
            assert_eq!(answers(&answer), ["[\"yes\"]", "[2,{}]", "[]"]);
            assert!(
                begun.elapsed() < Duration::from_secs(25),
                "it was not waited for the time-out"
            );
            // It can't answer, and hears it.
            assert_eq!(native.next_of("ephemeral").await["event"], "ready?");
            assert_eq!(
                server.get(&format!("/rooms/{room}/history")).await.granted()["messages"],
                json!([])
            );
        }
    }
}

#[tokio::test]
async fn who_is_silent_is_waited_for_no_longer_than_was_asked() {
    let cluster = setup().start().await;
    let room = cluster.room_on("b");
    let mut members = members(&cluster, &room).await;
    for server in servers(&cluster) {
        let begun = Instant::now();
        let path = format!("/rooms/{room}/messages");
        let question = question("1s");
        let (answer, ()) = join!(server.post(&path, &question), async {
            for socket in &mut members[..2] {
                let event = socket.event_of("ready?").await;
                socket.acknowledge(&event, &json!(["yes"])).await;
            }
        });
        let answer = answer.granted();
        assert_eq!((&answer["asked"], answers(&answer).len()), (&json!(3), 2));
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn who_goes_is_waited_for_no_more() {
    let cluster = setup().start().await;
    let room = cluster.room_on("a");
    let mut members = members(&cluster, &room).await;
    let last = members.pop().unwrap();
    let begun = Instant::now();
    let path = format!("/rooms/{room}/messages");
    let question = question("55s");
    let (answer, ()) = join!(servers(&cluster)[1].post(&path, &question), async {
        for socket in &mut members {
            let event = socket.event_of("ready?").await;
            socket.acknowledge(&event, &json!([])).await;
        }
        let mut last = last;
        last.event_of("ready?").await;
        last.close().await;
    });
    let answer = answer.granted();
    assert_eq!((&answer["asked"], answers(&answer).len()), (&json!(3), 2));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_room_in_which_nobody_can_answer_is_answered_at_once() {
    let cluster = setup().start().await;
    let room = cluster.room_on("c");
    let mut native = cluster.connect("native").await;
    native.join(&room).await;
    for server in servers(&cluster) {
        let path = format!("/rooms/{room}/messages");
        let answer = server.post(&path, &question("25s")).await.granted();
        assert_eq!(answer, json!({"room": room, "acknowledgements": [], "asked": 0}));
        assert_eq!(native.next_of("ephemeral").await["event"], "ready?");
    }
}

#[tokio::test]
async fn everyone_in_a_namespace_can_be_asked() {
    let cluster = setup().start().await;
    let mut members = members(&cluster, "elsewhere").await;
    for server in servers(&cluster) {
        let question = question("25s");
        let (answer, ()) = join!(server.post("/rooms/*/messages", &question), async {
            for socket in &mut members {
                let event = socket.event_of("ready?").await;
                socket.acknowledge(&event, &json!(["here"])).await;
            }
        });
        assert_eq!(answers(&answer.granted()), ["[\"here\"]"; 3]);
    }
}
