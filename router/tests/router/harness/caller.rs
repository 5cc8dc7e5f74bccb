//! A server of the application: one request over a connection of its own.

use std::net::SocketAddr;

use serde_json::Value;

use super::Raw;

/// The key that the tests configure.
pub(crate) const KEY: &str = "swordfish";

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names and values, in lower case as they came.
    pub(crate) head: String,
    /// `Null` if there is none.
    pub(crate) json: Value,
}

impl Answer {
    /// The error's code.
    pub(crate) fn code(&self) -> &str {
        self.json["error"]["code"].as_str().expect("an error")
    }
}

/// A request with the key and no body.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    ask_with(address, method, path, &format!("Authorization: Bearer {KEY}\r\n"), "").await
}

/// A POST of JSON with the key.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    let headers = format!(
        "Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    ask_with(address, "POST", path, &headers, body).await
}

/// A request with exactly these headers, each of which ends in `\r\n`.
pub(crate) async fn ask_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let mut raw = Raw::connect(address).await;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    raw.try_write((head + body).as_bytes()).await;
    let text = raw.rest().await;
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let json = serde_json::from_str(body).unwrap_or_default();
    Answer { status, head: head.to_owned(), json }
}
