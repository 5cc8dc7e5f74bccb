//! Private messages, and the end of a user's connections.

use serde_json::json;
use trunkline_client::CloseCode;

use super::{note, servers, setup};
use crate::harness::{KEY, Server, Socket};
use crate::socketio;

async fn send(server: Server, to: &str, data: &str) -> String {
    let sent = server.post(&format!("/users/{to}/messages"), &note(data)).await.granted();
    assert_eq!(sent["to"], to);
    sent["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_has_it_at_every_connection() {
    let cluster = setup().start().await;
    for shard in ["a", "b", "c"] {
        let user = cluster.user_on(shard, 0);
        let mut native = cluster.connect(&user).await;
        let mut socket = Socket::open(cluster.ports()[1], &user).await;
        for server in servers(&cluster) {
            assert_eq!(send(server, &user, "for you").await, "delivered");
            let private = native.next_of("private").await;
            assert_eq!((&private["from"], &private["data"]), (&json!("server"), &json!("for you")));
            let event = socket.event_of("note").await;
            assert_eq!(
                (&event.args[1], &event.args[2]["from"]),
                (&json!("for you"), &json!("server"))
            );
        }
    }
}

#[tokio::test]
async fn what_is_sent_to_who_is_away_waits_unless_it_is_ephemeral() {
    let cluster = setup().start().await;
    for (n, server) in servers(&cluster).into_iter().enumerate() {
        let (native, by_socket) = (format!("native-{n}"), format!("socket-{n}"));
        for user in [&native, &by_socket] {
            let passing = json!({"event": "note", "data": "lost", "ephemeral": true});
            let sent = server.post(&format!("/users/{user}/messages"), &passing).await.granted();
            assert_eq!(sent, json!({"to": user, "status": "offline"}));
            assert_eq!(send(server, user, "kept").await, "queued");
        }
        let mut native = cluster.connect(&native).await;
        assert_eq!(native.next_of("private").await["data"], "kept");
        let mut socket = Socket::open(cluster.port, &by_socket).await;
        assert_eq!(socket.event_of("note").await.args[1], "kept");
    }
}

#[tokio::test]
async fn a_session_is_reached_alone() {
    let cluster = setup().start().await;
    let mut native = cluster.connect("alice").await;
    let mut socket = Socket::open(cluster.ports()[1], "alice").await;
    for server in servers(&cluster) {
        assert_eq!(send(server, &native.session, "native").await, "delivered");
        assert_eq!(send(server, &socket.sid, "socket").await, "delivered");
        assert_eq!(native.next_of("private").await["data"], "native");
        assert_eq!(socket.event_of("note").await.args[1], "socket");
    }
    let gone = socket.sid.clone();
    socket.close().await;
    for server in servers(&cluster) {
        cluster
            .eventually("the session is gone", async || send(server, &gone, "x").await == "offline")
            .await;
    }
    assert_eq!(native.so_far().await.len(), 0);
}

#[tokio::test]
async fn a_batch_to_a_user_has_its_order_and_repeats_are_recognised() {
    let cluster = setup().start().await;
    let user = cluster.user_on("c", 0);
    let mut native = cluster.connect(&user).await;
    let path = format!("/users/{user}/messages");
    let messages = json!({"messages": [
        {"event": "note", "data": 1, "key": "first"},
        {"event": "disconnect", "data": 2},
        {"event": "note", "data": 3, "key": "third"},
    ]});
    for server in servers(&cluster) {
        let answer = server.post(&path, &messages).await.granted();
        assert_eq!(answer["results"][0]["status"], "delivered");
        assert_eq!(answer["results"][1]["error"]["code"], "bad_request");
        assert_eq!(answer["results"][2]["status"], "delivered");
    }
    let heard: Vec<_> = native.so_far().await.iter().map(|it| it["data"].clone()).collect();
    assert_eq!(heard, [1, 3]);
}

#[tokio::test]
async fn every_connection_of_a_user_is_ended_and_nobody_elses() {
    let cluster = setup().start().await;
    let user = cluster.user_on("b", 0);
    for server in servers(&cluster) {
        let native = cluster.connect(&user).await;
        let by_room = cluster.connect_to(&cluster.room_on("c"), &user).await;
        let mut socket = Socket::open(cluster.ports()[1], &user).await;
        let mut other = cluster.connect(&cluster.user_on("b", 1)).await;
        let path = format!("/users/{user}/connections");
        let ended = server.delete(&path).await.granted();
        assert_eq!(ended, json!({"user": user, "connections": 3}));
        for connection in [native, by_room] {
            assert_eq!(connection.closed().await.code, CloseCode(1000));
        }
        socket.disconnected().await;
        // A connection counts until its router has said that it is over.
        cluster
            .eventually("none is left", async || {
                server.delete(&path).await.granted()["connections"] == 0
            })
            .await;
        other.join("still here").await;
    }
}

#[tokio::test]
async fn what_the_application_says_is_heard_by_the_client_as_it_comes() {
    let cluster = setup().start().await;
    socketio::proves("servers", &[KEY], &cluster.http_urls(), 6).await;
    socketio::unharmed(cluster).await;
}
