//! Keeping a trunk up: dial, exchange hellos, and dial again after a jittered pause.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use trunkline_config::{MapId, ShardMap};
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

const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Without the jitter, which at most doubles it.
const PAUSE_LONGEST: Duration = Duration::from_millis(2500);

/// Everything that it takes to dial one shard.
pub(crate) struct Line {
    pub(crate) map: Arc<ShardMap>,
    /// The shard's index in the map.
    pub(crate) shard: u16,
    /// Random, one per router process.
    pub(crate) router: u64,
    pub(crate) worker: u32,
    pub(crate) security: Arc<Security>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    /// Of the pauses' jitter.
    pub(crate) seed: u64,
}

/// Keeps a trunk up until it is finished.
pub(crate) async fn keep_up(trunk: Rc<Trunk>, line: Line) {
    tokio::select! {
        biased;
        () = dial_again_and_again(&trunk, &line) => {}
        never = tend(&trunk) => match never {},
    }
}

async fn dial_again_and_again(trunk: &Rc<Trunk>, line: &Line) {
    let mut last_incarnation = 0;
    let mut reported = String::new();
    let mut round: u64 = 0;
    let Some(shard) = line.map.shards().get(usize::from(line.shard)) else { return };
    loop {
        // Another seed each time, or every router's pauses would repeat.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(PAUSE_FIRST)
            .with_max_delay(PAUSE_LONGEST)
            .with_jitter()
            .with_jitter_seed(line.seed.wrapping_add(round))
            .without_max_times()
            .build();
        round += 1;
        for pause in pauses {
            let error = match line.dial(last_incarnation).await {
                Ok((stream, hello)) => {
                    tracing::info!(shard = %shard.id, worker = line.worker, "trunk is up");
                    last_incarnation = hello.incarnation;
                    reported.clear();
                    line.board.came_up(line.shard);
                    let error = serve(trunk, stream).await;
                    line.board.went_down(line.shard);
                    trunk.go_down();
                    if trunk.finishing.get() {
                        return;
                    }
                    tracing::warn!(shard = %shard.id, worker = line.worker, %error, "trunk broke");
                    break;
                }
                Err(error) => error,
            };
            // The same failure every few seconds would bury everything else.
            if error.gist() != reported {
                tracing::warn!(shard = %shard.id, address = %shard.grpc, worker = line.worker,
                    %error, "no trunk; trying again");
                reported = error.gist();
            }
            sleep(pause).await;
        }
        sleep(PAUSE_FIRST).await;
    }
}

impl Line {
    async fn dial(&self, last_incarnation: u64) -> Result<(Stream, DownHello), TrunkError> {
        let (outbox, batches) = outbox(STREAM_BOUNDS);
        let opened = self.open(last_incarnation, &outbox, batches).await;
        if opened.is_err() {
            // The connection lives as long as either direction of its stream.
            outbox.close();
        }
        let (incoming, first, hello) = opened?;
        Ok((Stream { incoming, outbox, first }, hello))
    }

    /// Connects and exchanges hellos; returns what came in one batch with the shard's, too.
    async fn open(
        &self,
        last_incarnation: u64,
        outbox: &Outbox<Up>,
        batches: Batches<Up>,
    ) -> Result<(Streaming<DownBatch>, Vec<Down>, DownHello), TrunkError> {
        let shard =
            self.map.shards().get(usize::from(self.shard)).ok_or(TrunkError::NoSuchShard)?;
        let endpoint = self.security.endpoint(&shard.grpc)?;
        let channel = self.connector.connect(endpoint).await.map_err(TrunkError::Unreachable)?;
        let mut client = TrunkClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);

        let hello = UpHello {
            map: Some(wire_map(self.map.id())),
            shard: shard.id.clone(),
            router: self.router,
            worker: self.worker,
            last_incarnation,
            statuses: Vec::new(),
        };
        let hello = Up { item: Some(up::Item::Hello(hello)) };
        outbox.push(hello, super::ATTACH_SIZE).map_err(|_| TrunkError::Ended)?;
        let batches = batches.map(|items| UpBatch { items });
        let (request, opening) = self.security.request(batches, &shard.id, (self.clock)())?;
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
        let (hello, rest) = self.check_hello(first.items, &shard.id)?;
        Ok((incoming, rest, hello))
    }

    /// Splits the hello off the first batch and checks that it is of our map and the shard that
    /// we mean.
    fn check_hello(
        &self,
        mut items: Vec<Down>,
        shard: &str,
    ) -> Result<(DownHello, Vec<Down>), TrunkError> {
        if items.is_empty() {
            return Err(TrunkError::NoHello);
        }
        let Some(down::Item::Hello(hello)) = items.remove(0).item else {
            return Err(TrunkError::NoHello);
        };
        let ours = self.map.id();
        if hello.map != Some(wire_map(ours)) {
            let theirs = hello.map.unwrap_or_default();
            let theirs = MapId { version: theirs.version, digest: theirs.digest };
            return Err(TrunkError::OtherMap { ours, theirs });
        }
        if hello.shard != shard {
            return Err(TrunkError::OtherShard { wanted: shard.to_owned(), found: hello.shard });
        }
        Ok((hello, items))
    }
}

fn wire_map(id: MapId) -> trunk::MapId {
    trunk::MapId { version: id.version, digest: id.digest }
}

impl From<SecurityError> for TrunkError {
    fn from(error: SecurityError) -> Self {
        Self::Security(error)
    }
}
