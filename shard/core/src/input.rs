//! What a core is told.

use bytes::Bytes;
use trunkline_config::View;

use crate::api::ApiCall;
use crate::link::ShardIndex;
use crate::log::LogOutcome;
use crate::name::{Namespace, UserId};
use crate::output::SlotPosition;
use crate::peer::Member;
use crate::peer::PeerMessage;
use crate::position::Position;
use crate::rescue::Rescue;
use crate::rights::Rights;
use crate::session_id::SessionId;
use crate::{ApiCallId, ConnectionId, Dialect, ReceiptId, Ticket, TrunkId};

/// Something that happened. Items of one trunk, and of one link, come in the order in which they
/// were sent; nothing of a trunk or link comes after its `Down`.
#[derive(Clone, Debug)]
pub enum Input {
    /// The log is that of an earlier process of this shard: there may be members who have not come
    /// back yet, and whose homes and routers are new themselves and never met that process.
    Succeeds,
    /// A router worker has connected.
    TrunkUp {
        /// Its number.
        trunk: TrunkId,
        /// It was connected to an earlier process of this shard: there may be members who have
        /// not come back yet.
        restarted: bool,
    },
    /// A router worker is gone, or can't be reached.
    TrunkDown {
        /// Its number.
        trunk: TrunkId,
    },
    /// A client's connection speaks for a session from here on.
    Attach {
        /// By which trunk it came.
        trunk: TrunkId,
        /// Who it is.
        attach: Attach,
    },
    /// A client's socket is gone.
    Detach {
        /// By which trunk it came.
        trunk: TrunkId,
        /// The connection.
        connection: ConnectionId,
        /// The socket lives on: its router attaches it to another shard.
        moved: bool,
    },
    /// A client that polls has asked by a router that can't be seen any more. It may come back by another
    /// connection.
    Lost {
        /// By which trunk it came.
        trunk: TrunkId,
        /// The connection.
        connection: ConnectionId,
    },
    /// A client's message, as it was received.
    Message {
        /// By which trunk it came.
        trunk: TrunkId,
        /// The connection.
        connection: ConnectionId,
        /// The connection's count of its messages, from 1.
        sequence: u64,
        /// The WebSocket message's payload; of a Socket.IO text, what follows Engine.IO's type.
        payload: Bytes,
        /// Whether it is binary.
        binary: bool,
        /// It is sent again after its connection was attached again: which parts of its answer the
        /// client has been given, by [`crate::Answer::bit`].
        answered: u64,
    },
    /// A client has changed its connection: what was sent to the old one before has been passed
    /// on to the new one, and the messages of the new one are counted from 1.
    Move {
        /// Where it was.
        from: (TrunkId, ConnectionId),
        /// Where it is.
        to: (TrunkId, ConnectionId),
    },
    /// A server of the application asks something; answered by [`crate::Output::ApiAnswer`].
    Api {
        /// By which trunk it came.
        trunk: TrunkId,
        /// The router's number for it.
        call: ApiCallId,
        /// Under which session and name it asks.
        member: Member,
        /// What.
        request: ApiCall,
    },
    /// What became of a frame that asked for a receipt.
    Receipt {
        /// By which trunk it went.
        trunk: TrunkId,
        /// Which one.
        receipt: ReceiptId,
        /// Whether it has entered at least one out-queue.
        passed: bool,
    },
    /// The link to a peer is up.
    LinkUp {
        /// The peer.
        peer: ShardIndex,
        /// It was linked to an earlier process of this shard.
        restarted: bool,
    },
    /// The link to a peer is broken.
    LinkDown {
        /// The peer.
        peer: ShardIndex,
    },
    /// A peer's message.
    Peer {
        /// The peer.
        peer: ShardIndex,
        /// What it says.
        message: PeerMessage,
    },
    /// What became of a request to the log.
    Log {
        /// The request's ticket.
        ticket: Ticket,
        /// Its outcome.
        outcome: LogOutcome,
    },
    /// What a token of an `auth` message says; `None` if it is not valid.
    Verified {
        /// The request's ticket.
        ticket: Ticket,
        /// Whom it names.
        identity: Option<Identity>,
    },
    /// What the application has answered to [`crate::Output::Call`].
    Called {
        /// The request's ticket.
        ticket: Ticket,
        /// The body of a good answer.
        answer: Result<Bytes, CallFailure>,
    },
    /// What routers have of the session of [`crate::Output::Seek`], if any has something.
    Found {
        /// The request's ticket.
        ticket: Ticket,
        /// What each has.
        found: Vec<Rescue>,
    },
    /// There is another map, or a shard is away or serves again.
    View(View),
    /// Time has passed.
    Tick,
}

/// Why the application has given no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// It said no: a status that trying again would not change.
    #[error("the application refused")]
    Refused,
    /// It could not be reached, or did not answer in time, however often it was tried.
    #[error("the application can't be reached")]
    Unavailable,
}

/// A client that has come through the handshake.
#[derive(Clone, Debug)]
pub struct Attach {
    /// Chosen by the router.
    pub connection: ConnectionId,
    /// The session that it speaks for.
    pub session: SessionId,
    /// How it speaks. A Socket.IO client's session is that of its connection: each namespace that
    /// it connects to has one of its own.
    pub dialect: Dialect,
    /// How often the connection was attached before, to whichever shard.
    pub attachment: u32,
    /// Whether its shard has known it before.
    pub comes: Comes,
}

/// Whether a client is new to its shard.
#[derive(Clone, Debug)]
pub enum Comes {
    /// It has just come.
    Anew(Newcomer),
    /// It was attached before, and its router has kept it. Boxed: few are, and all inputs would be
    /// as large.
    Again(Box<Adoption>),
}

/// All that a router tells of a client that has just come.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The namespace of its rooms; Socket.IO clients name theirs later.
    pub namespace: Namespace,
    /// Who speaks.
    pub identity: Identity,
    /// Whether a token said who speaks; then only a token of the same user renews it.
    pub authenticated: bool,
    /// Nobody but chance has named the user; a Socket.IO client may still say who speaks.
    pub guest: bool,
    /// The last private message that it had, if it said so.
    pub inbox_after: Option<Position>,
}

/// What a router gives back for a connection whose trunk broke: the client has noticed nothing.
/// All that the client has said and that is not settled comes again after this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The newest of [`crate::Output::Checkpoint`], authenticated; empty if it is not what this
    /// cluster has given for the session.
    pub state: Bytes,
    /// The newest position of each group that the connection was in.
    pub positions: Vec<Bytes>,
    /// The newest position by slot.
    pub slots: Vec<SlotPosition>,
    /// Up to which of the client's messages everything is settled.
    pub settled: u64,
}

/// Who speaks, until when, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// When it ends, in milliseconds since 1970; `None` if never.
    pub expires_ms: Option<u64>,
    /// What the token allows.
    pub rights: Rights,
}
