//! What a router keeps for a shard: a connection's checkpoint, and places in topics. Both are opaque
//! to it and come back when it attaches a connection again, perhaps to another process. So they
//! live as long as a connection, and no longer: nothing that a user must read later is written
//! like this.
//!
//! Places travel with each message, checkpoints only when a session changes; together they say
//! everything that is needed to go on.

mod place;
#[cfg(test)]
mod tests;
mod written;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::{BorrowDecode, Encode};
use bytes::Bytes;

pub(crate) use self::place::{Entry, Place};
use crate::home::Stamp;
use crate::input::Identity;
use crate::name::{Namespace, RoomId};
use crate::position::Position;
use crate::session_id::SessionId;

/// Stands before all that is written; whoever reads another takes nothing from it.
const VERSION: u8 = 4;
/// What is longer was not written here: a session has a bounded number of rooms.
const BYTES_MAX: usize = 4 << 20;

type Coding = Configuration<LittleEndian, Varint, Limit<BYTES_MAX>>;

fn coding() -> Coding {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

/// Everything that is needed to go on with a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Checkpoint {
    /// The connection's one session.
    Native(KeptSession),
    /// A connection with a session in each of its namespaces.
    SocketIo(KeptLine),
}

/// A Socket.IO client's connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptLine {
    pub(crate) identity: Identity,
    pub(crate) authenticated: bool,
    pub(crate) guest: bool,
    /// How often it has connected to a namespace.
    pub(crate) connects: u32,
    /// The sequence that the router's 0 stands for.
    pub(crate) origin: u64,
    /// The attachment that its router's first stands for: it may have polled before.
    pub(crate) attached_before: u32,
    /// Those that have ended come before those that live.
    pub(crate) sockets: Vec<(KeptSocket, KeptSession)>,
}

/// What a Socket.IO client's session has beyond a native one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptSocket {
    pub(crate) session: SessionId,
    pub(crate) private_id: SessionId,
    /// How often it was recovered by another connection.
    pub(crate) recoveries: u32,
    pub(crate) origin: u64,
    /// The message by which it has connected.
    pub(crate) connect: u64,
    /// Which of the connection's it is: what its slots are told by.
    pub(crate) nth: u32,
    /// What the application wants done once it is welcomed, as long as that may not be done.
    pub(crate) actions: Vec<String>,
    /// The last stamp that its client had before it connected, if it has named one.
    pub(crate) came_with: Option<Stamp>,
    /// The message by which its client has left the namespace: that may be sent again, and so may
    /// what was said before.
    pub(crate) ended: Option<u64>,
}

/// Everything that is needed to go on with a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptSession {
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

impl Checkpoint {
    /// The sessions that are gone on with.
    pub(crate) fn sessions(&self) -> Vec<&KeptSession> {
        match self {
            Self::Native(session) => vec![session],
            Self::SocketIo(line) => line.sockets.iter().map(|(_, session)| session).collect(),
        }
    }

    /// Sessions that may be recovered by another connection, and how often each has been.
    pub(crate) fn recoveries(&self) -> Vec<(SessionId, u32)> {
        match self {
            Self::Native(_) => Vec::new(),
            Self::SocketIo(line) => {
                line.sockets.iter().map(|(socket, _)| (socket.session, socket.recoveries)).collect()
            }
        }
    }
}

/// Takes about `size` bytes. What can't be written is written as nothing, which nobody can read: the
/// connection then has no checkpoint.
fn encode(what: &impl Encode, size: usize) -> Bytes {
    let mut out = Out(Vec::with_capacity(size));
    match bincode::encode_into_writer((VERSION, what), &mut out, coding()) {
        Ok(()) => out.0.into(),
        Err(_) => Bytes::new(),
    }
}

/// Where it is written to, in one go: bincode's own writer has it counted before.
struct Out(Vec<u8>);

impl Writer for Out {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Option<T> {
    let (version, rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (what, read) = bincode::borrow_decode_from_slice(rest, coding()).ok()?;
    (read == rest.len()).then_some(what)
}
