//! Whom to connect to, and as whom.

use std::fmt;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_tungstenite::tungstenite::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::{ConnectError, Position};

/// Whom to connect to, and as whom.
#[derive(Clone)]
pub struct Options {
    url: String,
    room: Option<String>,
    user: Option<String>,
    token: Option<String>,
    namespace: Option<String>,
    inbox: Option<Position>,
    origin: Option<String>,
    pub(crate) deadline: Duration,
    pub(crate) events: usize,
    pub(crate) max_message_bytes: usize,
}

impl Options {
    /// A connection of nobody in particular to `url`, such as `ws://127.0.0.1:8080`; `http://` is
    /// understood too. Without a path it is `/ws`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            room: None,
            user: None,
            token: None,
            namespace: None,
            inbox: None,
            origin: None,
            deadline: Duration::from_secs(10),
            events: 1024,
            // A page of history is the longest that a server sends: 1 MiB of messages by default,
            // and what JSON adds to it.
            max_message_bytes: 16 << 20,
        }
    }

    /// Places the connection on the shard of this room. It doesn't join it.
    #[must_use]
    pub fn room(mut self, room: impl Into<String>) -> Self {
        self.room = Some(room.into());
        self
    }

    /// Says who speaks; believed by servers in auth mode "open" only.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Proves who speaks. It travels in the `Authorization` header, which unlike the URL is not
    /// written to the logs of what lies between.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The namespace, `/` if not given.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Resumes the user's inbox after this position.
    #[must_use]
    pub fn inbox(mut self, after: Position) -> Self {
        self.inbox = Some(after);
        self
    }

    /// Sends this `Origin` header, as browsers do.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// How long to wait for the welcome, for each reply and for each write; 10 seconds if not
    /// given.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many events may wait to be read, at least 1, before reading from the server stops;
    /// 1024 if not given.
    #[must_use]
    pub fn events(mut self, capacity: usize) -> Self {
        self.events = capacity.max(1);
        self
    }

    /// The longest message that is taken from the server, 16 MiB if not given.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    fn wrong(&self, why: &dyn fmt::Display) -> ConnectError {
        ConnectError::Url { url: self.url.clone(), why: why.to_string() }
    }

    /// The address with the scheme of a WebSocket, the path and the query.
    pub(crate) fn uri(&self) -> Result<Uri, ConnectError> {
        let (scheme, rest) =
            self.url.split_once("://").ok_or_else(|| self.wrong(&"it has no scheme"))?;
        let scheme = match scheme {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            _ => return Err(self.wrong(&"its scheme is neither ws nor wss")),
        };
        let (authority, path) = match rest.split_once('/') {
            None | Some((_, "")) => (rest.trim_end_matches('/'), "ws"),
            Some(parts) => parts,
        };
        let inbox = self.inbox.as_ref().map(Position::to_string);
        let query = [
            ("room", self.room.as_deref()),
            ("user", self.user.as_deref()),
            ("ns", self.namespace.as_deref()),
            ("inbox", inbox.as_deref()),
        ];
        let query: Vec<String> = query
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let mark = match (query.is_empty(), path.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        format!("{scheme}://{authority}/{path}{mark}{}", query.join("&"))
            .parse()
            .map_err(|error| self.wrong(&error))
    }

    /// Where to open a TCP connection to, as `host:port`.
    pub(crate) fn address(&self) -> Result<String, ConnectError> {
        let uri = self.uri()?;
        if uri.scheme_str() == Some("wss") {
            return Err(ConnectError::NeedsTls);
        }
        let host = uri.host().ok_or_else(|| self.wrong(&"it has no host"))?;
        Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
    }

    /// The upgrade request.
    pub(crate) fn upgrade(&self) -> Result<ClientRequestBuilder, ConnectError> {
        let mut request = ClientRequestBuilder::new(self.uri()?).with_sub_protocol("trunkline.v1");
        if let Some(token) = &self.token {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        if let Some(origin) = &self.origin {
            request = request.with_header("Origin", origin);
        }
        Ok(request)
    }
}

/// Without the token: debug output ends up in logs.
impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options")
            .field("url", &self.url)
            .field("room", &self.room)
            .field("user", &self.user)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("namespace", &self.namespace)
            .field("inbox", &self.inbox)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_text_survive_the_query() {
        let options = Options::new("http://127.0.0.1:8080/")
            .room("a&b=c d")
            .user("zoë")
            .inbox(Position::new("9k", 7));
        assert_eq!(
            options.uri().unwrap().to_string(),
            "ws://127.0.0.1:8080/ws?room=a%26b%3Dc%20d&user=zo%C3%AB&inbox=9k%3A7"
        );
    }

    #[test]
    fn a_path_of_its_own_is_kept() {
        let options = Options::new("ws://[::1]/chat/ws?v=1").user("a");
        assert_eq!(options.uri().unwrap().to_string(), "ws://[::1]/chat/ws?v=1&user=a");
        assert_eq!(options.address().unwrap(), "[::1]:80");
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        for url in ["", "localhost:8080", "ftp://a", "ws://", "ws://a b"] {
            assert!(matches!(Options::new(url).address(), Err(ConnectError::Url { .. })), "{url}");
        }
        assert!(matches!(Options::new("wss://a").address(), Err(ConnectError::NeedsTls)));
    }

    #[test]
    fn debug_output_keeps_the_token_to_itself() {
        let shown = format!("{:?}", Options::new("ws://a").token("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
