//! What a rule says to others, or answers.

use super::super::table::{Field, Table};
use super::{emitted, template};
use crate::events::{Args, EventAction, Message, Template, Text};
use crate::value::Wrong;
use crate::value::reference::{self, Occasion};

/// The longest idempotency key, in bytes (PROTOCOL).
const LONGEST_KEY: usize = 128;

/// A message from its keys, all of which may be left out.
pub(super) fn message(table: &mut Table<'_>, occasion: Occasion) -> Message {
    let emit = table.read("emit", emitted);
    let args = args(table, occasion).unwrap_or(Args::Rest);
    let key = table.read("key", |f| key(f, occasion));
    let mut message = Message { emit, args, key, ephemeral: false, echo: true };
    table.set("ephemeral", &mut message.ephemeral, Field::boolean);
    table.set("echo", &mut message.echo, Field::boolean);
    message
}

/// A reply. Who has just connected waits for no acknowledgement, so that it needs a name.
pub(super) fn answer(table: &mut Table<'_>, occasion: Occasion) -> Option<EventAction> {
    let emit = match occasion {
        Occasion::Emitted => table.read("emit", emitted),
        Occasion::Connected | Occasion::Disconnected => {
            Some(table.require("emit", "\"welcome\"", emitted)?)
        }
    };
    let args = args(table, occasion).unwrap_or_else(|| Args::Listed(vec![Template::Arguments]));
    Some(EventAction::Reply { emit, args })
}

/// The arguments that are written down: one under `data`, or any number under `args`.
fn args(table: &mut Table<'_>, occasion: Occasion) -> Option<Args> {
    let data = table.field("data");
    let args = table.field("args");
    if let (Some(_), Some(args)) = (&data, &args) {
        args.report("stands beside data; write all arguments in args, or the only one in data");
    }
    let data = data.and_then(|field| template::one(&field, occasion)).map(|one| vec![one]);
    let args = args.and_then(|field| template::several(&field, occasion));
    data.or(args).map(Args::Listed)
}

fn key(field: &Field<'_>, occasion: Occasion) -> Result<Text, Wrong> {
    let text = reference::text(field.text()?, occasion)?;
    match text.literal() {
        Some(literal) if !(1..=LONGEST_KEY).contains(&literal.len()) => Err(Wrong::new(
            format!("has {} bytes", literal.len()),
            format!("write a key of 1 to {LONGEST_KEY}, such as \"$0.id\""),
        )),
        _ => Ok(text),
    }
}
