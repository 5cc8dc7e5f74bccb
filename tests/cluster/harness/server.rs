//! A server of the application: what it asks of a router over HTTP.

use serde_json::Value;

use super::http::{Response, request};

/// The key of the tests' servers.
pub(crate) const KEY: &str = "a key of the tests";

/// Asks one router, each time over a connection of its own.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn post(self, path: &str, body: &Value) -> Response {
        self.ask("POST", path, &body.to_string()).await
    }

    pub(crate) async fn get(self, path: &str) -> Response {
        self.ask("GET", path, "").await
    }

    pub(crate) async fn delete(self, path: &str) -> Response {
        self.ask("DELETE", path, "").await
    }

    /// A request with the key; `path` is what follows `/api/v1`.
    pub(crate) async fn ask(self, method: &str, path: &str, body: &str) -> Response {
        let headers = format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
        self.ask_with(method, path, &headers, body).await
    }

    /// A request with these headers, which end in `\r\n` each.
    pub(crate) async fn ask_with(
        self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Response {
        let Self { port } = self;
        let length = body.len();
        let text = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        );
        request(port, text.as_bytes()).await
    }
}

impl Response {
    /// The answer to a request that must be granted.
    pub(crate) fn granted(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The status and the code of one that must be refused.
    pub(crate) fn refused(&self) -> (u16, String) {
        assert_ne!(self.status, 200, "{self:?}");
        let error = &self.json()["error"];
        assert!(error["message"].is_string(), "{self:?}");
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header =
            |line: &'_ str| line.split_once(": ").map(|(is, _)| is.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| header(line) == Some(true))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
