//! From what a client is told to its JSON text.
//!
//! Texts are put together by hand around the arguments' raw JSON: a serializer would want to
//! parse them first, and they are most of a message.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::binary::write_with_base64;
use crate::dialect::Problem;
use crate::message::{Body, Record};
use crate::name::{RoomId, UserId};
use crate::peer::UserPresence;
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;

/// Where a kept message stands.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Room(&'a RoomId),
    Inbox,
}

/// A JSON object that is being written.
struct Object(Vec<u8>);

impl Object {
    fn new(kind: &str, capacity: usize) -> Self {
        let mut object = Self(Vec::with_capacity(capacity + 96));
        object.0.extend_from_slice(b"{\"type\":\"");
        object.0.extend_from_slice(kind.as_bytes());
        object.0.push(b'"');
        object
    }

    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        write_text(&mut self.0, value);
        self
    }

    fn number(mut self, key: &str, value: u64) -> Self {
        self.key(key);
        write_number(&mut self.0, value);
        self
    }

    fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    fn raw(mut self, key: &str, json: &str) -> Self {
        self.key(key);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    fn list<T>(mut self, key: &str, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) -> Self {
        self.key(key);
        self.0.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            write(&mut self.0, item);
        }
        self.0.push(b']');
        self
    }

    fn position(self, position: &Position) -> Self {
        self.text("epoch", position.epoch.as_str()).number("offset", position.offset)
    }

    fn arguments(mut self, body: &Body) -> Self {
        let Body { event: _, arguments, attachments } = body;
        let single = arguments.count() == 1;
        self.key(if single { "data" } else { "args" });
        let brackets: (&[u8], &[u8]) = if single { (b"", b"") } else { (b"[", b"]") };
        self.0.extend_from_slice(brackets.0);
        write_with_base64(&mut self.0, arguments.json(), attachments);
        self.0.extend_from_slice(brackets.1);
        self
    }

    fn id(self, id: Option<u64>) -> Self {
        match id {
            Some(id) => self.number("id", id),
            None => self,
        }
    }

    fn end(mut self) -> Bytes {
        self.0.push(b'}');
        Bytes::from(self.0)
    }
}

/// A JSON string. Writing into a vector can't fail.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(out, &number);
}

pub(crate) fn welcome(
    session: &SessionId,
    user: &UserId,
    heartbeat_ms: u128,
    max_message_bytes: usize,
) -> Bytes {
    Object::new("welcome", 160)
        .text("session", &session.to_string())
        .text("user", user.as_str())
        .raw("heartbeat_ms", &heartbeat_ms.to_string())
        .number("max_message_bytes", max_message_bytes as u64)
        .end()
}

/// What an `ok` carries, besides its `id`. Socket.IO's acknowledgements are the same without one.
pub(crate) mod ok {
    use bytes::Bytes;

    use super::{Object, RoomId};
    use crate::peer::SendStatus;
    use crate::position::Position;

    fn begin(id: Option<u64>) -> Object {
        Object::new("ok", 32).id(id)
    }

    pub(crate) fn nothing(id: Option<u64>) -> Bytes {
        begin(id).end()
    }

    pub(crate) fn room(id: Option<u64>, room: &RoomId) -> Bytes {
        begin(id).text("room", room.as_str()).end()
    }

    pub(crate) fn joined(
        id: Option<u64>,
        room: &RoomId,
        position: &Position,
        members: usize,
        recovered: Option<bool>,
    ) -> Bytes {
        let object = begin(id)
            .text("room", room.as_str())
            .position(position)
            .number("members", members as u64);
        match recovered {
            Some(recovered) => object.flag("recovered", recovered).end(),
            None => object.end(),
        }
    }

    pub(crate) fn published(id: Option<u64>, room: &RoomId, position: &Position) -> Bytes {
        begin(id).text("room", room.as_str()).position(position).end()
    }

    pub(crate) fn sent(id: Option<u64>, to: &str, status: SendStatus) -> Bytes {
        begin(id).text("to", to).text("status", status.as_str()).end()
    }
}

/// The reply to `history`.
pub(crate) fn history(
    id: Option<u64>,
    room: &RoomId,
    epoch: &Epoch,
    records: &[impl AsRef<Record>],
) -> Bytes {
    let size: usize = records.iter().map(|record| record.as_ref().size() + 64).sum();
    Object::new("ok", size)
        .id(id)
        .text("room", room.as_str())
        .text("epoch", epoch.as_str())
        .list("messages", records, |out, record| {
            out.extend_from_slice(&message(Source::Room(room), epoch, record.as_ref()));
        })
        .end()
}

/// The reply to `presence`.
pub(crate) fn presence(
    id: Option<u64>,
    room: &RoomId,
    users: &[UserPresence],
    sure: bool,
) -> Bytes {
    Object::new("ok", users.len() * 40)
        .id(id)
        .text("room", room.as_str())
        .list("users", users, |out, presence| {
            out.extend_from_slice(b"{\"user\":");
            write_text(out, presence.user.as_str());
            out.extend_from_slice(b",\"connections\":");
            write_number(out, u64::from(presence.connections));
            out.push(b'}');
        })
        .flag("sure", sure)
        .end()
}

pub(crate) fn error(id: Option<u64>, problem: &Problem) -> Bytes {
    error_with(id, problem, None)
}

/// An error with JSON of the application's, if there is any.
pub(crate) fn error_with(id: Option<u64>, problem: &Problem, data: Option<&str>) -> Bytes {
    let size = problem.message.len() + data.map_or(0, str::len);
    let object = Object::new("error", size)
        .id(id)
        .text("code", problem.code.as_str())
        .text("message", &problem.message);
    match data {
        Some(data) => object.raw("data", data).end(),
        None => object.end(),
    }
}

/// A kept message of a room, or of an inbox.
pub(crate) fn message(source: Source<'_>, epoch: &Epoch, record: &Record) -> Bytes {
    match source {
        Source::Room(room) => Object::new("message", record.size())
            .text("room", room.as_str())
            .text("epoch", epoch.as_str())
            .number("offset", record.offset)
            .text("from", record.from.as_str())
            .text("event", &record.body.event)
            .arguments(&record.body)
            .number("time", record.time_ms)
            .end(),
        Source::Inbox => Object::new("private", record.size())
            .text("from", record.from.as_str())
            .text("event", &record.body.event)
            .arguments(&record.body)
            .text("epoch", epoch.as_str())
            .number("offset", record.offset)
            .number("time", record.time_ms)
            .end(),
    }
}

/// A message of a room that is not kept.
pub(crate) fn ephemeral(room: &RoomId, from: &UserId, body: &Body) -> Bytes {
    Object::new("ephemeral", body.size())
        .text("room", room.as_str())
        .text("from", from.as_str())
        .text("event", &body.event)
        .arguments(body)
        .end()
}

/// A private message that is not kept: ephemeral, or for one session. It has no position.
pub(crate) fn private(from: &UserId, body: &Body, time_ms: u64) -> Bytes {
    Object::new("private", body.size())
        .text("from", from.as_str())
        .text("event", &body.event)
        .arguments(body)
        .number("time", time_ms)
        .end()
}

/// `joined` or `left`.
pub(crate) fn announce(kind: &'static str, room: &RoomId, user: &UserId) -> Bytes {
    Object::new(kind, 32).text("room", room.as_str()).text("user", user.as_str()).end()
}

pub(crate) fn gap(room: &RoomId, epoch: &Epoch, offset: u64) -> Bytes {
    Object::new("gap", 32)
        .text("room", room.as_str())
        .text("epoch", epoch.as_str())
        .number("offset", offset)
        .end()
}
