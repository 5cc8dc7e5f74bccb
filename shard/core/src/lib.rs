//! The pure state machine of a shard: sessions, rooms and inboxes.
//!
//! [`Core::handle`] takes an [`Input`] and the time, [`Core::poll_output`] gives what is to be
//! done about it, [`Core::poll_timeout`] says when to call [`Core::handle`] with
//! [`Input::Tick`] at the latest. The crate has no runtime, socket, clock, thread or randomness of
//! its own, and no order of a hash map reaches an output, so that the same inputs give the same
//! outputs: whole clusters of cores are simulated from a seed.
//!
//! Inside, a core has two halves that know each other only by [`PeerMessage`]: `home` keeps the
//! sessions whose connections this shard carries, `owner` keeps the topics that hash to it. What
//! one half says to the other of the same shard takes the same way as what it says to another
//! shard's, without the link; so there is one path to get right.

mod answered;
mod api;
mod asker;
mod attachment;
mod awaited;
mod binary;
mod checkpoint;
mod core;
mod deadlines;
mod dedupe;
mod dialect;
mod home;
mod input;
mod link;
mod log;
mod message;
mod name;
mod output;
mod owner;
mod peer;
mod position;
mod rescue;
mod rights;
mod rules;
mod session_id;
mod settings;
mod small_map;
mod time;
mod topic;

pub use self::core::{Core, Gauges};
pub use answered::{Answered, FirstAnswer, KnownBy};
pub use api::{ApiCall, ApiCallId, ApiProblem};
pub use attachment::Attachment;
pub use binary::{BodyError, arguments_to_json_array};
pub use home::Stamp;
pub use input::{Adoption, Attach, CallFailure, Comes, Identity, Input, Newcomer};
pub use link::ShardIndex;
pub use log::{Held, LogFailure, LogOutcome, LogRequest, Opened, Publication, ReadQuery};
pub use message::{Arguments, Body, Record};
pub use name::{NameError, Namespace, RoomId, UserId};
pub use output::{Answer, Call, CloseCode, Frame, FrameKind, Output, Part, SlotPosition};
pub use peer::{
    Action, Delivery, GatherId, Gathered, HandoverId, Joined, Member, News, PeerMessage, Recalled,
    Refusal, Reply, RequestId, SendStatus, Standing, TransferPart, UserPresence,
};
pub use position::{Epoch, Position};
pub use rescue::{Given, Ledger, MovedLedger, Rescue};
pub use rights::{Rights, RoomRight};
pub use session_id::SessionId;
pub use settings::{CoreSettings, LogReach};
pub use time::{Mono, Now};
pub use topic::Topic;

/// A trunk, numbered by the shell; never used twice in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkId(pub u64);

/// A connection, numbered by its router; unique on its trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `trunkline.v1`.
    Native,
    /// Socket.IO protocol 5 over Engine.IO protocol 4.
    SocketIo,
}

/// A group of connections on one trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// Names an output whose result comes back as an input. Each ticket is answered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names a frame whose arrival in an out-queue is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(pub u64);

impl ReceiptId {
    pub(crate) fn new(count: u64, is_awaited: bool) -> Self {
        Self(awaited::number(count, is_awaited))
    }
}
