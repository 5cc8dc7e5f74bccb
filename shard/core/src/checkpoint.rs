//! What a router keeps for a shard: a session's checkpoint, and places in topics. Both are opaque
//! to it and come back when it attaches a connection again, perhaps to another process. So they
//! live as long as a connection, and no longer: nothing that a user must read later is written
//! like this.
//!
//! Places travel with each message, checkpoints only when a session changes; together they say
//! everything that is needed to go on.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};
use bytes::Bytes;

use crate::input::Identity;
use crate::name::{Namespace, RoomId, UserId};
use crate::position::{Epoch, Position};
use crate::rights::{Rights, RoomRight};
use crate::topic::Topic;

/// Stands before all that is written; whoever reads another takes nothing from it.
const VERSION: u8 = 1;
/// What is longer was not written here: a session has a bounded number of rooms.
const BYTES_MAX: usize = 4 << 20;

type Coding = Configuration<LittleEndian, Varint, Limit<BYTES_MAX>>;

fn coding() -> Coding {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

/// Everything that is needed to go on with a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) namespace: Namespace,
    pub(crate) identity: Identity,
    pub(crate) authenticated: bool,
    /// From where its inbox goes on, unless the router knows of something newer.
    pub(crate) inbox_after: Option<Position>,
    pub(crate) rooms: Vec<KeptRoom>,
    /// Rooms that it has left, with the sequence of what it said to leave them: that may be sent
    /// again, and so may what it said before.
    pub(crate) departures: Vec<(RoomId, u64)>,
    /// How often it has entered a room.
    pub(crate) entries: u64,
}

/// A room that a session is in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptRoom {
    pub(crate) room: RoomId,
    /// Where it entered.
    pub(crate) position: Position,
    /// Which of the session's entries that was.
    pub(crate) entry: u64,
}

/// Up to where a connection has had a topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) topic: Topic,
    pub(crate) position: Position,
    /// With the answer to a join.
    pub(crate) entry: Option<Entry>,
}

/// How a session came into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The message that asked for it; 0 if none did.
    pub(crate) sequence: u64,
    /// Which of the session's entries it was.
    pub(crate) nth: u64,
}

#[derive(Encode, BorrowDecode)]
struct Written<'a> {
    namespace: &'a str,
    user: &'a str,
    authenticated: bool,
    expires_ms: Option<u64>,
    rights: Option<Vec<WrittenRight<'a>>>,
    inbox_after: Option<WrittenPosition<'a>>,
    rooms: Vec<WrittenRoom<'a>>,
    departures: Vec<(&'a str, u64)>,
    entries: u64,
}

#[derive(Encode, BorrowDecode)]
struct WrittenRight<'a> {
    pattern: &'a str,
    join: bool,
    publish: bool,
    history: bool,
}

#[derive(Encode, BorrowDecode)]
struct WrittenPosition<'a> {
    epoch: &'a str,
    offset: u64,
}

#[derive(Encode, BorrowDecode)]
struct WrittenRoom<'a> {
    room: &'a str,
    position: WrittenPosition<'a>,
    entry: u64,
}

#[derive(Encode, BorrowDecode)]
struct WrittenPlace<'a> {
    /// None for an inbox.
    namespace: Option<&'a str>,
    name: &'a str,
    position: WrittenPosition<'a>,
    entry: Option<(u64, u64)>,
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Bytes {
        let Self {
            namespace,
            identity: Identity { user, expires_ms, rights: Rights(rights) },
            authenticated,
            inbox_after,
            rooms,
            departures,
            entries,
        } = self;
        encode(&Written {
            namespace: namespace.as_str(),
            user: user.as_str(),
            authenticated: *authenticated,
            expires_ms: *expires_ms,
            rights: rights.as_ref().map(|rights| rights.iter().map(WrittenRight::from).collect()),
            inbox_after: inbox_after.as_ref().map(WrittenPosition::from),
            rooms: rooms.iter().map(WrittenRoom::from).collect(),
            departures: departures.iter().map(|(room, at)| (room.as_str(), *at)).collect(),
            entries: *entries,
        })
    }

    /// Reads what [`Checkpoint::encode`] has written; `None` if it is of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let written: Written<'_> = decode(bytes)?;
        let right = |right| {
            let WrittenRight { pattern, join, publish, history } = right;
            RoomRight { pattern: pattern.to_owned(), join, publish, history }
        };
        let room = |kept| {
            let WrittenRoom { room, position, entry } = kept;
            Some(KeptRoom { room: RoomId::parse(room).ok()?, position: position.into(), entry })
        };
        let departure = |(room, at)| Some((RoomId::parse(room).ok()?, at));
        Some(Self {
            namespace: Namespace::parse(written.namespace).ok()?,
            identity: Identity {
                user: UserId::parse(written.user).ok()?,
                expires_ms: written.expires_ms,
                rights: Rights(written.rights.map(|it| it.into_iter().map(right).collect())),
            },
            authenticated: written.authenticated,
            inbox_after: written.inbox_after.map(Position::from),
            rooms: written.rooms.into_iter().map(room).collect::<Option<_>>()?,
            departures: written.departures.into_iter().map(departure).collect::<Option<_>>()?,
            entries: written.entries,
        })
    }
}

impl Place {
    /// Reads what a router has returned; `None` if no shard of this version has written it.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let WrittenPlace { namespace, name, position, entry } = decode(bytes)?;
        let topic = match namespace {
            Some(namespace) => {
                Topic::Room(Namespace::parse(namespace).ok()?, RoomId::parse(name).ok()?)
            }
            None => Topic::Inbox(UserId::parse(name).ok()?),
        };
        let entry = entry.map(|(sequence, nth)| Entry { sequence, nth });
        Some(Self { topic, position: position.into(), entry })
    }

    /// Writes a place without making one: this is done for each message.
    pub(crate) fn encode(topic: &Topic, epoch: &Epoch, offset: u64, entry: Option<Entry>) -> Bytes {
        let (namespace, name) = match topic {
            Topic::Room(namespace, room) => (Some(namespace.as_str()), room.as_str()),
            Topic::Inbox(user) => (None, user.as_str()),
        };
        let position = WrittenPosition { epoch: epoch.as_str(), offset };
        let entry = entry.map(|Entry { sequence, nth }| (sequence, nth));
        encode(&WrittenPlace { namespace, name, position, entry })
    }
}

impl<'a> From<&'a RoomRight> for WrittenRight<'a> {
    fn from(right: &'a RoomRight) -> Self {
        let RoomRight { pattern, join, publish, history } = right;
        Self { pattern, join: *join, publish: *publish, history: *history }
    }
}

impl<'a> From<&'a KeptRoom> for WrittenRoom<'a> {
    fn from(kept: &'a KeptRoom) -> Self {
        let KeptRoom { room, position, entry } = kept;
        Self { room: room.as_str(), position: position.into(), entry: *entry }
    }
}

impl<'a> From<&'a Position> for WrittenPosition<'a> {
    fn from(position: &'a Position) -> Self {
        Self { epoch: position.epoch.as_str(), offset: position.offset }
    }
}

impl From<WrittenPosition<'_>> for Position {
    fn from(written: WrittenPosition<'_>) -> Self {
        Self { epoch: Epoch::new(written.epoch), offset: written.offset }
    }
}

/// What can't be written is written as nothing, which nobody can read: the connection then has no
/// checkpoint.
fn encode(what: &impl Encode) -> Bytes {
    bincode::encode_to_vec((VERSION, what), coding()).map(Bytes::from).unwrap_or_default()
}

fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Option<T> {
    let (version, rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (what, read) = bincode::borrow_decode_from_slice(rest, coding()).ok()?;
    (read == rest.len()).then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(offset: u64) -> Position {
        Position { epoch: Epoch::new("9k2f"), offset }
    }

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let right =
            RoomRight { pattern: "team-*".to_owned(), join: true, publish: false, history: true };
        Checkpoint {
            namespace: Namespace::parse("/game").unwrap(),
            identity: Identity {
                user: UserId::parse("alice").unwrap(),
                expires_ms: Some(1_790_000_000_000),
                rights: Rights(Some(vec![right])),
            },
            authenticated: true,
            inbox_after: Some(position(7)),
            rooms: vec![KeptRoom { room: room("lobby"), position: position(300), entry: 2 }],
            departures: vec![(room("attic"), 41)],
            entries: 3,
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let written = checkpoint().encode();
        assert_eq!(Checkpoint::decode(&written), Some(checkpoint()));
        let empty = Checkpoint {
            identity: Identity { expires_ms: None, rights: Rights(None), ..checkpoint().identity },
            inbox_after: None,
            rooms: Vec::new(),
            departures: Vec::new(),
            ..checkpoint()
        };
        assert_eq!(Checkpoint::decode(&empty.encode()), Some(empty));
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let game = Namespace::parse("/game").unwrap();
        let entry = Some(Entry { sequence: 5, nth: 2 });
        for (topic, entry) in [
            (Topic::Room(game, room("lobby")), entry),
            (Topic::Inbox(UserId::parse("alice").unwrap()), None),
        ] {
            let written = Place::encode(&topic, &Epoch::new("9k2f"), 58, entry);
            let place = Place { topic, position: position(58), entry };
            assert_eq!(Place::decode(&written), Some(place));
        }
    }

    #[test]
    fn what_is_of_another_version_or_too_long_or_too_short_is_not_read() {
        let mut written = checkpoint().encode().to_vec();
        assert_eq!(Checkpoint::decode(&written[..written.len() - 1]), None);
        written.push(0);
        assert_eq!(Checkpoint::decode(&written), None);
        written.pop();
        written[0] = VERSION + 1;
        assert_eq!(Checkpoint::decode(&written), None);
        assert_eq!(Checkpoint::decode(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&[VERSION], bytes.as_slice()].concat();
            let _ = Checkpoint::decode(&bytes);
            let _ = Place::decode(&bytes);
        }
    }
}
