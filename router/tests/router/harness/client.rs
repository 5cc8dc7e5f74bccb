//! A client as people write them: a WebSocket library that masks, answers pings and closes.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::soon;

pub(crate) struct Client<S = TcpStream> {
    socket: WebSocketStream<S>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("connects");
        Self::over(stream, &format!("ws://{address}{path}")).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over a stream that is connected already.
    pub(crate) async fn over(stream: S, url: &str) -> Self {
        let opened = soon("the upgrade", tokio_tungstenite::client_async(url, stream)).await;
        Self { socket: opened.expect("an upgrade").0 }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        soon("a write", self.socket.send(Message::text(text))).await.expect("written");
    }

    /// The next text.
    pub(crate) async fn hear(&mut self) -> String {
        loop {
            match soon("a message", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("not a text: {other:?}"),
            }
        }
    }

    /// The code with which the router closes, whatever comes before.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match soon("a close", self.socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    // Reads on, which sends the answer.
                    while let Some(Ok(_)) = soon("the end", self.socket.next()).await {}
                    return frame.code.into();
                }
                Some(Ok(_)) => {}
                other => panic!("no close: {other:?}"),
            }
        }
    }

    pub(crate) async fn close(mut self) {
        soon("a close", self.socket.close(None)).await.expect("closed");
        while let Some(Ok(_)) = soon("the end", self.socket.next()).await {}
    }
}
