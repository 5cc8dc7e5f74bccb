//! A native client that sees everything in the order in which it came.

use std::collections::VecDeque;

use serde_json::{Value, json};
use trunkline_client::{Closed, Options, Stream, Wire, WireError};

/// A connection whose welcome has been taken.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) session: String,
    pub(crate) user: String,
    ids: u64,
    /// What came while a reply was waited for.
    waiting: VecDeque<Value>,
}

impl Connection {
    pub(crate) async fn open(options: Options) -> Self {
        Self::try_open(options).await.expect("a welcome")
    }

    pub(crate) async fn try_open(options: Options) -> Result<Self, WireError> {
        Self::welcomed(Wire::connect(&options).await.expect("an upgrade")).await
    }

    /// Connects over a stream that is open to the router.
    pub(crate) async fn over(stream: impl Stream, options: Options) -> Self {
        let wire = Wire::over(stream, &options).await.expect("an upgrade");
        Self::welcomed(wire).await.expect("a welcome")
    }

    async fn welcomed(mut wire: Wire) -> Result<Self, WireError> {
        let welcome = wire.next_json().await?;
        assert_eq!(welcome["type"], "welcome");
        let text = |field: &str| welcome[field].as_str().unwrap().to_owned();
        let (session, user) = (text("session"), text("user"));
        Ok(Self { wire, session, user, ids: 0, waiting: VecDeque::new() })
    }

    /// Sends a request and gives its reply, be it `ok` or `error`.
    pub(crate) async fn ask(&mut self, mut request: Value) -> Value {
        self.ids += 1;
        request["id"] = self.ids.into();
        self.wire.send_json(&request).await.unwrap();
        loop {
            let object = self.wire.next_json().await.unwrap_or_else(|error| {
                panic!("no reply to {request}: {error}");
            });
            if object["id"] == self.ids {
                return object;
            }
            self.waiting.push_back(object);
        }
    }

    /// Sends a request that must be granted.
    pub(crate) async fn ok(&mut self, request: Value) -> Value {
        let reply = self.ask(request.clone()).await;
        assert_eq!(reply["type"], "ok", "{request} was answered {reply}");
        reply
    }

    /// Sends a request that must be refused, and gives the error's code.
    pub(crate) async fn refused(&mut self, request: Value) -> String {
        let reply = self.ask(request.clone()).await;
        assert_eq!(reply["type"], "error", "{request} was answered {reply}");
        reply["code"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn join(&mut self, room: &str) -> Value {
        self.ok(json!({"type": "join", "room": room})).await
    }

    pub(crate) async fn leave(&mut self, room: &str) {
        self.ok(json!({"type": "leave", "room": room})).await;
    }

    pub(crate) async fn publish(&mut self, room: &str, data: impl Into<Value>) -> Value {
        let data = data.into();
        self.ok(json!({"type": "publish", "room": room, "event": "chat message", "data": data}))
            .await
    }

    /// Sends a private message and gives its status.
    pub(crate) async fn send(&mut self, to: &str, data: impl Into<Value>) -> String {
        let data = data.into();
        let reply = self.ok(json!({"type": "send", "to": to, "event": "note", "data": data})).await;
        reply["status"].as_str().unwrap().to_owned()
    }

    /// The next object that is no reply.
    pub(crate) async fn next(&mut self) -> Value {
        match self.waiting.pop_front() {
            Some(object) => object,
            None => self.wire.next_json().await.expect("something to come"),
        }
    }

    /// The next object of this type; what comes before it is passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let object = self.next().await;
            if object["type"] == kind {
                return object;
            }
        }
    }

    /// All that has come until now: everything before the answer to a ping.
    pub(crate) async fn so_far(&mut self) -> Vec<Value> {
        self.ok(json!({"type": "ping"})).await;
        self.waiting.drain(..).collect()
    }

    /// Waits for the server to close the connection.
    pub(crate) async fn closed(mut self) -> Closed {
        self.wire.closed().await.expect("a close")
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.wire.close().await.expect("a goodbye");
    }
}
