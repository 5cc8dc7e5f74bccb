//! What a client asks, and how it is written on the wire.

use serde::Serialize;

use crate::{Body, Position};

/// A message to a room, where [`Client::publish`](crate::Client::publish) says too little.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// use trunkline_client::{Body, Publish};
/// let typing = Publish::new("lobby", "typing", Body::data(&true)?).ephemeral().without_echo();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Publish {
    room: String,
    event: String,
    #[serde(flatten)]
    body: Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    ephemeral: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<bool>,
}

impl Publish {
    /// A message that is kept and comes back to its sender, too.
    pub fn new(room: impl Into<String>, event: impl Into<String>, body: Body) -> Self {
        let (room, event) = (room.into(), event.into());
        Self { room, event, body, key: None, ephemeral: false, echo: None }
    }

    /// Sets the idempotency key, 1 to 128 bytes: a repeat within five minutes gets the first
    /// one's position and is not delivered again.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Makes it pass: it gets no position, is not kept, and is the first to be dropped.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// Leaves out this connection (and no other of the user) when it is delivered.
    #[must_use]
    pub fn without_echo(mut self) -> Self {
        self.echo = Some(false);
        self
    }
}

/// A private message, where [`Client::send`](crate::Client::send) says too little.
#[derive(Clone, Debug, Serialize)]
pub struct SendTo {
    to: String,
    event: String,
    #[serde(flatten)]
    body: Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    ephemeral: bool,
}

impl SendTo {
    /// A message to a user, or to a session if `to` begins with `~`.
    pub fn new(to: impl Into<String>, event: impl Into<String>, body: Body) -> Self {
        let (to, event) = (to.into(), event.into());
        Self { to, event, body, key: None, ephemeral: false }
    }

    /// Sets the idempotency key, as [`Publish::key`].
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Lets it be lost if the user is not here.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }
}

/// Which part of a room's history; the newest 100 messages unless it says more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HistoryQuery {
    /// Only messages after this offset: the oldest of them, unless `before` is given too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only messages before this offset: the newest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// How many at most, 1 to 1000; 100 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which page of a room's users; the first 1000 unless it says more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PresenceQuery {
    /// Only users whose names sort after this one: the last of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many at most; 1000 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Every request, with the `type` that the protocol gives it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request<'a> {
    Join {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<Position>,
    },
    Leave {
        room: &'a str,
    },
    Publish(Publish),
    Send(SendTo),
    History {
        room: &'a str,
        #[serde(flatten)]
        query: HistoryQuery,
    },
    Presence {
        room: &'a str,
        #[serde(flatten)]
        query: PresenceQuery,
    },
    Auth {
        token: &'a str,
    },
    Ping,
}

impl Request<'_> {
    /// The text frame that asks for it as number `id`.
    pub(crate) fn encode(&self, id: u64) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Numbered<'a, 'b> {
            id: u64,
            #[serde(flatten)]
            request: &'a Request<'b>,
        }
        serde_json::to_string(&Numbered { id, request: self })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn requests_are_written_as_the_protocol_has_them() {
        let publish = |change: fn(Publish) -> Publish| {
            let raw = RawValue::from_string("1.50".to_owned()).unwrap();
            Request::Publish(change(Publish::new("lobby", "tick", Body::data(&raw).unwrap())))
        };
        let cases = [
            (
                Request::Join { room: "lobby", after: Some(Position::new("9k", 4)) },
                r#"{"id":7,"type":"join","room":"lobby","after":{"epoch":"9k","offset":4}}"#,
            ),
            (Request::Leave { room: "a" }, r#"{"id":7,"type":"leave","room":"a"}"#),
            (
                publish(|it| it),
                r#"{"id":7,"type":"publish","room":"lobby","event":"tick","data":1.50}"#,
            ),
            (
                publish(|it| it.key("k").ephemeral().without_echo()),
                r#"{"id":7,"type":"publish","room":"lobby","event":"tick","data":1.50,"key":"k","ephemeral":true,"echo":false}"#,
            ),
            (
                Request::Send(SendTo::new("bob", "note", Body::args(&[1, 2]).unwrap())),
                r#"{"id":7,"type":"send","to":"bob","event":"note","args":[1,2]}"#,
            ),
            (
                Request::History {
                    room: "a",
                    query: HistoryQuery { limit: Some(20), ..HistoryQuery::default() },
                },
                r#"{"id":7,"type":"history","room":"a","limit":20}"#,
            ),
            (Request::Ping, r#"{"id":7,"type":"ping"}"#),
        ];
        for (request, text) in cases {
            assert_eq!(request.encode(7).unwrap(), text);
        }
    }
}
