//! From a client's text to a request. Every malformed text has an answer; none panics.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use trunkline_config::events::RESERVED_EVENTS;

use crate::dialect::command::{
    Command, EVENT_MAX, HISTORY_LIMIT, HISTORY_LIMIT_MAX, KEY_MAX, PRESENCE_LIMIT, name_problem,
};
use crate::dialect::{ErrorCode, Problem};
use crate::message::{Arguments, Body};
use crate::name::{RoomId, UserId};
use crate::position::{Epoch, Position};

/// A request of a client.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    /// The client's number; without it there is no reply but an error.
    pub(crate) id: Option<u64>,
    pub(crate) command: Command,
}

/// The largest `id`: what a JavaScript number holds exactly.
const ID_MAX: u64 = (1 << 53) - 1;

/// All fields of all requests, unparsed, so that each complaint can name its field.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    room: Option<&'a RawValue>,
    #[serde(borrow)]
    to: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    // `null` is a value here, and an absent field elsewhere.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    ephemeral: Option<&'a RawValue>,
    #[serde(borrow)]
    echo: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a client's message.
///
/// # Errors
/// The problem to answer with, and the request's `id` if it could be read.
pub(crate) fn decode(payload: &[u8]) -> Result<Request, (Option<u64>, Problem)> {
    let none = |why: &dyn std::fmt::Display| {
        (None, Problem::bad(format!("send one JSON object a message; this is none: {why}")))
    };
    if !begins_object(payload) {
        return Err(none(&"it does not begin with `{`"));
    }
    let fields: Fields<'_> = serde_json::from_slice(payload).map_err(|error| none(&error))?;
    let id = fields.id().map_err(|problem| (None, problem))?;
    let command = fields.command().map_err(|problem| (id, problem))?;
    Ok(Request { id, command })
}

impl Fields<'_> {
    fn id(&self) -> Result<Option<u64>, Problem> {
        let Some(raw) = self.id else { return Ok(None) };
        match parse::<u64>(raw) {
            Some(id) if id <= ID_MAX => Ok(Some(id)),
            _ => Err(Problem::bad("`id` must be a whole number from 0 to 9007199254740991")),
        }
    }

    fn command(&self) -> Result<Command, Problem> {
        let kind = text("type", self.kind)?;
        match kind.as_ref() {
            "join" => Ok(Command::Join { room: self.room()?, after: position(self.after)? }),
            "leave" => Ok(Command::Leave { room: self.room()? }),
            "publish" => Ok(Command::Publish {
                room: self.room()?,
                body: self.body()?,
                key: self.key()?,
                ephemeral: flag("ephemeral", self.ephemeral, false)?,
                echo: flag("echo", self.echo, true)?,
            }),
            "send" => Ok(Command::Send {
                to: self.to()?,
                body: self.body()?,
                key: self.key()?,
                ephemeral: flag("ephemeral", self.ephemeral, false)?,
            }),
            "history" => Ok(Command::History {
                room: self.room()?,
                after: offset("after", self.after)?,
                before: offset("before", self.before)?,
                limit: limit(self.limit, HISTORY_LIMIT, HISTORY_LIMIT_MAX)?,
            }),
            "presence" => Ok(Command::Presence {
                room: self.room()?,
                after: self.after_user()?,
                limit: limit(self.limit, PRESENCE_LIMIT, PRESENCE_LIMIT)?,
            }),
            "auth" => Ok(Command::Auth { token: text("token", self.token)?.into_owned() }),
            "ping" => Ok(Command::Ping),
            other => Err(Problem::new(
                ErrorCode::UnknownType,
                format!(
                    "there is no type {:?}; use join, leave, publish, send, history, presence, auth or ping",
                    other.chars().take(32).collect::<String>()
                ),
            )),
        }
    }

    fn room(&self) -> Result<RoomId, Problem> {
        RoomId::parse(&text("room", self.room)?).map_err(|error| name_problem("room", error))
    }

    fn to(&self) -> Result<String, Problem> {
        text("to", self.to).map(Cow::into_owned)
    }

    fn after_user(&self) -> Result<Option<UserId>, Problem> {
        let Some(raw) = self.after else { return Ok(None) };
        let user =
            UserId::parse(&text("after", Some(raw))?).map_err(|error| name_problem("after", error));
        user.map(Some)
    }

    fn body(&self) -> Result<Body, Problem> {
        let event = text("event", self.event)?;
        if event.is_empty() || event.len() > EVENT_MAX {
            return Err(Problem::bad("`event` must have 1 to 256 bytes"));
        }
        if RESERVED_EVENTS.contains(&event.as_ref()) {
            return Err(Problem::bad(format!(
                "the event name {event:?} is reserved; choose another"
            )));
        }
        let body = Body::with_base64_taken(&event, self.arguments()?);
        body.map_err(|error| Problem::bad(error.to_string()))
    }

    fn arguments(&self) -> Result<Arguments, Problem> {
        match (self.data, self.args) {
            (Some(data), None) => Ok(Arguments::new(data.get(), 1)),
            (None, Some(args)) => {
                let not_array = || Problem::bad("`args` must be an array");
                let values: Vec<&RawValue> =
                    serde_json::from_str(args.get()).map_err(|_| not_array())?;
                let count = u32::try_from(values.len()).map_err(|_| not_array())?;
                // A raw value begins and ends with its own bytes: here with the brackets.
                let inner = args.get().get(1..args.get().len() - 1).ok_or_else(not_array)?;
                Ok(Arguments::new(inner.trim(), count))
            }
            (Some(_), Some(_)) => Err(Problem::bad("give `data` or `args`, not both")),
            (None, None) => Err(Problem::bad("`data` is missing (or `args`, an array)")),
        }
    }

    fn key(&self) -> Result<Option<Arc<str>>, Problem> {
        let Some(raw) = self.key else { return Ok(None) };
        let key = text("key", Some(raw))?;
        if key.is_empty() {
            return Err(Problem::bad("`key` is empty; give it 1 to 128 bytes"));
        }
        if key.len() > KEY_MAX {
            return Err(Problem::new(
                ErrorCode::TooLarge,
                "`key` is longer than 128 bytes; shorten it",
            ));
        }
        Ok(Some(Arc::from(key.as_ref())))
    }
}

/// Whether `json` can be an object. Serde would take an array for a struct too, its items for the
/// fields in their order.
fn begins_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

fn text<'a>(field: &str, raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, Problem> {
    // `Cow` alone would always be owned: serde borrows only where it is told to.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let raw = raw.ok_or_else(|| Problem::bad(format!("`{field}` is missing")))?;
    match parse::<Text<'a>>(raw) {
        Some(Text(text)) => Ok(text),
        None => Err(Problem::bad(format!("`{field}` must be a string"))),
    }
}

fn flag(field: &str, raw: Option<&RawValue>, default: bool) -> Result<bool, Problem> {
    match raw {
        None => Ok(default),
        Some(raw) => {
            parse(raw).ok_or_else(|| Problem::bad(format!("`{field}` must be true or false")))
        }
    }
}

fn offset(field: &str, raw: Option<&RawValue>) -> Result<Option<u64>, Problem> {
    match raw {
        None => Ok(None),
        Some(raw) => parse(raw)
            .map(Some)
            .ok_or_else(|| Problem::bad(format!("`{field}` must be an offset, a whole number"))),
    }
}

fn limit(raw: Option<&RawValue>, default: usize, max: usize) -> Result<usize, Problem> {
    let Some(raw) = raw else { return Ok(default) };
    match parse::<usize>(raw) {
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        _ => Err(Problem::bad(format!("`limit` must be a whole number from 1 to {max}"))),
    }
}

fn position(raw: Option<&RawValue>) -> Result<Option<Position>, Problem> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        epoch: Cow<'a, str>,
        offset: u64,
    }
    let Some(raw) = raw else { return Ok(None) };
    let object = begins_object(raw.get().as_bytes()).then_some(raw);
    match object.and_then(parse::<Fields<'_>>) {
        Some(Fields { epoch, offset }) => Ok(Some(Position { epoch: Epoch::new(&epoch), offset })),
        None => Err(Problem::bad("`after` must be {\"epoch\": string, \"offset\": whole number}")),
    }
}
