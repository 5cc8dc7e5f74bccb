//! What reaches the driver from the streams. One bounded channel carries it all: when the driver
//! is behind, streams wait to put more in, HTTP/2's windows fill, and the routers stop reading
//! from clients.

use std::sync::Arc;

use trunkline_config::Statuses;
use trunkline_core::{ShardIndex, TrunkId};
use trunkline_proto::outbox::Outbox;
use trunkline_proto::{peer, trunk};

/// Events that may wait for the driver; each is a batch.
pub(crate) const CAPACITY: usize = 256;

/// Names one stream to a peer; the next one to the same peer has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkId(pub(crate) u64);

/// Something that a stream has brought.
pub(crate) enum Event {
    /// A router worker has said hello.
    TrunkUp {
        trunk: TrunkId,
        /// Where its items go.
        outbox: Outbox<trunk::Down>,
        /// It knew an earlier process of this shard.
        restarted: bool,
        /// What it was told of shards when it came up.
        told: Arc<Statuses>,
    },
    TrunkBatch {
        trunk: TrunkId,
        items: Vec<trunk::Up>,
    },
    TrunkDown {
        trunk: TrunkId,
    },
    /// A peer and this shard have said hello.
    LinkUp {
        peer: ShardIndex,
        link: LinkId,
        outbox: Outbox<peer::PeerItem>,
        restarted: bool,
        told: Arc<Statuses>,
    },
    LinkBatch {
        peer: ShardIndex,
        link: LinkId,
        items: Vec<peer::PeerItem>,
    },
    LinkDown {
        peer: ShardIndex,
        link: LinkId,
    },
    /// A peer was found dead. Its machine may be there and its link look whole.
    PeerDead {
        peer: ShardIndex,
    },
}
