//! A trunk's stream while it lives, and why it doesn't.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use tokio::task::{coop, yield_now};
use tonic::{Code, Status, Streaming};
use trunkline_config::{MapId, Statuses};
use trunkline_proto::cluster::Outlook;
use trunkline_proto::outbox::Outbox;
use trunkline_proto::transport::{SecurityError, causes};
use trunkline_proto::trunk::{Down, DownBatch, Up};
use trunkline_proto::watch;

use super::Trunk;

/// A stream whose hellos have been exchanged.
pub(super) struct Stream {
    pub(super) incoming: Streaming<DownBatch>,
    pub(super) outbox: Outbox<Up>,
    /// What came in one batch with the hello.
    pub(super) first: Vec<Down>,
    /// What the shard has said and was told of all shards.
    pub(super) told: Statuses,
    /// Where the shard was reached.
    pub(super) address: String,
}

/// Why there is no trunk.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrunkError {
    #[error("cannot connect: {}; check that the shard runs and its grpc address", causes(.0))]
    Unreachable(tonic::transport::Error),
    #[error(transparent)]
    Security(SecurityError),
    #[error("no hello in time; check that the address is a shard's grpc address")]
    Silent,
    #[error("the shard refused: {0}")]
    Refused(String),
    /// A shard that doesn't trust our certificate, or wants one, says so only by hanging up.
    #[error(
        "the connection ended without an answer: {0}; check that the address is a shard's grpc address and that cluster.tls is set alike on both"
    )]
    Unanswered(String),
    #[error("the first item was no hello; run the same release on routers and shards")]
    NoHello,
    #[error(
        "the shard has map {theirs}, this router {ours}; give both the same shards.toml and restart the one that is behind"
    )]
    OtherMap { ours: MapId, theirs: MapId },
    #[error(
        "shard `{found}` answers where `{wanted}` should; correct the addresses in shards.toml"
    )]
    OtherShard { wanted: String, found: String },
    #[error("the stream broke: {0}")]
    Broken(String),
    #[error("the shard ended the stream")]
    Ended,
    #[error("the shard reads nothing any more")]
    Stuck,
    #[error("the shard map gives it another address")]
    Readdressed,
}

impl TrunkError {
    /// What came in place of the shard's hello.
    pub(super) fn refused(status: &Status) -> Self {
        // Only what our own side makes of a broken connection has a source.
        if let Some(cause) = status.source() {
            return Self::Unanswered(causes(cause));
        }
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled => Self::Broken(describe(status)),
            _ => Self::Refused(describe(status)),
        }
    }

    /// What tells this failure from others to whoever reads the log: how a connection ends
    /// without an answer differs by timing, and is one failure all the same.
    pub(super) fn gist(&self) -> String {
        match self {
            Self::Unanswered(_) => Self::Unanswered(String::new()).to_string(),
            other => other.to_string(),
        }
    }
}

fn describe(status: &Status) -> String {
    format!("{} ({:?})", status.message(), status.code())
}

/// Applies batches until the stream ends, and says why it did.
pub(super) async fn serve(
    trunk: &Rc<Trunk>,
    stream: Stream,
    outlooks: &mut watch::Receiver<Outlook>,
) -> TrunkError {
    let Stream { mut incoming, outbox, first, told, address } = stream;
    trunk.come_up(outbox, told);
    if !first.is_empty() && !trunk.apply(first) {
        return TrunkError::Stuck;
    }
    // What has changed while the stream was opened is to be told, too.
    outlooks.mark_changed();
    // tokio would let a task touch only so many sockets per turn, and hand the rest of a large
    // group to the connections' tasks. The turn ends after each batch instead.
    coop::unconstrained(async {
        loop {
            let (message, has_waited) = tokio::select! {
                biased;
                () = trunk.cut.notified() => return TrunkError::Stuck,
                // An error means that nothing will change any more, which the process's end does.
                Ok(()) = outlooks.changed() => {
                    if is_elsewhere(trunk, &address, &outlooks.borrow_and_update()) {
                        return TrunkError::Readdressed;
                    }
                    if !trunk.tell_news() {
                        return TrunkError::Stuck;
                    }
                    continue;
                }
                next = next(&mut incoming) => next,
            };
            // Who has waited has begun a turn.
            if !has_waited {
                yield_now().await;
            }
            match message {
                Ok(Some(batch)) => {
                    if !trunk.apply(batch.items) {
                        return TrunkError::Stuck;
                    }
                }
                Ok(None) => return TrunkError::Ended,
                Err(status) => return TrunkError::Broken(describe(&status)),
            }
        }
    })
    .await
}

/// The next batch, and whether it had to be waited for.
async fn next(incoming: &mut Streaming<DownBatch>) -> (Result<Option<DownBatch>, Status>, bool) {
    let mut message = pin!(incoming.message());
    let mut has_waited = false;
    poll_fn(|cx| {
        let polled = message.as_mut().poll(cx);
        let was_there = !std::mem::replace(&mut has_waited, true);
        polled.map(|message| (message, !was_there))
    })
    .await
}

/// Whether the map gives the trunk's shard another address.
fn is_elsewhere(trunk: &Trunk, address: &str, outlook: &Outlook) -> bool {
    outlook.view.shard(trunk.number).is_some_and(|shard| shard.grpc != address)
}
