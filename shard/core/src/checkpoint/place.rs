//! Up to where a connection has had a topic.

use bincode::{BorrowDecode, Encode};
use bytes::Bytes;

use super::written::WrittenPosition;
use super::{decode, encode};
use crate::home::Stamp;
use crate::name::{Namespace, RoomId, UserId};
use crate::position::{Epoch, Position};
use crate::topic::Topic;

/// Up to where a connection has had a topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) topic: Topic,
    pub(crate) position: Position,
    /// With the answer to a join.
    pub(crate) entry: Option<Entry>,
    /// The topic's last message up to here that can be recovered, as Socket.IO clients here had it.
    pub(crate) stamp: Option<Stamp>,
}

/// How a session came into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What asked for it, by what a repeat is recognised by; 0 if nothing did.
    pub(crate) sequence: u64,
    /// Which of the session's entries it was.
    pub(crate) nth: u64,
}

#[derive(Encode, BorrowDecode)]
struct WrittenPlace<'a> {
    /// None for an inbox.
    namespace: Option<&'a str>,
    name: &'a str,
    position: WrittenPosition<'a>,
    entry: Option<(u64, u64)>,
    stamp: Option<(u64, u64)>,
}

impl Place {
    /// Reads what a router has returned; `None` if no shard of this version has written it.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let WrittenPlace { namespace, name, position, entry, stamp } = decode(bytes)?;
        let topic = match namespace {
            Some(namespace) => {
                Topic::Room(Namespace::parse(namespace).ok()?, RoomId::parse(name).ok()?)
            }
            None => Topic::Inbox(UserId::parse(name).ok()?),
        };
        let entry = entry.map(|(sequence, nth)| Entry { sequence, nth });
        let stamp = stamp.map(|(stream, number)| Stamp { stream, number });
        Some(Self { topic, position: position.into(), entry, stamp })
    }

    /// Writes a place without making one: this is done for each message.
    pub(crate) fn encode(
        topic: &Topic,
        (epoch, offset): (&Epoch, u64),
        entry: Option<Entry>,
        stamp: Option<Stamp>,
    ) -> Bytes {
        let (namespace, name) = match topic {
            Topic::Room(namespace, room) => (Some(namespace.as_str()), room.as_str()),
            Topic::Inbox(user) => (None, user.as_str()),
        };
        let position = WrittenPosition { epoch: epoch.as_str(), offset };
        let entry = entry.map(|Entry { sequence, nth }| (sequence, nth));
        let stamp = stamp.map(|Stamp { stream, number }| (stream, number));
        let size = name.len() + namespace.map_or(0, str::len) + position.epoch.len() + 48;
        encode(&WrittenPlace { namespace, name, position, entry, stamp }, size)
    }
}
