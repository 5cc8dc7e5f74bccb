//! How clients speak: what they say as messages, and what they hear in those that come.

mod native;
mod nats;
mod socketio;

use tokio_tungstenite::tungstenite::Message;

use crate::identity::Identity;
use crate::plan::Speech;

/// What a client says. Payloads are JSON, made by [`payload`].
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Say<'a> {
    Join {
        room: &'a str,
    },
    Leave {
        room: &'a str,
    },
    /// With an idempotency key, where the dialect has a place for one. To Socket.IO's servers a
    /// rule says which part of the payload is the key.
    Publish {
        room: &'a str,
        payload: &'a str,
        key: Option<u64>,
    },
    Typing {
        room: &'a str,
        payload: &'a str,
    },
    /// The key as of [`Say::Publish`].
    Private {
        user: &'a str,
        payload: &'a str,
        key: Option<u64>,
    },
}

/// What a client hears.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Heard<'a> {
    /// It has been let in; `recovered`: to the session that it had before, with what it missed.
    Welcome { recovered: bool },
    /// A message of the load, by what it carries.
    Delivery(Stamp),
    /// Somebody has come into a room (`is_here`) or gone from it.
    Presence { user: &'a str, is_here: bool },
    /// A request has been carried out.
    Done(u64),
    /// A request has not.
    Failed(u64, &'a str),
    /// The server complains of something without a number.
    Error(&'a str),
    /// This must be said at once: an answer to a heartbeat, or a greeting.
    Answer(Message),
}

/// A dialect, with what one client's connection needs to remember.
pub trait Dialect {
    /// For the same client's next connection, which comes back to what this one had if the dialect
    /// can.
    fn again(&self) -> Box<dyn Dialect>;
    /// Path and query of what is asked first.
    fn path(&mut self, identity: &Identity) -> String;
    /// The WebSocket's subprotocol.
    fn subprotocol(&self) -> Option<&'static str> {
        None
    }
    /// What is said; with a number, the server acknowledges it.
    fn say(&mut self, what: &Say<'_>, number: Option<u64>) -> Message;
    /// Takes a message apart.
    fn hear(&mut self, message: &[u8], heard: &mut dyn FnMut(Heard<'_>));
}

pub(crate) fn of(speech: Speech) -> Box<dyn Dialect> {
    match speech {
        Speech::Native => Box::new(native::Native),
        Speech::SocketIo => Box::new(socketio::SocketIo::new("websocket")),
        Speech::Polling => Box::new(socketio::SocketIo::new("polling")),
        Speech::Nats => Box::new(nats::Nats::default()),
    }
}

/// What a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The intended time, in microseconds since the start.
    pub time: u64,
    /// The message's number.
    pub number: u64,
}

/// The names under which a payload carries them.
const TIME: &[u8] = b"\"t\":";
const NUMBER: &[u8] = b"\"n\":";

/// A payload of about `size` bytes.
#[must_use]
pub fn payload(stamp: Stamp, size: usize) -> String {
    let Stamp { time, number } = stamp;
    let mut payload = format!("{{\"t\":{time},\"n\":{number},\"p\":\"");
    let rest = size.saturating_sub(payload.len() + 2);
    payload.extend(std::iter::repeat_n('x', rest));
    payload.push_str("\"}");
    payload
}

/// The stamp in a message, wherever the payload stands in it. The parts of an object have no order:
/// a server that reads payloads and writes them again may sort them.
fn stamp_in(message: &[u8]) -> Option<Stamp> {
    Some(Stamp { time: number_after(message, TIME)?, number: number_after(message, NUMBER)? })
}

/// The number that follows a text.
fn number_after(message: &[u8], before: &[u8]) -> Option<u64> {
    let start = memchr::memmem::find(message, before)? + before.len();
    number_at(&message[start..]).map(|(number, _)| number)
}

/// The text that follows another, up to the next quotation mark.
fn text_after<'a>(message: &'a [u8], before: &[u8]) -> &'a str {
    let start = memchr::memmem::find(message, before).map(|start| start + before.len());
    let rest = &message[start.unwrap_or(message.len())..];
    text(&rest[..memchr::memchr(b'"', rest).unwrap_or(rest.len())])
}

/// The number with which a text begins, and its length.
fn number_at(text: &[u8]) -> Option<(u64, usize)> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((number, length))
}

fn text(message: &[u8]) -> &str {
    std::str::from_utf8(message).unwrap_or("a message that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_size_and_gives_its_stamp_back() {
        let stamp = Stamp { time: 1_234_567, number: 42 };
        let payload = payload(stamp, 100);
        assert_eq!(payload.len(), 100);
        assert_eq!(stamp_in(payload.as_bytes()), Some(stamp));
        let value: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        assert_eq!((value["t"].as_u64(), value["n"].as_u64()), (Some(1_234_567), Some(42)));
    }

    #[test]
    fn a_stamp_is_found_in_whatever_order_a_server_writes_the_payload_again() {
        let stamp = Some(Stamp { time: 12, number: 3 });
        assert_eq!(stamp_in(br#"42["message",{"n":3,"p":"xx","t":12}]"#), stamp);
        assert_eq!(stamp_in(br#"42["message",{"p":"xx","t":12,"n":3}]"#), stamp);
    }

    #[test]
    fn a_payload_that_is_too_short_for_its_numbers_has_no_padding() {
        assert_eq!(payload(Stamp { time: 1, number: 2 }, 0), r#"{"t":1,"n":2,"p":""}"#);
    }

    #[test]
    fn numbers_that_are_too_long_or_missing_are_none() {
        assert_eq!(stamp_in(br#"{"t":x,"n":1}"#), None);
        assert_eq!(stamp_in(br#"{"t":1}"#), None);
        assert_eq!(stamp_in(br#"{"t":99999999999999999999999,"n":1}"#), None);
        assert_eq!(stamp_in(b""), None);
    }
}
