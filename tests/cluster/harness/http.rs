//! Plain HTTP requests, well-formed and otherwise, over a bare socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A response, read to the end of the connection.
#[derive(Debug)]
pub(crate) struct Response {
    /// 0 when the connection ended without any.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `GET`s a path of a local port.
pub(crate) async fn get(port: u16, path: &str) -> Response {
    let text =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    request(port, text.as_bytes()).await
}

/// Sends these bytes and reads until the other side closes.
pub(crate) async fn request(port: u16, bytes: &[u8]) -> Response {
    let exchange = async {
        let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)).await else {
            return Vec::new();
        };
        // A server that refuses early may close before it has read everything.
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        answer
    };
    let answer = timeout(Duration::from_secs(30), exchange).await.expect("an end in time");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Response { status, head: head.to_owned(), body: body.to_owned() }
}
