//! One HTTP request on a connection of its own, and its answer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Raw;

/// A request as a browser would send it.
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: String,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// In lower case, lines.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::of("GET", path)
    }

    pub(crate) fn of(method: &'static str, path: impl Into<String>) -> Self {
        let headers = "Host: router\r\nConnection: close\r\n".to_owned();
        Self { method, path: path.into(), headers, body: String::new() }
    }

    pub(crate) fn post(path: impl Into<String>, body: impl Into<String>) -> Self {
        let request = Self { body: body.into(), ..Self::of("POST", path) };
        let length = request.body.len().to_string();
        request.header("Content-Length", &length)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.headers, "{name}: {value}\r\n").expect("text");
        self
    }

    /// Sends it; the answer is read from what this gives.
    pub(crate) async fn send(self, to: SocketAddr) -> Raw {
        let Self { method, path, headers, body } = self;
        let mut raw = Raw::connect(to).await;
        raw.try_write(format!("{method} {path} HTTP/1.1\r\n{headers}\r\n{body}").as_bytes()).await;
        raw
    }

    pub(crate) async fn answer(self, to: SocketAddr) -> Answered {
        Answered::read(self.send(to).await).await
    }
}

impl Answered {
    pub(crate) async fn read(mut raw: Raw) -> Self {
        let answer = raw.rest().await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status: status.expect("a status"), head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| *header == name).map(|(_, value)| value)
    }
}
