//! Checkpoints as they are written.

use bincode::{BorrowDecode, Encode};
use bytes::Bytes;

use super::{Checkpoint, KeptLine, KeptRoom, KeptSession, KeptSocket, decode, encode};
use crate::home::Stamp;
use crate::input::Identity;
use crate::name::{Namespace, RoomId, UserId};
use crate::position::{Epoch, Position};
use crate::rights::{Rights, RoomRight};
use crate::session_id::SessionId;

/// What a client with a room or two takes.
const USUAL: usize = 384;

#[derive(Encode, BorrowDecode)]
enum Written<'a> {
    Native(WrittenSession<'a>),
    SocketIo(WrittenLine<'a>),
}

#[derive(Encode, BorrowDecode)]
struct WrittenLine<'a> {
    identity: WrittenIdentity<'a>,
    authenticated: bool,
    guest: bool,
    connects: u32,
    origin: u64,
    attached_before: u32,
    sockets: Vec<(WrittenSocket<'a>, WrittenSession<'a>)>,
}

#[derive(Encode, BorrowDecode)]
struct WrittenSocket<'a> {
    session: [u8; 24],
    private_id: [u8; 24],
    recoveries: u32,
    origin: u64,
    connect: u64,
    nth: u32,
    actions: Vec<&'a str>,
    came_with: Option<(u64, u64)>,
    ended: Option<u64>,
}

#[derive(Encode, BorrowDecode)]
struct WrittenSession<'a> {
    namespace: &'a str,
    identity: WrittenIdentity<'a>,
    authenticated: bool,
    inbox_after: Option<WrittenPosition<'a>>,
    rooms: Vec<WrittenRoom<'a>>,
    departures: Vec<(&'a str, u64)>,
    entries: u64,
}

#[derive(Encode, BorrowDecode)]
struct WrittenIdentity<'a> {
    user: &'a str,
    expires_ms: Option<u64>,
    rights: Option<Vec<WrittenRight<'a>>>,
}

#[derive(Encode, BorrowDecode)]
struct WrittenRight<'a> {
    pattern: &'a str,
    join: bool,
    publish: bool,
    history: bool,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct WrittenPosition<'a> {
    pub(super) epoch: &'a str,
    pub(super) offset: u64,
}

#[derive(Encode, BorrowDecode)]
struct WrittenRoom<'a> {
    room: &'a str,
    position: WrittenPosition<'a>,
    entry: u64,
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Bytes {
        let written = match self {
            Self::Native(session) => Written::Native(session.into()),
            Self::SocketIo(line) => Written::SocketIo(line.into()),
        };
        encode(&written, USUAL)
    }

    /// Reads what [`Checkpoint::encode`] has written; `None` if it is of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(match decode(bytes)? {
            Written::Native(session) => Self::Native(session.read()?),
            Written::SocketIo(line) => Self::SocketIo(line.read()?),
        })
    }
}

impl WrittenLine<'_> {
    fn read(self) -> Option<KeptLine> {
        let Self { identity, authenticated, guest, connects, origin, attached_before, sockets } =
            self;
        let read = |(socket, session): (WrittenSocket<'_>, WrittenSession<'_>)| {
            Some((KeptSocket::from(socket), session.read()?))
        };
        Some(KeptLine {
            identity: identity.read()?,
            authenticated,
            guest,
            connects,
            origin,
            attached_before,
            sockets: sockets.into_iter().map(read).collect::<Option<_>>()?,
        })
    }
}

impl WrittenSession<'_> {
    fn read(self) -> Option<KeptSession> {
        let room = |kept| {
            let WrittenRoom { room, position, entry } = kept;
            Some(KeptRoom { room: RoomId::parse(room).ok()?, position: position.into(), entry })
        };
        let departure = |(room, at)| Some((RoomId::parse(room).ok()?, at));
        Some(KeptSession {
            namespace: Namespace::parse(self.namespace).ok()?,
            identity: self.identity.read()?,
            authenticated: self.authenticated,
            inbox_after: self.inbox_after.map(Position::from),
            rooms: self.rooms.into_iter().map(room).collect::<Option<_>>()?,
            departures: self.departures.into_iter().map(departure).collect::<Option<_>>()?,
            entries: self.entries,
        })
    }
}

impl WrittenIdentity<'_> {
    fn read(self) -> Option<Identity> {
        let Self { user, expires_ms, rights } = self;
        let right = |right| {
            let WrittenRight { pattern, join, publish, history } = right;
            RoomRight { pattern: pattern.to_owned(), join, publish, history }
        };
        Some(Identity {
            user: UserId::parse(user).ok()?,
            expires_ms,
            rights: Rights(rights.map(|it| it.into_iter().map(right).collect())),
        })
    }
}

impl<'a> From<&'a KeptLine> for WrittenLine<'a> {
    fn from(kept: &'a KeptLine) -> Self {
        let KeptLine { identity, authenticated, guest, connects, origin, attached_before, sockets } =
            kept;
        Self {
            identity: identity.into(),
            authenticated: *authenticated,
            guest: *guest,
            connects: *connects,
            origin: *origin,
            attached_before: *attached_before,
            sockets: sockets.iter().map(|(socket, it)| (socket.into(), it.into())).collect(),
        }
    }
}

impl<'a> From<&'a KeptSocket> for WrittenSocket<'a> {
    fn from(kept: &'a KeptSocket) -> Self {
        let KeptSocket {
            session,
            private_id,
            recoveries,
            origin,
            connect,
            nth,
            actions,
            came_with,
            ended,
        } = kept;
        Self {
            session: session.0,
            private_id: private_id.0,
            recoveries: *recoveries,
            origin: *origin,
            connect: *connect,
            nth: *nth,
            actions: actions.iter().map(String::as_str).collect(),
            came_with: came_with.map(|Stamp { stream, number }| (stream, number)),
            ended: *ended,
        }
    }
}

impl From<WrittenSocket<'_>> for KeptSocket {
    fn from(written: WrittenSocket<'_>) -> Self {
        Self {
            session: SessionId(written.session),
            private_id: SessionId(written.private_id),
            recoveries: written.recoveries,
            origin: written.origin,
            connect: written.connect,
            nth: written.nth,
            actions: written.actions.into_iter().map(str::to_owned).collect(),
            came_with: written.came_with.map(|(stream, number)| Stamp { stream, number }),
            ended: written.ended,
        }
    }
}

impl<'a> From<&'a KeptSession> for WrittenSession<'a> {
    fn from(kept: &'a KeptSession) -> Self {
        let KeptSession {
            namespace,
            identity,
            authenticated,
            inbox_after,
            rooms,
            departures,
            entries,
        } = kept;
        Self {
            namespace: namespace.as_str(),
            identity: identity.into(),
            authenticated: *authenticated,
            inbox_after: inbox_after.as_ref().map(WrittenPosition::from),
            rooms: rooms.iter().map(WrittenRoom::from).collect(),
            departures: departures.iter().map(|(room, at)| (room.as_str(), *at)).collect(),
            entries: *entries,
        }
    }
}

impl<'a> From<&'a Identity> for WrittenIdentity<'a> {
    fn from(identity: &'a Identity) -> Self {
        let Identity { user, expires_ms, rights: Rights(rights) } = identity;
        let rights = rights.as_ref().map(|it| it.iter().map(WrittenRight::from).collect());
        Self { user: user.as_str(), expires_ms: *expires_ms, rights }
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
