//! What a rule does: which actions there are, when, and the keys of each.

use super::super::application::{call_retries, call_timeout, endpoint};
use super::super::table::{Field, Table};
use super::message::{answer, message};
use super::{Context, target};
use crate::events::{EventAction, Text};
use crate::name::check_id;
use crate::value::reference::{self, Occasion};
use crate::value::{Wrong, likeness};

/// What `do` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Join,
    Leave,
    Publish,
    Broadcast,
    Private,
    Reply,
    History,
    Presence,
    Call,
}

const ALL: [(&str, Kind); 9] = [
    ("join", Kind::Join),
    ("leave", Kind::Leave),
    ("publish", Kind::Publish),
    ("broadcast", Kind::Broadcast),
    ("private", Kind::Private),
    ("reply", Kind::Reply),
    ("history", Kind::History),
    ("presence", Kind::Presence),
    ("call", Kind::Call),
];

impl Kind {
    /// Whether it can be done then: there is no acknowledgement to who has just connected, and
    /// nothing at all to who has gone.
    fn fits(self, occasion: Occasion) -> bool {
        match self {
            Self::Publish | Self::Broadcast | Self::Private | Self::Call => true,
            Self::Join | Self::Reply => occasion != Occasion::Disconnected,
            Self::Leave | Self::History | Self::Presence => occasion == Occasion::Emitted,
        }
    }
}

/// The action that is named.
pub(super) fn kind(field: &Field<'_>, occasion: Occasion) -> Result<Kind, Wrong> {
    let written = field.text()?;
    let fitting = || ALL.iter().filter(|(_, kind)| kind.fits(occasion)).map(|(name, _)| *name);
    let listed = || format!("write one of {}", fitting().collect::<Vec<_>>().join(", "));
    match ALL.iter().find(|(name, _)| *name == written) {
        Some((_, kind)) if kind.fits(occasion) => Ok(*kind),
        Some((name, _)) => {
            let when = match occasion {
                Occasion::Disconnected => "whoever has disconnected can't do",
                Occasion::Connected | Occasion::Emitted => "connecting can't do",
            };
            Err(Wrong::new(format!("is {name:?}, which {when}"), listed()))
        }
        None => {
            let what = format!("is {written:?}, which is no action");
            Err(match likeness::closest(written, fitting()) {
                Some(name) => Wrong::new(what, format!("write {name:?}")),
                None => Wrong::new(what, listed()),
            })
        }
    }
}

/// The action from its keys; none if one of those that it needs is missing or wrong.
pub(super) fn read(table: &mut Table<'_>, kind: Kind, context: Context) -> Option<EventAction> {
    let occasion = context.occasion;
    let id = |text: &str| id(text, occasion);
    match kind {
        Kind::Join => Some(EventAction::Join { room: target(table, "room", context, id)? }),
        Kind::Leave => Some(EventAction::Leave { room: target(table, "room", context, id)? }),
        Kind::Publish => {
            let room = target(table, "room", context, id);
            let message = message(table, occasion);
            Some(EventAction::Publish { room: room?, message })
        }
        Kind::Broadcast => Some(EventAction::Broadcast { message: message(table, occasion) }),
        Kind::Private => {
            let to = target(table, "to", context, id);
            let message = message(table, occasion);
            Some(EventAction::Private { to: to?, message })
        }
        Kind::Reply => answer(table, occasion),
        Kind::History => {
            let room = target(table, "room", context, id);
            let query = table.read("query", |f| reference::single(f.text()?, occasion));
            Some(EventAction::History { room: room?, query })
        }
        Kind::Presence => Some(EventAction::Presence { room: target(table, "room", context, id)? }),
        Kind::Call => {
            let url = table.field("url");
            let timeout = table.read("timeout", call_timeout);
            let retries = table.read("retries", call_retries);
            if url.is_none() && !context.may_call {
                table.report(
                    "this rule calls, but neither it nor [application] has a url; write url = \
                     \"https://app.example.com/events\" in one of them",
                );
            }
            let url = url.and_then(|field| field.judge(endpoint));
            Some(EventAction::Call { url, timeout, retries })
        }
    }
}

/// A text that becomes the ID of a room or the name of a receiver. What comes out of references
/// is judged when they have been followed.
fn id(written: &str, occasion: Occasion) -> Result<Text, Wrong> {
    let text = reference::text(written, occasion)?;
    if let Some(literal) = text.literal() {
        check_id(&literal).map_err(|error| {
            Wrong::new(format!("is not an ID: {error}"), "write 1 to 256 bytes of plain text")
        })?;
    }
    Ok(text)
}
