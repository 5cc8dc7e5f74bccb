//! Keeping a trunk up: dial, exchange hellos, and dial again after a jittered pause, always by the
//! newest map.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use prost::Message as _;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use trunkline_config::{MapId, Shard, Statuses};
use trunkline_proto::cluster::{Cluster, Outlook, decode_status, encode_statuses, pause_or_news};
use trunkline_proto::outbox::{Batches, Outbox, outbox};
use trunkline_proto::transport::{
    HELLO_TIMEOUT, MAX_MESSAGE, STREAM_BOUNDS, Security, SecurityError,
};
use trunkline_proto::trunk::trunk_client::TrunkClient;
use trunkline_proto::trunk::{self, Down, DownBatch, DownHello, Up, UpBatch, UpHello, down, up};

use super::Trunk;
use super::again::tend;
use super::board::Board;
use super::stream::{Stream, TrunkError, serve};
use trunkline_proto::net::{Clock, Connector};

const PAUSE_FIRST: Duration = Duration::from_millis(25);
/// Without the jitter, which at most doubles it.
const PAUSE_LONGEST: Duration = Duration::from_millis(250);

/// What a worker dials its shards with.
pub(crate) struct Dialer {
    pub(crate) cluster: Cluster,
    /// Random, one per router process.
    pub(crate) router: u64,
    pub(crate) worker: u32,
    pub(crate) security: Arc<Security>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
}

/// Keeps a trunk up until it is finished. `seed` is that of the pauses' jitter.
pub(super) async fn keep_up(trunk: Rc<Trunk>, dialer: Rc<Dialer>, seed: u64) {
    tokio::select! {
        biased;
        () = dial_again_and_again(&trunk, &dialer, seed) => {}
        never = tend(&trunk) => match never {},
    }
}

async fn dial_again_and_again(trunk: &Rc<Trunk>, dialer: &Dialer, seed: u64) {
    let (number, worker) = (trunk.number, dialer.worker);
    let mut outlooks = dialer.cluster.subscribe();
    let mut last_incarnation = 0;
    let mut reported = String::new();
    let mut round: u64 = 0;
    loop {
        // Another seed each time, or every router's pauses would repeat.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(PAUSE_FIRST)
            .with_max_delay(PAUSE_LONGEST)
            .with_jitter()
            .with_jitter_seed(seed.wrapping_add(round))
            .without_max_times()
            .build();
        round += 1;
        for pause in pauses {
            let outlook = outlooks.borrow_and_update().clone();
            let Some(shard) = outlook.view.shard(number) else {
                // Whoever is still held for it goes elsewhere, and then this ends.
                let _ = outlooks.changed().await;
                break;
            };
            let error = match dialer.dial(&outlook, shard, last_incarnation).await {
                Ok((stream, incarnation)) => {
                    tracing::info!(shard = %shard.id, worker, "trunk is up");
                    last_incarnation = incarnation;
                    reported.clear();
                    dialer.board.came_up(number);
                    let error = serve(trunk, stream, &mut outlooks).await;
                    dialer.board.went_down(number);
                    trunk.go_down();
                    if trunk.finishing.get() {
                        return;
                    }
                    tracing::warn!(shard = %shard.id, worker, %error, "trunk broke");
                    break;
                }
                Err(error) => error,
            };
            // The same failure every few seconds would bury everything else.
            if error.gist() != reported {
                tracing::warn!(shard = %shard.id, address = %shard.grpc, worker,
                    %error, "no trunk; trying again");
                reported = error.gist();
            }
            if pause_or_news(pause, outlook.view.id(), &mut outlooks).await {
                break;
            }
        }
        sleep(PAUSE_FIRST).await;
    }
}

impl Dialer {
    /// Opens a stream; tells the shard's incarnation, too.
    async fn dial(
        &self,
        outlook: &Outlook,
        shard: &Shard,
        last_incarnation: u64,
    ) -> Result<(Stream, u64), TrunkError> {
        let (outbox, batches) = outbox(STREAM_BOUNDS);
        let hello = UpHello {
            map: Some(wire_map(outlook.view.id().map)),
            shard: shard.id.clone(),
            router: self.router,
            worker: self.worker,
            last_incarnation,
            statuses: encode_statuses(&outlook.statuses),
        };
        let opened = self.open(hello, &shard.grpc, &outbox, batches).await;
        if opened.is_err() {
            // The connection lives as long as either direction of its stream.
            outbox.close();
        }
        let (incoming, first, hello) = opened?;
        let mut told = Statuses::clone(&outlook.statuses);
        for status in hello.statuses.into_iter().filter_map(decode_status) {
            told.learn(&status);
            self.cluster.learn(&status);
        }
        let address = shard.grpc.clone();
        Ok((Stream { incoming, outbox, first, told, address }, hello.incarnation))
    }

    /// Connects and exchanges hellos; returns what came in one batch with the shard's, too.
    async fn open(
        &self,
        hello: UpHello,
        address: &str,
        outbox: &Outbox<Up>,
        batches: Batches<Up>,
    ) -> Result<(Streaming<DownBatch>, Vec<Down>, DownHello), TrunkError> {
        let endpoint = self.security.endpoint(address)?;
        let channel = self.connector.connect(endpoint).await.map_err(TrunkError::Unreachable)?;
        let mut client = TrunkClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);

        let (ours, shard) = (hello.map.unwrap_or_default(), hello.shard.clone());
        let size = hello.encoded_len() + super::ATTACH_SIZE;
        let hello = Up { item: Some(up::Item::Hello(hello)) };
        outbox.push(hello, size).map_err(|_| TrunkError::Ended)?;
        let batches = batches.map(|items| UpBatch { items });
        let (request, opening) = self.security.request(batches, &shard, (self.clock)())?;
        let response = timeout(HELLO_TIMEOUT, client.open(request))
            .await
            .map_err(|_| TrunkError::Silent)?
            .map_err(|status| TrunkError::refused(&status))?;
        self.security.check_response(&response, &opening, (self.clock)())?;
        let mut incoming = response.into_inner();
        let first = timeout(HELLO_TIMEOUT, incoming.message())
            .await
            .map_err(|_| TrunkError::Silent)?
            .map_err(|status| TrunkError::refused(&status))?
            .ok_or(TrunkError::Ended)?;
        let (hello, rest) = check_hello(first.items, ours, shard)?;
        Ok((incoming, rest, hello))
    }
}

/// Splits the hello off the first batch and checks that it is of our map and the shard that we mean.
fn check_hello(
    mut items: Vec<Down>,
    ours: trunk::MapId,
    wanted: String,
) -> Result<(DownHello, Vec<Down>), TrunkError> {
    if items.is_empty() {
        return Err(TrunkError::NoHello);
    }
    let Some(down::Item::Hello(hello)) = items.remove(0).item else {
        return Err(TrunkError::NoHello);
    };
    if hello.map != Some(ours) {
        let (ours, theirs) = (map_id(ours), map_id(hello.map.unwrap_or_default()));
        return Err(TrunkError::OtherMap { ours, theirs });
    }
    if hello.shard != wanted {
        return Err(TrunkError::OtherShard { wanted, found: hello.shard });
    }
    Ok((hello, items))
}

fn map_id(id: trunk::MapId) -> MapId {
    MapId { version: id.version, digest: id.digest }
}

fn wire_map(id: MapId) -> trunk::MapId {
    trunk::MapId { version: id.version, digest: id.digest }
}

impl From<SecurityError> for TrunkError {
    fn from(error: SecurityError) -> Self {
        Self::Security(error)
    }
}
