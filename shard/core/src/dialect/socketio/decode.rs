//! From a client's text to a packet. What the reference server's parser takes is taken, what it
//! refuses ends the connection.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use trunkline_config::events::RESERVED_EVENTS;

use crate::binary::ATTACHMENTS_MAX;

/// What kind of packet it is (protocol, "Packet types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Disconnect,
    Event,
    Acknowledgement,
    ConnectError,
}

/// A packet whose attachments may still be to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) kind: Kind,
    /// How many binary messages follow.
    pub(crate) attachments: usize,
    pub(crate) namespace: &'a str,
    /// The number that an acknowledgement is asked for or given by.
    pub(crate) id: Option<u64>,
    /// JSON of the type that the kind demands; empty if there is none.
    pub(crate) data: &'a str,
    /// What `data` is, if it is an event.
    pub(crate) emitted: Option<Emitted>,
}

/// What a client emits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Emitted {
    /// The event's name.
    pub(crate) name: Arc<str>,
    /// Where in the packet's data its arguments stand.
    pub(crate) arguments: Vec<Range<usize>>,
}

/// A complete packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) kind: Kind,
    pub(crate) namespace: Cow<'static, str>,
    pub(crate) id: Option<u64>,
    /// As in [`Header`].
    pub(crate) data: String,
    pub(crate) emitted: Option<Emitted>,
    /// What the placeholders in `data` stand for; each is named by one or more.
    pub(crate) attachments: Vec<bytes::Bytes>,
}

/// The namespace of packets that name none.
const ROOT: &str = "/";

/// A text that is no packet: the connection ends, as with the reference server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("a packet of no known type")]
    Type,
    #[error("a number of attachments that can not be")]
    Attachments,
    #[error("a payload that does not fit the packet's type")]
    Payload,
    #[error("a text where an attachment was due")]
    TextForBinary,
    #[error("an attachment that no packet announced")]
    BinaryForText,
    #[error("more than a message may have")]
    TooLarge,
}

impl<'a> Header<'a> {
    /// Reads a text.
    pub(crate) fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut rest = text;
        let (kind, binary) = match take(&mut rest, 1) {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Acknowledgement, false),
            "4" => (Kind::ConnectError, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Acknowledgement, true),
            _ => return Err(ParseError::Type),
        };
        let attachments = if binary { take_attachments(&mut rest)? } else { 0 };
        let namespace = match rest.starts_with('/') {
            true => {
                let end = rest.find(',').unwrap_or(rest.len());
                let namespace = take(&mut rest, end);
                take(&mut rest, 1);
                namespace
            }
            false => ROOT,
        };
        let id = take_id(&mut rest)?;
        let emitted = match kind {
            Kind::Event => Some(Emitted::parse(rest).ok_or(ParseError::Payload)?),
            _ if payload_fits(kind, rest) => None,
            _ => return Err(ParseError::Payload),
        };
        Ok(Self { kind, attachments, namespace, id, data: rest, emitted })
    }

    /// The packet, without its attachments.
    pub(crate) fn packet(self) -> Packet {
        let Self { kind, attachments: _, namespace, id, data, emitted } = self;
        let namespace = match namespace {
            ROOT => Cow::Borrowed(ROOT),
            other => Cow::Owned(other.to_owned()),
        };
        Packet { kind, namespace, id, data: data.to_owned(), emitted, attachments: Vec::new() }
    }
}

/// Takes up to `count` bytes; fewer where there are no more, or a character would be cut.
fn take<'a>(rest: &mut &'a str, count: usize) -> &'a str {
    let (taken, left) = rest.split_at(rest.floor_char_boundary(count));
    *rest = left;
    taken
}

fn take_attachments(rest: &mut &str) -> Result<usize, ParseError> {
    let digits = take(rest, rest.bytes().take_while(u8::is_ascii_digit).count());
    if take(rest, 1) != "-" {
        return Err(ParseError::Attachments);
    }
    match digits.parse() {
        Ok(count) if count <= ATTACHMENTS_MAX => Ok(count),
        _ => Err(ParseError::Attachments),
    }
}

fn take_id(rest: &mut &str) -> Result<Option<u64>, ParseError> {
    let digits = take(rest, rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits.is_empty() {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| ParseError::Payload)
}

/// What the protocol demands of each kind's payload but an event's.
fn payload_fits(kind: Kind, data: &str) -> bool {
    let is = |first: u8| {
        data.as_bytes().first() == Some(&first) && serde_json::from_str::<&RawValue>(data).is_ok()
    };
    match kind {
        Kind::Connect => data.is_empty() || is(b'{'),
        Kind::Disconnect => data.is_empty(),
        Kind::Event | Kind::Acknowledgement => is(b'['),
        Kind::ConnectError => is(b'{') || is(b'"'),
    }
}

impl Emitted {
    /// Reads an event's payload.
    fn parse(data: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        if !data.starts_with('[') {
            return None;
        }
        let mut arguments = array_parts(data)?;
        let first = &data[arguments.first()?.clone()];
        let name = match first.as_bytes().first()? {
            b'"' => serde_json::from_str::<Text<'_>>(first).ok()?.0,
            // The protocol lets an event be named by a number.
            b'-' | b'0'..=b'9' => Cow::Borrowed(first),
            _ => return None,
        };
        if RESERVED_EVENTS.contains(&name.as_ref()) {
            return None;
        }
        let name = Arc::from(name);
        arguments.remove(0);
        Some(Self { name, arguments })
    }
}

/// Where in a JSON array its values stand.
pub(crate) fn array_parts(array: &str) -> Option<Vec<Range<usize>>> {
    let values: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    // A raw value is a slice of the text that it was read from.
    let place = |value: &&RawValue| {
        let start = value.get().as_ptr().addr().checked_sub(array.as_ptr().addr())?;
        let place = start..start + value.get().len();
        array.get(place.clone()).map(|_| place)
    };
    values.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(Kind, usize, &str, Option<u64>, &str), ParseError> {
        Header::parse(text).map(|it| (it.kind, it.attachments, it.namespace, it.id, it.data))
    }

    #[test]
    fn the_examples_of_the_protocol_are_read() {
        assert_eq!(parse("0"), Ok((Kind::Connect, 0, "/", None, "")));
        assert_eq!(
            parse("0/admin,{\"token\":\"123\"}"),
            Ok((Kind::Connect, 0, "/admin", None, "{\"token\":\"123\"}"))
        );
        assert_eq!(parse("1/admin,"), Ok((Kind::Disconnect, 0, "/admin", None, "")));
        assert_eq!(parse("1/admin"), Ok((Kind::Disconnect, 0, "/admin", None, "")));
        assert_eq!(parse("2[\"foo\"]"), Ok((Kind::Event, 0, "/", None, "[\"foo\"]")));
        assert_eq!(
            parse("212[\"foo\"]"),
            Ok((Kind::Event, 0, "/", Some(12), "[\"foo\"]")),
            "an acknowledgement is asked for"
        );
        assert_eq!(
            parse("3/admin,13[\"bar\"]"),
            Ok((Kind::Acknowledgement, 0, "/admin", Some(13), "[\"bar\"]"))
        );
        let binary = "51-/admin,456[\"baz\",{\"_placeholder\":true,\"num\":0}]";
        let data = "[\"baz\",{\"_placeholder\":true,\"num\":0}]";
        assert_eq!(parse(binary), Ok((Kind::Event, 1, "/admin", Some(456), data)));
    }

    #[test]
    fn what_the_reference_refuses_is_refused() {
        for (text, error) in [
            ("", ParseError::Type),
            ("7", ParseError::Type),
            ("x", ParseError::Type),
            ("ü", ParseError::Type),
            ("5[\"a\"]", ParseError::Attachments),
            ("5-[\"a\"]", ParseError::Attachments),
            ("51[\"a\"]", ParseError::Attachments),
            ("5999-[\"a\"]", ParseError::Attachments),
            ("2", ParseError::Payload),
            ("2{}", ParseError::Payload),
            ("2[]", ParseError::Payload),
            ("2[null]", ParseError::Payload),
            ("2[{\"a\":1}]", ParseError::Payload),
            ("2[\"a\"", ParseError::Payload),
            ("2[\"connect\"]", ParseError::Payload),
            ("2[\"disconnecting\"]", ParseError::Payload),
            ("0[]", ParseError::Payload),
            ("0\"a\"", ParseError::Payload),
            ("1{}", ParseError::Payload),
            ("3{}", ParseError::Payload),
            ("299999999999999999999999[\"a\"]", ParseError::Payload),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_events_arguments_are_what_follows_its_name() {
        let parts = |data: &str| {
            let Emitted { name, arguments } = Emitted::parse(data)?;
            let values = arguments.into_iter().map(|place| data[place].to_owned());
            Some((name.to_string(), values.collect::<Vec<_>>()))
        };
        let event = |name: &str, values: &[&str]| {
            Some((name.to_owned(), values.iter().map(|it| (*it).to_owned()).collect()))
        };
        assert_eq!(parts("[\"a\"]"), event("a", &[]));
        assert_eq!(parts("[ \"a\" , 1, {\"b\":[]} ]"), event("a", &["1", "{\"b\":[]}"]));
        assert_eq!(parts("[\"\\u0061\\n\",1]"), event("a\n", &["1"]));
        assert_eq!(parts("[7,\"]\"]"), event("7", &["\"]\""]));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Header::parse(&text);
        }

        #[test]
        fn no_plausible_text_makes_it_panic(text in "[0-7]{1,2}-?(/[a,]*)?[0-9]{0,3}[\\[\\]{}\",a:0 ü]*") {
            if let Ok(header) = Header::parse(&text) {
                prop_assert!(text.ends_with(header.data));
            }
        }
    }
}
