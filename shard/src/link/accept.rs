//! The accepting end of a link.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;
use trunkline_core::ShardIndex;
use trunkline_proto::outbox::outbox;
use trunkline_proto::peer::PeerBatch;
use trunkline_proto::peer::peer_server::Peer;
use trunkline_proto::transport::{HELLO_TIMEOUT, STREAM_BOUNDS};

use super::{HELLO, hello, run, split_hello};
use crate::hello::{check_id, check_map, check_shard};
use crate::streams::Streams;

/// The link service.
pub(crate) struct PeerService(pub(crate) Arc<Streams>);

type Batches = Pin<Box<dyn Stream<Item = Result<PeerBatch, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for PeerService {
    type OpenStream = Batches;

    async fn open(
        &self,
        request: Request<Streaming<PeerBatch>>,
    ) -> Result<Response<Batches>, Status> {
        let streams = Arc::clone(&self.0);
        let (outbox, batches) = outbox(STREAM_BOUNDS);
        let batches: Batches = Box::pin(batches.map(|items| Ok(PeerBatch { items })));
        let response =
            streams.security.accept(request.metadata(), &streams.id, streams.now_ms(), batches)?;
        let mut inbound = request.into_inner();
        let first = timeout(HELLO_TIMEOUT, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello came"))??;
        let (theirs, rest) = split_hello(first)
            .ok_or_else(|| Status::invalid_argument("the first item must be a hello"))?;
        check_shard(&streams.id, &theirs.to)?;
        check_id(&theirs.from)?;
        let map = streams.cluster.outlook().view.id().map;
        check_map(map, theirs.map).inspect_err(|status| {
            if streams.refusal_is_news(&theirs.from, status.message()) {
                warn!(peer = theirs.from, reason = status.message(), "refusing a link");
            }
        })?;
        // One that the map doesn't have any more has something to give away.
        let peer = match streams.cluster.number(&theirs.from).map(ShardIndex) {
            Some(peer) if peer != streams.me => peer,
            Some(_) => return Err(Status::failed_precondition("no other shard has this ID")),
            None => return Err(Status::resource_exhausted("too many shards")),
        };
        let (hello, far) = hello(&streams, peer, theirs.from.clone());
        outbox.push(hello, HELLO).map_err(|_| Status::unavailable("the stream has ended"))?;
        tokio::spawn(run(streams, far, theirs, outbox, inbound, rest));
        Ok(response)
    }
}
