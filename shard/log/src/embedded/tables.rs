//! What the file holds: its tables, and how topics are named in them.

use redb::TableDefinition;
use trunkline_core::{Namespace, RoomId, Topic, UserId};

/// What the file says of itself: see the constants below. Each value is sealed.
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// A topic's name ([`topic_name`]) to its [`State`](super::state::State).
pub(super) const TOPICS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("topics");
/// A topic's ID and an offset to the records from that offset on (`frame.rs`).
pub(super) const SEGMENTS: TableDefinition<'static, Place, &[u8]> =
    TableDefinition::new("segments");
/// A topic's ID and an offset to the publication of a record that isn't here, sealed.
pub(super) const KEYS: TableDefinition<'static, Place, &[u8]> = TableDefinition::new("keys");
/// The name of a topic that has gone to another shard to the epoch in which it begins should it come
/// again with nothing, sealed. Other topics that nobody has written to begin in [`EPOCH`].
pub(super) const GONE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("gone");

/// A topic's ID, and an offset in it.
pub(super) type Place = (u64, u64);

/// The file's format, a little-endian u32.
pub(super) const FORMAT: &str = "format";
/// Whose store it is.
pub(super) const NAME: &str = "name";
/// The epoch of topics that nobody has written to, but for those in [`GONE`].
pub(super) const EPOCH: &str = "epoch";
/// The ID that the next new topic takes, a little-endian u64.
pub(super) const NEXT_ID: &str = "next";
/// What the shard wants to know when it starts again; not there until it first says so.
pub(super) const NOTE: &str = "note";

/// What this code writes, and all that it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Puts a checksum of the key and the value before a value: a page that has gone astray is then
/// as bad as one whose bits have flipped.
pub(super) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + value.len());
    sealed.extend_from_slice(&checksum(key, value).to_le_bytes());
    sealed.extend_from_slice(value);
    sealed
}

/// The value that was sealed; `None` if it isn't as it was.
pub(super) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, value) = sealed.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == checksum(key, value)).then_some(value)
}

/// The bytes by which a value of [`KEYS`] is sealed.
pub(super) fn place_bytes((id, offset): Place) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[8..].copy_from_slice(&offset.to_le_bytes());
    bytes
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

/// Rooms' names begin so.
pub(super) const ROOM: u8 = b'r';
/// Inboxes' names begin so.
pub(super) const INBOX: u8 = b'i';
/// Between a namespace and a room. No name has a control character.
const SEPARATOR: u8 = 0;

/// A topic as a key of [`TOPICS`]. Rooms are in the order of [`Topic`] among each other, and so are
/// inboxes.
pub(super) fn topic_name(topic: &Topic) -> Vec<u8> {
    match topic {
        Topic::Room(namespace, room) => {
            let (namespace, room) = (namespace.as_str().as_bytes(), room.as_str().as_bytes());
            [&[ROOM], namespace, &[SEPARATOR], room].concat()
        }
        Topic::Inbox(user) => [&[INBOX], user.as_str().as_bytes()].concat(),
    }
}

/// The topic of a key; `None` if it is the name of none.
pub(super) fn topic_of(name: &[u8]) -> Option<Topic> {
    let (kind, name) = name.split_first()?;
    let name = std::str::from_utf8(name).ok()?;
    match *kind {
        ROOM => {
            let (namespace, room) = name.split_once(char::from(SEPARATOR))?;
            let namespace = Namespace::parse(namespace).ok()?;
            Some(Topic::Room(namespace, RoomId::parse(room).ok()?))
        }
        INBOX => Some(Topic::Inbox(UserId::parse(name).ok()?)),
        _ => None,
    }
}
