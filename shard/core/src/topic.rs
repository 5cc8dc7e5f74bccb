//! An ordered stream with one owner.

use std::fmt;

use trunkline_config::ShardKey;

use crate::name::{Namespace, RoomId, UserId};

/// A room, or a user's inbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A room of a namespace.
    Room(Namespace, RoomId),
    /// What is sent to a user.
    Inbox(UserId),
}

impl Topic {
    /// Whether it is the room of everyone in a namespace.
    pub(crate) fn is_everyones(&self) -> bool {
        matches!(self, Topic::Room(_, room) if room.is_everyone())
    }

    /// What the topic is placed by.
    #[must_use]
    pub fn key(&self) -> ShardKey<'_> {
        match self {
            Topic::Room(namespace, room) => {
                ShardKey::Room { namespace: namespace.as_str(), room: room.as_str() }
            }
            Topic::Inbox(user) => ShardKey::User(user.as_str()),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Room(_, room) => write!(f, "{room}"),
            Topic::Inbox(user) => write!(f, "the inbox of {user}"),
        }
    }
}
