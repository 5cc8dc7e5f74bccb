//! What a core wants done.

use std::time::Duration;

use bytes::Bytes;

use crate::link::ShardIndex;
use crate::log::LogRequest;
use crate::peer::PeerMessage;
use crate::{ConnectionId, GroupId, ReceiptId, Ticket, TrunkId};

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
    /// Check a token of an `auth` message.
    Verify {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The token.
        token: String,
    },
    /// A publish of this shard's sessions was acknowledged, this long after it came in.
    Published(Duration),
}

/// WebSocket messages that go to a connection together, in order, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What is done with it when the out-queue is full.
    pub kind: FrameKind,
    /// The messages' payloads, all text.
    pub parts: Vec<Bytes>,
}

impl Frame {
    /// A frame of one message.
    pub(crate) fn of(kind: FrameKind, part: Bytes) -> Self {
        Self { kind, parts: vec![part] }
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
    /// 1008: it broke a rule.
    Policy,
    /// 4001: its token has ended.
    NotAuthenticated,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            CloseCode::Policy => 1008,
            CloseCode::NotAuthenticated => 4001,
        }
    }
}
