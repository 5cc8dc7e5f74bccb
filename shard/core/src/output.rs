//! What a core wants done.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use trunkline_config::ViewId;

use crate::api::ApiProblem;
use crate::link::ShardIndex;
use crate::log::LogRequest;
use crate::peer::{PeerMessage, Reply};
use crate::session_id::SessionId;
use crate::{ApiCallId, ConnectionId, Dialect, GroupId, ReceiptId, Ticket, TrunkId};

/// Something to do. Outputs of one trunk, and of one link, are applied in their order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Queue a frame for connections by number.
    Send {
        /// The trunk.
        trunk: TrunkId,
        /// The connections.
        connections: Vec<ConnectionId>,
        /// The frame.
        frame: Frame,
        /// Say what became of it.
        receipt: Option<ReceiptId>,
        /// What the connections have had with it.
        position: Option<SlotPosition>,
        /// The message of the connection that it answers, or a part of the answer. The frame may be
        /// empty then: it is done, and nothing is said of it.
        answers: Option<Answer>,
    },
    /// Queue a frame for every connection of a group.
    Fan {
        /// The trunk.
        trunk: TrunkId,
        /// The group.
        group: GroupId,
        /// The frame.
        frame: Frame,
        /// A connection that is left out.
        except: Option<ConnectionId>,
        /// Where the group's topic is after it, for the router to return; `None` for what has no
        /// place.
        position: Option<Bytes>,
    },
    /// A connection enters or leaves a group.
    Group {
        /// The trunk.
        trunk: TrunkId,
        /// The group, made by its first member and gone with its last.
        group: GroupId,
        /// The connection.
        connection: ConnectionId,
        /// Enters, or leaves.
        member: bool,
        /// What who enters has had of the group's topic.
        position: Option<Bytes>,
    },
    /// Close a connection after what is queued for it.
    Close {
        /// The trunk.
        trunk: TrunkId,
        /// The connection.
        connection: ConnectionId,
        /// Why, as a close code.
        code: CloseCode,
        /// Why, in words; at most 123 bytes.
        reason: &'static str,
    },
    /// A session's messages up to this one are settled.
    Acknowledge {
        /// The trunk.
        trunk: TrunkId,
        /// The connection.
        connection: ConnectionId,
        /// The newest settled message.
        sequence: u64,
    },
    /// For the router to keep, and to return when it attaches the connection again. It comes
    /// before the acknowledgement of what it tells of.
    Checkpoint {
        /// The trunk.
        trunk: TrunkId,
        /// The connection.
        connection: ConnectionId,
        /// Whose state it is: the shell says so when it makes it trustworthy.
        session: SessionId,
        /// The state.
        state: Bytes,
    },
    /// Say something to a peer.
    Peer {
        /// The peer.
        peer: ShardIndex,
        /// What.
        message: PeerMessage,
    },
    /// Cut the link: the peer broke a rule, and a fresh link sets both right.
    CutLink {
        /// The peer.
        peer: ShardIndex,
        /// Which rule.
        reason: &'static str,
    },
    /// Ask the log.
    Log(LogRequest),
    /// These shards may hold topics that by this view are this one's: to be remembered for the
    /// shard's next process, whose core is told.
    Owed {
        /// The view.
        view: ViewId,
        /// The shards.
        shards: BTreeSet<ShardIndex>,
    },
    /// Check a token of an `auth` message.
    Verify {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The token.
        token: String,
    },
    /// Ask all routers for the session of a client that polled, which no shard has any more.
    Seek {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The ID that only the client knows.
        private_id: SessionId,
    },
    /// The answer to [`crate::Input::Api`].
    ApiAnswer {
        /// The trunk.
        trunk: TrunkId,
        /// The router's number for the call.
        call: ApiCallId,
        /// The answer.
        answer: Result<Reply, ApiProblem>,
    },
    /// Ask the application over HTTP.
    Call(Call),
    /// A client has been welcomed for whose session routers were asked.
    Sought {
        /// It goes on with it, by what a router had. Otherwise it begins anew.
        recovered: bool,
    },
    /// An event of a Socket.IO client for which there is no rule.
    Unhandled,
    /// A publish of this shard's sessions was acknowledged, this long after it came in.
    Published(Duration),
}

/// What a frame answers. What the router says was answered is not answered again when its message
/// comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The message, in the connection's count.
    pub message: u64,
    /// Which part of its answer this is, below [`Answer::PARTS`].
    pub part: u32,
}

impl Answer {
    /// Parts of an answer that routers keep apart.
    pub const PARTS: u32 = 64;

    /// The same in the count of a router that began after the message `origin`; none of what it
    /// doesn't know.
    pub(crate) fn counted_from(self, origin: u64) -> Option<Self> {
        let message = self.message.checked_sub(origin).filter(|message| *message > 0)?;
        (self.part < Self::PARTS).then_some(Self { message, ..self })
    }

    /// The bit that stands for a part in [`crate::Input::Message`]; none for what is not kept.
    #[must_use]
    pub fn bit(part: u32) -> u64 {
        1u64.checked_shl(part).unwrap_or(0)
    }
}

/// What a connection has had of a stream that is sent to it by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPosition {
    /// Which stream.
    pub slot: u32,
    /// Up to where. Opaque to everybody else.
    pub position: Bytes,
}

/// A question to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Comes back with the answer.
    pub ticket: Ticket,
    /// What the application recognises a repeat by; the same for every try.
    pub id: String,
    /// Where; none for the configured address.
    pub url: Option<String>,
    /// How long all tries may take together; none for the configured time.
    pub timeout: Option<Duration>,
    /// Tries after the first; none for the configured number.
    pub retries: Option<u32>,
    /// A JSON object.
    pub body: Bytes,
}

/// WebSocket messages that go to a connection together, in order, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What is done with it when the out-queue is full.
    pub kind: FrameKind,
    /// How its receivers speak.
    pub dialect: Dialect,
    /// The messages. Socket.IO texts begin with Engine.IO's type.
    pub parts: Vec<Part>,
}

impl Frame {
    /// A frame of native texts.
    pub(crate) fn native(kind: FrameKind, texts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts = texts.into_iter().map(Part::text).collect();
        Self { kind, dialect: Dialect::Native, parts }
    }

    /// A frame of a Socket.IO client's packets.
    #[must_use]
    pub fn socketio(kind: FrameKind, parts: Vec<Part>) -> Self {
        Self { kind, dialect: Dialect::SocketIo, parts }
    }
}

/// One WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its payload.
    pub payload: Bytes,
    /// Whether it is binary; else it is text.
    pub binary: bool,
}

impl Part {
    /// A text.
    #[must_use]
    pub fn text(payload: Bytes) -> Self {
        Self { payload, binary: false }
    }

    /// An attachment.
    #[must_use]
    pub fn binary(payload: Bytes) -> Self {
        Self { payload, binary: true }
    }
}

/// What a frame is, for the router's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A message on its way to subscribers: a full out-queue closes the connection.
    Live,
    /// Dropped first.
    Ephemeral,
    /// The answer to a request of the client's own.
    Reply,
}

/// Why a shard closes a connection (PROTOCOL, close codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: there is nothing more to say.
    Done,
    /// 1008: it broke a rule.
    Policy,
    /// 1009: a packet with all its attachments was over the limit.
    TooLarge,
    /// 1012: it can't go on with this connection, and may come back by another.
    Restart,
    /// 4001: its token has ended.
    NotAuthenticated,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            CloseCode::Done => 1000,
            CloseCode::Policy => 1008,
            CloseCode::TooLarge => 1009,
            CloseCode::Restart => 1012,
            CloseCode::NotAuthenticated => 4001,
        }
    }
}
