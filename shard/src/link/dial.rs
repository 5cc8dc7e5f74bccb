//! The dialling end of a link: again and again, with growing and jittered pauses.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use tokio::time::timeout;
use tonic::Status;
use tracing::{debug, warn};
use trunkline_config::Shard;
use trunkline_core::ShardIndex;
use trunkline_proto::cluster::pause_or_news;
use trunkline_proto::outbox::outbox;
use trunkline_proto::peer::PeerBatch;
use trunkline_proto::peer::peer_client::PeerClient;
use trunkline_proto::transport::{
    HELLO_TIMEOUT, MAX_MESSAGE, STREAM_BOUNDS, SecurityError, causes,
};

use super::{HELLO, hello, run, split_hello};
use crate::hello::{check_map, check_shard};
use crate::streams::Streams;
use trunkline_proto::net::Connector;

const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Failures in a row until a peer that can't be reached is worth a warning: about three seconds.
const PATIENCE: u32 = 9;

/// Why a link did not come up.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(transparent)]
    Security(#[from] SecurityError),
    #[error("cannot connect: {}", causes(.0))]
    Connect(#[from] tonic::transport::Error),
    #[error("refused: {0}")]
    Refused(String),
    /// A shard that doesn't trust our certificate, or wants one, says so only by hanging up.
    #[error(
        "the connection ended without an answer: {0}; check that cluster.tls is set alike on both"
    )]
    Unanswered(String),
    #[error("no answer in time")]
    Silent,
    #[error("the first item was no hello")]
    NoHello,
}

impl From<Status> for DialError {
    fn from(status: Status) -> Self {
        // Only what our own side makes of a broken connection has a source.
        match status.source() {
            Some(cause) => Self::Unanswered(causes(cause)),
            None => Self::Refused(status.message().to_owned()),
        }
    }
}

impl DialError {
    /// Whether it is worth an operator's attention at the nth failure in a row. A refusal is at
    /// once; a peer that can't be reached may only be starting.
    fn is_news(&self, nth: u32) -> bool {
        match self {
            Self::Refused(_) | Self::Security(_) => nth == 1,
            Self::Connect(_) | Self::Unanswered(_) | Self::Silent | Self::NoHello => {
                nth == PATIENCE
            }
        }
    }
}

/// Keeps the link to a peer up for as long as the map has it. `seed` decides the jitter.
pub(super) async fn keep_dialling(
    streams: Arc<Streams>,
    connector: Arc<dyn Connector>,
    peer: ShardIndex,
    seed: u64,
) {
    let pauses = || {
        ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .with_jitter_seed(seed)
            .without_max_times()
            .build()
    };
    let mut pause = pauses();
    let mut failures = 0;
    let mut outlooks = streams.cluster.subscribe();
    loop {
        // The other may have dialled, by another map; and who is in no map and has nothing needs
        // nobody.
        let (mut linked, mut remaining) = (streams.linked.clone(), streams.remaining.clone());
        let needed = async {
            linked.wait_for(|linked| !linked.contains(&peer)).await.ok()?;
            remaining.wait_for(|remaining| !remaining.is_gone()).await.ok()
        };
        if needed.await.is_none() {
            return;
        }
        let outlook = outlooks.borrow_and_update().clone();
        let Some(Shard { id: name, grpc, .. }) = outlook.view.shard(peer.0) else { return };
        let mut tried = outlook.view.id();
        match dial(&streams, connector.as_ref(), peer, name, grpc).await {
            Ok(()) => {
                pause = pauses();
                failures = 0;
                tried = streams.cluster.outlook().view.id();
            }
            Err(error) => {
                failures += 1;
                if error.is_news(failures) {
                    warn!(peer = name, %error, "no link; trying on");
                } else {
                    debug!(peer = name, %error, failures, "no link; trying on");
                }
            }
        }
        let next = pause.next().unwrap_or(LONGEST_PAUSE);
        if pause_or_news(next, tried, &mut outlooks).await {
            pause = pauses();
        }
    }
}

/// One link from its beginning to its end.
async fn dial(
    streams: &Arc<Streams>,
    connector: &dyn Connector,
    peer: ShardIndex,
    id: &str,
    address: &str,
) -> Result<(), DialError> {
    let endpoint = streams.security.endpoint(address)?;
    let channel = connector.connect(endpoint).await?;
    let mut client = PeerClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let (outbox, batches) = outbox(STREAM_BOUNDS);
    let (hello, far) = hello(streams, peer, id.to_owned());
    outbox.push(hello, HELLO).map_err(|_| DialError::Silent)?;
    let batches = batches.map(|items| PeerBatch { items });
    let (request, opening) = streams.security.request(batches, id, streams.now_ms())?;
    let silent = |_| DialError::Silent;
    let response = timeout(HELLO_TIMEOUT, client.open(request)).await.map_err(silent)??;
    streams.security.check_response(&response, &opening, streams.now_ms())?;
    let mut inbound = response.into_inner();
    let first = timeout(HELLO_TIMEOUT, inbound.message()).await.map_err(silent)??;
    let (theirs, rest) = split_hello(first).ok_or(DialError::NoHello)?;
    check_shard(id, &theirs.from)?;
    check_map(streams.cluster.outlook().view.id().map, theirs.map)?;
    run(Arc::clone(streams), far, theirs, outbox, inbound, rest).await;
    Ok(())
}

#[cfg(test)]
mod tests;
