//! From what a client is told to Socket.IO packets.
//!
//! Texts begin with Engine.IO's type of a message, `4`: so the same bytes go to a WebSocket and
//! into the answer to a poll. They are put together by hand around the arguments' raw JSON.

use std::borrow::Cow;

use bytes::Bytes;

use crate::binary::write_renumbered;
use crate::message::{Arguments, Record};
use crate::name::{Namespace, RoomId, UserId};
use crate::output::Part;
use crate::position::Epoch;
use crate::session_id::SessionId;

/// What a receiver is told of a message behind its arguments.
#[derive(Clone, Copy)]
pub(crate) struct Meta<'a> {
    /// None for a private message.
    pub(crate) room: Option<&'a RoomId>,
    pub(crate) from: &'a UserId,
    /// None for a message that is not kept.
    pub(crate) kept: Option<(&'a Epoch, u64)>,
    pub(crate) time_ms: Option<u64>,
}

impl<'a> Meta<'a> {
    /// Of a kept message of a room, or of an inbox.
    pub(crate) fn of(room: Option<&'a RoomId>, epoch: &'a Epoch, record: &'a Record) -> Self {
        let kept = Some((epoch, record.offset));
        Self { room, from: &record.from, kept, time_ms: Some(record.time_ms) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(room) = self.room {
            out.extend_from_slice(b"\"room\":");
            write_text(out, room.as_str());
            out.push(b',');
        }
        out.extend_from_slice(b"\"from\":");
        write_text(out, self.from.as_str());
        if let Some((epoch, offset)) = self.kept {
            out.extend_from_slice(b",\"epoch\":");
            write_text(out, epoch.as_str());
            out.extend_from_slice(b",\"offset\":");
            write_number(out, offset);
        }
        if let Some(time_ms) = self.time_ms {
            out.extend_from_slice(b",\"time\":");
            write_number(out, time_ms);
        }
        out.push(b'}');
    }
}

/// An event: its name, its arguments, what is to be known of it, and the place in the stream to
/// the client from which it can recover.
pub(crate) fn event(
    namespace: &Namespace,
    id: Option<u64>,
    name: &str,
    (arguments, attachments): (&Arguments, &[Bytes]),
    meta: Option<&Meta<'_>>,
    stamp: Option<&str>,
) -> Vec<Part> {
    let mut attached = Vec::new();
    let mut values = Cow::Borrowed(arguments.json().as_bytes());
    if !attachments.is_empty() {
        let mut renumbered = Vec::with_capacity(values.len());
        write_renumbered(&mut renumbered, arguments.json(), attachments, &mut attached);
        values = Cow::Owned(renumbered);
    }
    let size = name.len() + values.len() + 160;
    let mut text = begin((b'2', b'5'), namespace, id, attached.len(), size);
    text.push(b'[');
    write_text(&mut text, name);
    if arguments.count() > 0 {
        text.push(b',');
        text.extend_from_slice(&values);
    }
    if let Some(meta) = meta {
        text.push(b',');
        meta.write(&mut text);
    }
    if let Some(stamp) = stamp {
        text.push(b',');
        write_text(&mut text, stamp);
    }
    text.push(b']');
    complete(text, attached)
}

/// A kept message of a room, or of an inbox.
pub(crate) fn record(
    namespace: &Namespace,
    room: Option<&RoomId>,
    epoch: &Epoch,
    record: &Record,
    stamp: Option<&str>,
) -> Vec<Part> {
    let meta = Meta::of(room, epoch, record);
    let body = &record.body;
    let content = (&body.arguments, &body.attachments[..]);
    event(namespace, None, &body.event, content, Some(&meta), stamp)
}

/// `joined` or `left`.
pub(crate) fn announce(
    namespace: &Namespace,
    kind: &str,
    room: &RoomId,
    user: &UserId,
) -> Vec<Part> {
    let mut object = Vec::with_capacity(room.as_str().len() + user.as_str().len() + 24);
    object.extend_from_slice(b"{\"room\":");
    write_text(&mut object, room.as_str());
    object.extend_from_slice(b",\"user\":");
    write_text(&mut object, user.as_str());
    object.push(b'}');
    vec![object_event(namespace, kind, &object)]
}

/// What was missed in a room, up to an offset, can't be had.
pub(crate) fn gap(
    namespace: &Namespace,
    room: &RoomId,
    (epoch, offset): (&Epoch, u64),
    stamp: Option<&str>,
) -> Part {
    let mut object = b"{\"room\":".to_vec();
    write_text(&mut object, room.as_str());
    object.extend_from_slice(b",\"epoch\":");
    write_text(&mut object, epoch.as_str());
    object.extend_from_slice(format!(",\"offset\":{offset}}}").as_bytes());
    if let Some(stamp) = stamp {
        object.push(b',');
        write_text(&mut object, stamp);
    }
    object_event(namespace, "gap", &object)
}

/// An event with one object, or with more values behind it.
pub(crate) fn object_event(namespace: &Namespace, name: &str, object: &[u8]) -> Part {
    let mut text = begin_single(b'2', namespace.as_str(), name.len() + object.len() + 8);
    text.push(b'[');
    write_text(&mut text, name);
    text.push(b',');
    text.extend_from_slice(object);
    text.push(b']');
    Part::text(text.into())
}

/// An acknowledgement with these arguments: JSON values joined by commas.
pub(crate) fn acknowledgement(
    namespace: &Namespace,
    id: u64,
    json: &[u8],
    attachments: Vec<Bytes>,
) -> Vec<Part> {
    let size = json.len() + 2;
    let mut text = begin((b'3', b'6'), namespace, Some(id), attachments.len(), size);
    text.push(b'[');
    text.extend_from_slice(json);
    text.push(b']');
    complete(text, attachments)
}

/// The answer to a CONNECT. With a private ID the client can recover.
pub(crate) fn connected(
    namespace: &Namespace,
    session: &SessionId,
    private_id: Option<&SessionId>,
) -> Part {
    let mut text = begin_single(b'0', namespace.as_str(), 96);
    text.extend_from_slice(b"{\"sid\":");
    write_text(&mut text, &session.to_string());
    if let Some(private_id) = private_id {
        text.extend_from_slice(b",\"pid\":");
        write_text(&mut text, &private_id.to_string());
    }
    text.push(b'}');
    Part::text(text.into())
}

/// A refused CONNECT to what may not even be a namespace. `data` is a JSON value.
pub(crate) fn refused(namespace: &str, message: &str, data: Option<&str>) -> Part {
    let size = message.len() + data.map_or(0, str::len) + 32;
    let mut text = begin_single(b'4', namespace, size);
    text.extend_from_slice(b"{\"message\":");
    write_text(&mut text, message);
    if let Some(data) = data {
        text.extend_from_slice(b",\"data\":");
        text.extend_from_slice(data.as_bytes());
    }
    text.push(b'}');
    Part::text(text.into())
}

/// The client has been taken out of a namespace.
pub(crate) fn disconnect(namespace: &Namespace) -> Part {
    Part::text(begin_single(b'1', namespace.as_str(), 0).into())
}

/// A text as JSON.
pub(crate) fn json_text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_text(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// A packet without a number or attachments, up to its data, which takes about `size` bytes.
fn begin_single(kind: u8, namespace: &str, size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(namespace.len() + size + 3);
    text.extend_from_slice(&[b'4', kind]);
    write_namespace(&mut text, namespace);
    text
}

/// A packet up to its data, which takes about `size` bytes. Its kind is one of two, for packets
/// without attachments and with some.
fn begin(
    (plain, binary): (u8, u8),
    namespace: &Namespace,
    id: Option<u64>,
    attachments: usize,
    size: usize,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + namespace.as_str().len() + 32);
    text.push(b'4');
    if attachments == 0 {
        text.push(plain);
    } else {
        text.push(binary);
        write_number(&mut text, attachments as u64);
        text.push(b'-');
    }
    write_namespace(&mut text, namespace.as_str());
    if let Some(id) = id {
        write_number(&mut text, id);
    }
    text
}

fn complete(text: Vec<u8>, attachments: Vec<Bytes>) -> Vec<Part> {
    let mut parts = Vec::with_capacity(1 + attachments.len());
    parts.push(Part::text(text.into()));
    parts.extend(attachments.into_iter().map(Part::binary));
    parts
}

fn write_namespace(out: &mut Vec<u8>, namespace: &str) {
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

/// A JSON string. Writing into a vector can't fail.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(out, &number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Namespace {
        Namespace::parse("/").unwrap()
    }

    fn admin() -> Namespace {
        Namespace::parse("/admin").unwrap()
    }

    fn texts(parts: &[Part]) -> Vec<&str> {
        parts.iter().map(|part| std::str::from_utf8(&part.payload).unwrap()).collect()
    }

    #[test]
    fn an_event_carries_its_arguments_then_its_meta_then_its_stamp() {
        let room = RoomId::parse("lobby").unwrap();
        let from = UserId::parse("al\"ice").unwrap();
        let epoch = Epoch::new("9k");
        let meta =
            Meta { room: Some(&room), from: &from, kept: Some((&epoch, 7)), time_ms: Some(5) };
        let arguments = Arguments::new("1, {\"a\": 2}", 2);
        let parts = event(&root(), None, "hi", (&arguments, &[]), Some(&meta), Some("s.1"));
        assert_eq!(
            texts(&parts),
            [
                "42[\"hi\",1, {\"a\": 2},{\"room\":\"lobby\",\"from\":\"al\\\"ice\",\"epoch\":\"9k\",\"offset\":7,\"time\":5},\"s.1\"]"
            ]
        );
    }

    #[test]
    fn an_event_without_arguments_is_its_name_alone() {
        let parts = event(&admin(), Some(4), "hi", (&Arguments::new("", 0), &[]), None, None);
        assert_eq!(texts(&parts), ["42/admin,4[\"hi\"]"]);
    }

    #[test]
    fn attachments_follow_the_text_that_counts_them() {
        let arguments = Arguments::new("{\"_placeholder\":true,\"num\":0}", 1);
        let attachments = [Bytes::from_static(b"x")];
        let parts = event(&admin(), None, "b", (&arguments, &attachments), None, None);
        assert_eq!(texts(&parts), ["451-/admin,[\"b\",{\"_placeholder\":true,\"num\":0}]", "x"]);
        assert!(!parts[0].binary && parts[1].binary);
    }

    #[test]
    fn the_packets_of_a_connection_are_as_the_protocol_has_them() {
        let session = SessionId([1; 24]);
        let text = |part: Part| String::from_utf8(part.payload.to_vec()).unwrap();
        assert_eq!(
            text(connected(&root(), &session, None)),
            format!("40{{\"sid\":\"{session}\"}}")
        );
        assert_eq!(
            text(connected(&admin(), &session, Some(&session))),
            format!("40/admin,{{\"sid\":\"{session}\",\"pid\":\"{session}\"}}")
        );
        assert_eq!(
            text(refused("/admin", "Invalid namespace", None)),
            "44/admin,{\"message\":\"Invalid namespace\"}"
        );
        assert_eq!(text(disconnect(&admin())), "41/admin,");
        assert_eq!(texts(&acknowledgement(&root(), 3, b"1", Vec::new())), ["433[1]"]);
    }
}
