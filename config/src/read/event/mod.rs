//! `[[event]]`: the rules for events, in the order of the file.
//!
//! What goes on in references and templates is for [`crate::events`] to say; here it is judged
//! which keys a rule has, and that it can be carried out when its event comes.

mod action;
mod message;
#[cfg(test)]
mod mistakes;
mod template;
#[cfg(test)]
mod tests;

use self::action::Kind;
use super::table::{Field, Table};
use crate::events::{CONNECT, DISCONNECT, EventRule, Pattern, RESERVED_EVENTS};
use crate::value::reference::Occasion;
use crate::value::{Wrong, pattern};

/// The longest name of an event, in bytes (PROTOCOL).
const LONGEST_EVENT: usize = 256;

/// What is known about a rule before its action is read.
#[derive(Clone, Copy)]
struct Context {
    occasion: Occasion,
    /// Whether the application has a URL that rules need not repeat.
    may_call: bool,
}

/// Reads the rules. What is wrong in them is reported, and a rule without what it needs left out.
pub(crate) fn read(field: &Field<'_>, may_call: bool) -> Result<Vec<EventRule>, Wrong> {
    let elements = field
        .elements()
        .map_err(|_| Wrong::new("is not a list of rules", "write [[event]] above each rule"))?;
    Ok(elements.iter().filter_map(|element| rule(element, may_call)).collect())
}

fn rule(element: &Field<'_>, may_call: bool) -> Option<EventRule> {
    let mut table = element.judge(Field::table)?;
    let name = table.require("name", "\"chat message\"", event);
    let namespace = table.read("namespace", namespace).unwrap_or_else(Pattern::any);
    // With no name to go by it is taken for a rule of the kind that most are.
    let occasion = name.as_deref().map_or(Occasion::Emitted, Occasion::of);
    let kind = table.require("do", "\"publish\"", |f| action::kind(f, occasion));
    // Nothing is acknowledged to who has not asked for anything.
    let ack = match occasion {
        Occasion::Emitted => table.read("ack", Field::boolean),
        Occasion::Connected | Occasion::Disconnected => None,
    };
    // Which keys belong to an action that isn't known can't be said.
    let kind: Kind = kind?;
    let action = action::read(&mut table, kind, Context { occasion, may_call });
    table.finish();
    Some(EventRule { name: name?, namespace, action: action?, ack })
}

/// The name of an event that has rules.
fn event(field: &Field<'_>) -> Result<String, Wrong> {
    match field.text()? {
        name @ (CONNECT | DISCONNECT) => Ok(name.to_owned()),
        name if RESERVED_EVENTS.contains(&name) => Err(Wrong::new(
            format!("is {name:?}, which no client emits"),
            "write an event of your own, \"connect\" or \"disconnect\"",
        )),
        name => sized(name),
    }
}

/// The name of an event that clients are sent.
fn emitted(field: &Field<'_>) -> Result<String, Wrong> {
    match field.text()? {
        name if RESERVED_EVENTS.contains(&name) => Err(Wrong::new(
            format!("is {name:?}, which clients keep for themselves"),
            "write another name",
        )),
        name => sized(name),
    }
}

fn sized(name: &str) -> Result<String, Wrong> {
    if (1..=LONGEST_EVENT).contains(&name.len()) {
        Ok(name.to_owned())
    } else {
        let what = format!("has {} bytes", name.len());
        Err(Wrong::new(what, format!("write a name of 1 to {LONGEST_EVENT}")))
    }
}

fn namespace(field: &Field<'_>) -> Result<Pattern, Wrong> {
    match field.text()? {
        "*" => Ok(Pattern::any()),
        text => pattern::namespace(text),
    }
}

/// A required text that tells whom or what: in it, `$0` is what there is most often.
fn target<T>(
    table: &mut Table<'_>,
    key: &'static str,
    context: Context,
    parse: impl FnOnce(&str) -> Result<T, Wrong>,
) -> Option<T> {
    let example = match (context.occasion, key) {
        (Occasion::Emitted, _) => "\"$0\"",
        (_, "to") => "\"$user\"",
        _ => "\"lobby\"",
    };
    table.require(key, example, |f| parse(f.text()?))
}
