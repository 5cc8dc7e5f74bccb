//! The shard's end of trunks: routers connect, this side accepts.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};
use trunkline_core::TrunkId;
use trunkline_proto::cluster::{decode_status, encode_statuses};
use trunkline_proto::outbox::outbox;
use trunkline_proto::transport::{HELLO_TIMEOUT, STREAM_BOUNDS};
use trunkline_proto::trunk::trunk_server::Trunk;
use trunkline_proto::trunk::{Down, DownBatch, DownHello, Up, UpBatch, UpHello, down, up};

use crate::event::Event;
use crate::hello::{check_map, check_shard, encode_map, restarted};
use crate::streams::Streams;

/// How long a router waits for the shard's links before it is let in without them.
const ADMISSION: Duration = Duration::from_secs(3);

/// The trunk service.
pub(crate) struct TrunkService(pub(crate) Arc<Streams>);

type Batches = Pin<Box<dyn Stream<Item = Result<DownBatch, Status>> + Send>>;

#[tonic::async_trait]
impl Trunk for TrunkService {
    type OpenStream = Batches;

    async fn open(
        &self,
        request: Request<Streaming<UpBatch>>,
    ) -> Result<Response<Batches>, Status> {
        let streams = Arc::clone(&self.0);
        let (outbox, batches) = outbox::<Down>(STREAM_BOUNDS);
        let batches: Batches = Box::pin(batches.map(|items| Ok(DownBatch { items })));
        let response =
            streams.security.accept(request.metadata(), &streams.id, streams.now_ms(), batches)?;
        let mut inbound = request.into_inner();
        let (hello, rest) = read_hello(&mut inbound).await?;
        let UpHello { map, shard, router, worker, last_incarnation, statuses } = hello;
        check_shard(&streams.id, &shard)?;
        check_map(streams.cluster.outlook().view.id().map, map).inspect_err(|status| {
            if streams.refusal_is_news(&format!("router {router}"), status.message()) {
                warn!(router, worker, reason = status.message(), "refusing a router");
            }
        })?;
        for said in statuses.into_iter().filter_map(decode_status) {
            streams.cluster.learn(&said);
        }
        let mut admitting = streams.admitting.clone();
        // Not an error: after the wait the router is let in, and links come up when they can.
        let _ = timeout(ADMISSION, admitting.wait_for(|admitting| *admitting)).await;

        let outlook = streams.cluster.outlook();
        let hello = DownHello {
            map: Some(encode_map(outlook.view.id().map)),
            shard: streams.id.clone(),
            incarnation: streams.incarnation,
            statuses: encode_statuses(&outlook.statuses),
        };
        let hello = Down { item: Some(down::Item::Hello(hello)) };
        outbox.push(hello, 64).map_err(|_| Status::unavailable("the stream has ended"))?;
        let trunk = TrunkId(streams.number());
        let restarted = restarted(last_incarnation, streams.incarnation);
        let up = Event::TrunkUp { trunk, outbox, restarted, told: outlook.statuses };
        if !streams.tell(up).await {
            return Err(Status::unavailable("the shard is shutting down"));
        }
        debug!(trunk = trunk.0, router, worker, "trunk is up");
        tokio::spawn(read(streams, trunk, inbound, rest));
        Ok(response)
    }
}

/// Reads until the router is gone. What is read waits for the driver here, and so does the
/// router.
async fn read(
    streams: Arc<Streams>,
    trunk: TrunkId,
    mut inbound: Streaming<UpBatch>,
    mut items: Vec<Up>,
) {
    loop {
        if !items.is_empty() && !streams.tell(Event::TrunkBatch { trunk, items }).await {
            return;
        }
        match inbound.message().await {
            Ok(Some(batch)) => items = batch.items,
            Ok(None) => break,
            Err(status) => {
                debug!(trunk = trunk.0, %status, "trunk is broken");
                break;
            }
        }
    }
    streams.tell(Event::TrunkDown { trunk }).await;
}

/// The hello, and what came in the same batch.
async fn read_hello(inbound: &mut Streaming<UpBatch>) -> Result<(UpHello, Vec<Up>), Status> {
    let first = timeout(HELLO_TIMEOUT, inbound.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let mut items = first.map(|batch| batch.items).unwrap_or_default().into_iter();
    match items.next().and_then(|up| up.item) {
        Some(up::Item::Hello(hello)) => Ok((hello, items.collect())),
        _ => Err(Status::invalid_argument("the first item must be a hello")),
    }
}
