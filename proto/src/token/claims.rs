//! The claims of a token, as they are written in it.

use serde::Deserialize;

use super::{RoomRight, TokenError};
use trunkline_config::name::check_id;

/// More entries than any person's rooms need, and few enough to be looked through per request.
const MAX_ROOM_RIGHTS: usize = 1024;

#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    /// Seconds since 1970; RFC 7519 §2 lets a `NumericDate` have a fraction.
    exp: f64,
    nbf: Option<f64>,
    rooms: Option<Vec<Room>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Room {
    pattern: String,
    can: Vec<Can>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Can {
    Join,
    Publish,
    History,
}

impl Claims {
    pub(super) fn expires_ms(&self) -> Result<u64, TokenError> {
        milliseconds("exp", self.exp)
    }

    /// 0 when the token doesn't say.
    pub(super) fn not_before_ms(&self) -> Result<u64, TokenError> {
        self.nbf.map_or(Ok(0), |nbf| milliseconds("nbf", nbf))
    }

    pub(super) fn rights(&self) -> Result<Option<Vec<RoomRight>>, TokenError> {
        let Some(rooms) = &self.rooms else { return Ok(None) };
        if rooms.len() > MAX_ROOM_RIGHTS {
            let text = format!("`rooms` has more than {MAX_ROOM_RIGHTS} entries; use patterns");
            return Err(TokenError::Claims(text));
        }
        rooms.iter().map(right).collect::<Result<_, _>>().map(Some)
    }
}

fn right(room: &Room) -> Result<RoomRight, TokenError> {
    let bad = |why: String| TokenError::Claims(format!("a pattern in `rooms`: {why}"));
    // The star counts for nothing, so that a prefix may be as long as a room's ID.
    let stem = room.pattern.strip_suffix('*').unwrap_or(&room.pattern);
    if stem.contains('*') {
        return Err(bad(format!("only its last character may be `*` ({})", room.pattern)));
    }
    if !(stem.is_empty() && room.pattern == "*") {
        check_id(stem).map_err(|error| bad(error.to_string()))?;
    }
    Ok(RoomRight {
        pattern: room.pattern.clone(),
        join: room.can.contains(&Can::Join),
        publish: room.can.contains(&Can::Publish),
        history: room.can.contains(&Can::History),
    })
}

fn milliseconds(claim: &str, seconds: f64) -> Result<u64, TokenError> {
    /// The year 275760, where JavaScript's dates end too.
    const LAST: f64 = 8.64e12;
    if !(0.0..=LAST).contains(&seconds) {
        return Err(TokenError::Claims(format!("`{claim}` is no time in seconds since 1970")));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
    Ok((seconds * 1000.0) as u64)
}
