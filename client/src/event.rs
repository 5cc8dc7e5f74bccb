//! What the server tells without being asked.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Body, Closed, ErrorCode, Position};

/// What the server tells without being asked, in the order in which it came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A message in a room.
    Message(Message),
    /// A passing message, such as that someone types.
    Ephemeral(Ephemeral),
    /// A message to this user, or to this session alone.
    Private(Private),
    /// Somebody else's first connection came into a room.
    Joined(Member),
    /// Somebody else's last connection left a room.
    Left(Member),
    /// Messages were missed that can't be had any more.
    Gap(Gap),
    /// The server refused something without saying which request it was.
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// The connection has ended; nothing comes after this.
    Closed(Closed),
}

/// A message in a room.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Message {
    /// The room.
    pub room: String,
    /// Where it is in the room's history.
    pub position: Position,
    /// The user who sent it.
    pub from: String,
    /// The event's name.
    pub event: String,
    /// What it carries.
    pub body: Body,
    /// When the room's owner took it, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A message that is not kept and has no position.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Ephemeral {
    /// The room, or none if it was sent to this user.
    pub room: Option<String>,
    /// The user who sent it.
    pub from: String,
    /// The event's name.
    pub event: String,
    /// What it carries.
    pub body: Body,
}

/// A message to this user or this session.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Private {
    /// The user who sent it.
    pub from: String,
    /// The event's name.
    pub event: String,
    /// What it carries.
    pub body: Body,
    /// Where it is in the inbox; none if it is not kept there.
    pub position: Option<Position>,
    /// When the inbox's owner took it, in milliseconds since 1970.
    pub time_ms: Option<u64>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// The room.
    pub room: String,
    /// Who.
    pub user: String,
}

/// What was missed up to a position can't be had.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Gap {
    /// The room, or none if it is the inbox's.
    pub room: Option<String>,
    /// The last position that is lost: the next message follows it.
    #[serde(flatten)]
    pub position: Position,
}

/// The fields of all three kinds of messages, before it is known that a kind has its own.
#[derive(Deserialize)]
struct Fields {
    room: Option<String>,
    epoch: Option<String>,
    offset: Option<u64>,
    from: String,
    event: String,
    // Not an option of the raw value: that would take `null` for absent.
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    args: Option<Box<RawValue>>,
    time: Option<u64>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// A field that the kind of message can't be without is not there.
#[derive(Debug, thiserror::Error)]
#[error("missing field `{0}`")]
struct Missing(&'static str);

fn body(data: Option<Box<RawValue>>, args: Option<Box<RawValue>>) -> Result<Body, Missing> {
    match (data, args) {
        (Some(data), _) => Ok(Body::Data(data)),
        (None, Some(args)) => Ok(Body::Args(args)),
        (None, None) => Err(Missing("data")),
    }
}

fn position(epoch: Option<String>, offset: Option<u64>) -> Option<Position> {
    Some(Position { epoch: epoch?, offset: offset? })
}

impl TryFrom<Fields> for Message {
    type Error = Missing;

    fn try_from(fields: Fields) -> Result<Self, Missing> {
        let Fields { room, epoch, offset, from, event, data, args, time } = fields;
        Ok(Self {
            room: room.ok_or(Missing("room"))?,
            position: position(epoch, offset).ok_or(Missing("epoch and offset"))?,
            from,
            event,
            body: body(data, args)?,
            time_ms: time.ok_or(Missing("time"))?,
        })
    }
}

impl TryFrom<Fields> for Ephemeral {
    type Error = Missing;

    fn try_from(fields: Fields) -> Result<Self, Missing> {
        let Fields { room, epoch: _, offset: _, from, event, data, args, time: _ } = fields;
        Ok(Self { room, from, event, body: body(data, args)? })
    }
}

impl TryFrom<Fields> for Private {
    type Error = Missing;

    fn try_from(fields: Fields) -> Result<Self, Missing> {
        let Fields { room: _, epoch, offset, from, event, data, args, time } = fields;
        let position = position(epoch, offset);
        Ok(Self { from, event, body: body(data, args)?, position, time_ms: time })
    }
}
