//! Engine.IO at the router, against a shard that the tests play.

mod browser;
mod polling;
mod refusals;
mod upgrade;
mod websocket;

use crate::harness::HASH_KEY;

pub(crate) const SESSION: [u8; 24] = [9; 24];

/// What a client that polls asks a session by.
fn polling(sid: &str) -> String {
    format!("/socket.io/?EIO=4&transport=polling&sid={sid}")
}

pub(crate) fn sid() -> String {
    HASH_KEY.seal(&SESSION)
}
