//! What `ok` carries, by request.

use serde::Deserialize;

use crate::{Message, Position};

/// The reply to a join. What was missed has come before it; what is live comes after.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Joined {
    /// The room.
    pub room: String,
    /// The room's newest position; offset 0 if it has no message yet.
    #[serde(flatten)]
    pub position: Position,
    /// How many distinct users are in the room, this one included.
    pub members: u64,
    /// With `after`: whether everything that was missed has come. Without: none.
    pub recovered: Option<bool>,
}

/// The reply to a publish.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Published {
    /// The room.
    pub room: String,
    /// Where the message is in the room's history; none if it is ephemeral.
    #[serde(flatten)]
    pub position: Option<Position>,
}

/// What became of a private message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Handed to at least one connection of the user; not necessarily read.
    Delivered,
    /// Kept until the user comes.
    Queued,
    /// The user is not here and it was not to be kept.
    Offline,
}

/// Messages of a room's past.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct History {
    /// The room.
    pub room: String,
    /// The history they belong to.
    pub epoch: String,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Presence {
    /// The room.
    pub room: String,
    /// The users, sorted by name; a page of them if there are more than the limit.
    pub users: Vec<PresentUser>,
    /// False while some are listed whose router or shard has been lost and may come back.
    pub sure: bool,
}

/// One user in a room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PresentUser {
    /// Who.
    pub user: String,
    /// With how many connections.
    pub connections: u64,
}
