//! What one connection hears of one topic: in order, with no gap and no repeat.

use std::time::Duration;

use serde_json::Value;
use trunkline_core::Topic;

use crate::truth::{Place, Truth};

/// Where a person stands in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Joining,
    Joined,
    Leaving,
}

/// One topic as one connection hears it.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    pub(crate) standing: Standing,
    /// Everything up to here has been heard; none before it is known where to begin.
    pub(crate) place: Option<Place>,
    /// When the join was answered.
    pub(crate) joined_at: Duration,
}

/// A message's or reply's place.
pub(crate) fn place(value: &Value) -> Result<Place, String> {
    let epoch = value["epoch"].as_str();
    match (epoch, value["offset"].as_u64()) {
        (Some(epoch), Some(offset)) => Ok((epoch.to_owned(), offset)),
        _ => Err(format!("{value} has no place")),
    }
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value[field].as_str().ok_or_else(|| format!("{value} has no {field}"))
}

/// Checks a message against what is kept at its place, and against what came before it.
pub(crate) fn follows(
    before: Option<&Place>,
    topic: &Topic,
    message: &Value,
    truth: &Truth,
) -> Result<Place, String> {
    let next = place(message)?;
    truth.reads(topic, &next, text(message, "data")?)?;
    match before {
        Some((epoch, offset)) if *epoch == next.0 && offset + 1 == next.1 => Ok(next),
        None => Ok(next),
        Some(before) => Err(format!("{message} comes after {before:?}")),
    }
}
