//! What is published: an event's name and its arguments, and the record that a log keeps of it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::name::UserId;
use crate::session_id::SessionId;

/// An event's arguments as the sender wrote them: JSON values joined by commas, with no bracket
/// around them. Native JSON puts one argument behind `data` and several between brackets,
/// Socket.IO puts the event's name before them: neither has to parse or write them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    json: Arc<str>,
    count: u32,
}

impl Arguments {
    /// `count` JSON values, joined by commas. Whoever makes it has parsed them.
    #[must_use]
    pub fn new(json: &str, count: u32) -> Self {
        Self { json: Arc::from(json), count }
    }

    /// The values of a JSON array; none if it is none.
    pub(crate) fn of_array(array: &str) -> Option<Self> {
        let values: Vec<&RawValue> = serde_json::from_str(array).ok()?;
        let inner = array.trim().strip_prefix('[')?.strip_suffix(']')?;
        Some(Self::new(inner.trim(), u32::try_from(values.len()).ok()?))
    }

    /// The values, joined by commas.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// A message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The event's name, 1 to 256 bytes.
    pub event: Arc<str>,
    /// Its arguments. Where one has binary inside there is a placeholder, as Socket.IO writes it:
    /// `{"_placeholder":true,"num":N}`.
    pub arguments: Arguments,
    /// What the placeholders stand for, by number; each is used.
    pub attachments: Vec<Bytes>,
}

impl Body {
    /// About how many bytes it takes to keep or to send.
    #[must_use]
    pub fn size(&self) -> usize {
        let attached: usize = self.attachments.iter().map(Bytes::len).sum();
        self.event.len() + self.arguments.json.len() + attached
    }
}

/// A message as a topic's log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the topic's history, from 1.
    pub offset: u64,
    /// When the owner took it, in milliseconds since 1970; never less than the one before.
    pub time_ms: u64,
    /// Who sent it.
    pub from: UserId,
    /// By which session, and the session's count of its messages: what a repeat is recognised by.
    pub session: SessionId,
    /// See `session`.
    pub sequence: u64,
    /// The client's idempotency key, so that a repeat is recognised after the log is all that is left.
    pub key: Option<Arc<str>>,
    /// Whether the sending connection gets it too.
    pub echo: bool,
    /// The content.
    pub body: Body,
}

/// What a record takes beside its content, in bytes: its own fields and the places that hold it.
const RECORD_OVERHEAD: usize = 128;

impl Record {
    /// Whether it is for a session: a message without echo is not for who has sent it.
    pub(crate) fn is_heard_by(&self, session: SessionId) -> bool {
        self.echo || self.session != session
    }

    /// About how many bytes it takes to keep.
    #[must_use]
    pub fn size(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| key.len());
        RECORD_OVERHEAD + self.from.as_str().len() + key + self.body.size()
    }
}
