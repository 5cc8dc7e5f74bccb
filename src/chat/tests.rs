//! Chatting with a server that plays its part by script.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept_hdr};

use super::*;

/// The server's side of one connection.
struct Peer(WebSocket<TcpStream>);

impl Peer {
    fn welcome(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        // The type of the error is the library's choice.
        #[allow(clippy::result_large_err)]
        let agree = |_: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let protocol = "trunkline.v1".parse().unwrap();
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let mut peer = Self(accept_hdr(stream, agree).unwrap());
        peer.say(&json!({
            "type": "welcome", "session": "~s", "user": "bob",
            "heartbeat_ms": 25000, "max_message_bytes": 65536,
        }));
        peer
    }

    fn say(&mut self, object: &Value) {
        self.0.send(Message::Text(object.to_string().into())).unwrap();
    }

    fn message(&mut self, offset: u64, from: &str, text: &str) {
        self.say(&message(offset, from, text));
    }

    fn hear(&mut self, kind: &str) -> Value {
        let heard = self.0.read().unwrap();
        let request: Value = serde_json::from_str(heard.to_text().unwrap()).unwrap();
        assert_eq!(request["type"], kind);
        request
    }

    fn grant(&mut self, request: &Value, mut reply: Value) {
        reply["type"] = "ok".into();
        reply["id"] = request["id"].clone();
        self.say(&reply);
    }

    fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "restart".into() };
        self.0.close(Some(frame)).unwrap();
        // Until the client has closed, too.
        while self.0.read().is_ok() {}
    }
}

fn message(offset: u64, from: &str, text: &str) -> Value {
    json!({
        "type": "message", "room": "lobby", "epoch": "e", "offset": offset,
        "from": from, "event": "chat message", "data": text, "time": 1,
    })
}

fn joined(offset: u64) -> Value {
    json!({"room": "lobby", "epoch": "e", "offset": offset, "members": 2})
}

/// What was printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Chats with the script as bob, who types these lines. Gives what was printed, and the outcome.
async fn chat_with(
    script: impl FnOnce(&TcpListener) + Send + 'static,
    typed: &[&str],
) -> (Vec<String>, anyhow::Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let played: JoinHandle<()> = thread::spawn(move || script(&listener));
    let (sender, lines) = mpsc::channel(typed.len().max(1));
    for line in typed {
        sender.send((*line).to_owned()).await.unwrap();
    }
    let paper = Paper::default();
    let screen = Screen::new(Box::new(paper.clone()), false, false);
    let place = Place::new(url, Some("bob".to_owned()), None, "lobby".to_owned());
    let outcome = chat(place, screen, lines).await;
    played.join().unwrap();
    let printed = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    (printed.lines().map(str::to_owned).collect(), outcome)
}

#[tokio::test]
async fn a_restart_loses_nothing_and_repeats_nothing() {
    let script = |listener: &TcpListener| {
        let mut peer = Peer::welcome(listener);
        let join = peer.hear("join");
        assert_eq!(join["after"], Value::Null);
        peer.grant(&join, joined(5));
        let history = peer.hear("history");
        let past = json!({"room": "lobby", "epoch": "e", "messages": [message(5, "alice", "old")]});
        peer.grant(&history, past);
        let publish = peer.hear("publish");
        peer.close(1012);

        let mut peer = Peer::welcome(listener);
        let join = peer.hear("join");
        assert_eq!(join["after"], json!({"epoch": "e", "offset": 5}));
        peer.message(6, "alice", "missed");
        peer.grant(&join, joined(6));
        let again = peer.hear("publish");
        assert_eq!((&again["data"], &again["key"]), (&publish["data"], &publish["key"]));
        peer.grant(&again, json!({"room": "lobby", "epoch": "e", "offset": 7}));
        peer.message(7, "bob", "hello");
        let who = peer.hear("presence");
        let users = json!([{"user": "alice", "connections": 1}, {"user": "bob", "connections": 1}]);
        peer.grant(&who, json!({"room": "lobby", "users": users, "sure": true}));
        assert!(peer.0.read().unwrap().is_close());
    };
    let (printed, outcome) = chat_with(script, &["hello", "/who", "/quit"]).await;
    outcome.unwrap();
    let wanted = [
        "alice: old",
        "* you are in lobby; 2 are here",
        "* the connection closed with 1012 (restart); coming back…",
        "* connected again",
        "alice: missed",
        "* you are in lobby; 2 are here",
        "bob: hello",
        "* in lobby: alice, bob",
    ];
    assert_eq!(printed, wanted);
}

#[tokio::test]
async fn there_is_no_coming_back_from_an_expired_token() {
    let script = |listener: &TcpListener| {
        let mut peer = Peer::welcome(listener);
        peer.hear("join");
        peer.close(4001);
    };
    let (_, outcome) = chat_with(script, &[]).await;
    assert!(outcome.unwrap_err().to_string().contains("4001"));
}

#[tokio::test]
async fn a_refusal_is_told_and_the_talk_goes_on() {
    let script = |listener: &TcpListener| {
        let mut peer = Peer::welcome(listener);
        let join = peer.hear("join");
        let (id, why) = (&join["id"], "you may not join lobby");
        peer.say(&json!({"type": "error", "id": id, "code": "forbidden", "message": why}));
        let send = peer.hear("send");
        peer.grant(&send, json!({"to": "alice", "status": "queued"}));
        assert!(peer.0.read().unwrap().is_close());
    };
    let (printed, outcome) = chat_with(script, &["hi", "/msg alice hi", "/quit"]).await;
    outcome.unwrap();
    let wanted = [
        "! you may not join lobby",
        "! you are in no room; /join one first",
        "* [to alice, who gets it on coming back] hi",
    ];
    assert_eq!(printed, wanted);
}
