//! What a rule makes of an event: a command such as a native client's, with the event's arguments in it.

use std::borrow::Cow;
use std::sync::Arc;

use trunkline_config::events::{EventAction, Message, Reference, Text};

use crate::dialect::command::{
    Command, EVENT_MAX, HISTORY_LIMIT, HISTORY_LIMIT_MAX, KEY_MAX, PRESENCE_LIMIT, name_problem,
};
use crate::dialect::{ErrorCode, Problem};
use crate::message::Body;
use crate::name::RoomId;
use crate::peer::Action;
use crate::position::{Epoch, Position};
use crate::rules::{self, Event};

/// What a rule wants done.
pub(super) enum Intention {
    Command(Command),
    Broadcast(Action),
}

pub(super) fn intention(event: &Event<'_>, action: &EventAction) -> Result<Intention, Problem> {
    let command = match action {
        EventAction::Join { room } => {
            let options = event.arguments.get(1).filter(|_| room.is_first_argument());
            let after = options.and_then(|options| position(rules::field(options, "after")?));
            Command::Join { room: room_id(event, room)?, after }
        }
        EventAction::Leave { room } => Command::Leave { room: room_id(event, room)? },
        EventAction::Publish { room, message } => {
            let room_id = room_id(event, room)?;
            let Said { body, key } = said(event, message, usize::from(room.is_first_argument()))?;
            let Message { ephemeral, echo, .. } = *message;
            Command::Publish { room: room_id, body, key, ephemeral, echo }
        }
        EventAction::Private { to, message } => {
            let receiver = text(event, to)?;
            let Said { body, key } = said(event, message, usize::from(to.is_first_argument()))?;
            let to = receiver.into_owned();
            Command::Send { to, body, key, ephemeral: message.ephemeral }
        }
        EventAction::Broadcast { message } => {
            let Said { body, key } = said(event, message, 0)?;
            let Message { ephemeral, echo, .. } = *message;
            return Ok(Intention::Broadcast(Action::Publish { body, key, ephemeral, echo }));
        }
        EventAction::History { room, query } => history(event, room, query.as_ref())?,
        EventAction::Presence { room } => {
            let room = room_id(event, room)?;
            Command::Presence { room, after: None, limit: PRESENCE_LIMIT }
        }
        EventAction::Reply { .. } | EventAction::Call { .. } => Command::Ping,
    };
    Ok(Intention::Command(command))
}

/// What a message says, and by which key a repeat of it is known.
struct Said {
    body: Body,
    key: Option<Arc<str>>,
}

fn said(event: &Event<'_>, message: &Message, skip: usize) -> Result<Said, Problem> {
    let emit = message.emit.as_deref().map_or_else(|| Arc::clone(event.name), Arc::from);
    if emit.is_empty() || emit.len() > EVENT_MAX {
        return Err(Problem::bad("an event's name must have 1 to 256 bytes"));
    }
    let key = message.key.as_ref().map(|key| text(event, key)).transpose()?;
    let key = key.map(|key| checked_key(&key)).transpose()?;
    Ok(Said { body: event.body(emit, &message.args, skip), key })
}

pub(super) fn checked_key(key: &str) -> Result<Arc<str>, Problem> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Problem::new(ErrorCode::TooLarge, "an idempotency key has 1 to 128 bytes"));
    }
    Ok(Arc::from(key))
}

fn text<'a>(event: &'a Event<'_>, text: &Text) -> Result<Cow<'a, str>, Problem> {
    event.text(text).map_err(|error| Problem::bad(error.to_string()))
}

fn room_id(event: &Event<'_>, room: &Text) -> Result<RoomId, Problem> {
    RoomId::parse(&text(event, room)?).map_err(|error| name_problem("room", error))
}

/// A position as it is written in JSON; none if it is none.
fn position(json: &str) -> Option<Position> {
    let epoch = rules::field(json, "epoch").and_then(rules::plain)?;
    let offset = rules::field(json, "offset")?.parse().ok()?;
    Some(Position { epoch: Epoch::new(&epoch), offset })
}

fn history(event: &Event<'_>, room: &Text, query: Option<&Reference>) -> Result<Command, Problem> {
    let room = room_id(event, room)?;
    let query = query.and_then(|query| event.value(query));
    let number = |key: &str| -> Result<Option<u64>, Problem> {
        match query.as_deref().and_then(|query| rules::field(query, key)) {
            None | Some("null") => Ok(None),
            Some(value) => value
                .parse()
                .map(Some)
                .map_err(|_| Problem::bad(format!("`{key}` must be a whole number"))),
        }
    };
    let limit = match number("limit")?.map(usize::try_from) {
        None => HISTORY_LIMIT,
        Some(Ok(limit)) if (1..=HISTORY_LIMIT_MAX).contains(&limit) => limit,
        Some(_) => {
            let message = format!("`limit` must be a whole number from 1 to {HISTORY_LIMIT_MAX}");
            return Err(Problem::bad(message));
        }
    };
    Ok(Command::History { room, after: number("after")?, before: number("before")?, limit })
}
