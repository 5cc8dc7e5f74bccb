//! A server of one connection, as a script: what it expects, what it says.

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use trunkline_client::Options;

/// A deadline that is meant to pass; long enough for a busy machine to connect within it.
pub(crate) const SHORT: Duration = Duration::from_millis(500);

/// The server's side of the connection, and what the client asked for in its upgrade.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

/// Plays `script` with the first client that connects. The options lead there.
pub(crate) async fn serve<F, Fut, T>(script: F) -> (Options, JoinHandle<T>)
where
    F: FnOnce(Peer) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let played = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(Peer::accept(stream).await).await
    });
    (Options::new(url).deadline(Duration::from_secs(5)), played)
}

impl Peer {
    async fn accept(stream: TcpStream) -> Self {
        let (mut path, mut authorization) = (String::new(), None);
        // The type of the error is the library's choice.
        #[allow(clippy::result_large_err)]
        let read = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            path = request.uri().to_string();
            let header = request.headers().get("authorization");
            authorization = header.map(|value| value.to_str().unwrap().to_owned());
            let mut response = response;
            if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
                response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
            }
            Ok(response)
        };
        let socket = accept_hdr_async(stream, read).await.unwrap();
        Self { socket, path, authorization }
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::Text(text.into().into())).await.unwrap();
    }

    pub(crate) async fn welcome(&mut self) {
        let text = r#"{"type":"welcome","session":"~s1","user":"alice","heartbeat_ms":25000,"max_message_bytes":65536}"#;
        self.say(text).await;
    }

    /// The next request.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Pong(_) => {}
                other => panic!("not a request: {other:?}"),
            }
        }
    }

    /// Hears a request of this type, and says `ok` with these further fields, such as
    /// `,"room":"a"`.
    pub(crate) async fn grant(&mut self, kind: &str, fields: &str) -> Value {
        let request = self.hear().await;
        assert_eq!(request["type"], kind);
        self.say(format!(r#"{{"type":"ok","id":{}{fields}}}"#, request["id"])).await;
        request
    }

    pub(crate) async fn ping(&mut self) {
        self.socket.send(Message::Ping("beat".into())).await.unwrap();
    }

    pub(crate) async fn hear_pong(&mut self) {
        let heard = self.socket.next().await.unwrap().unwrap();
        assert_eq!(heard, Message::Pong("beat".into()));
    }

    pub(crate) async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.send(Message::Close(Some(frame))).await.unwrap();
    }

    /// Waits for the client's close frame, and answers it.
    pub(crate) async fn hear_close(&mut self) -> u16 {
        let mut code = None;
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code.into());
            }
        }
        code.unwrap()
    }
}
