//! Links to the other shards. Of two shards the one whose ID sorts first dials.

mod accept;
mod dial;

use std::sync::Arc;

pub(crate) use accept::PeerService;
pub(crate) use dial::keep_dialling;
use tonic::Streaming;
use tracing::debug;
use trunkline_core::ShardIndex;
use trunkline_proto::outbox::Outbox;
use trunkline_proto::peer::{PeerBatch, PeerHello, PeerItem, peer_item};

use crate::event::{Event, LinkId};
use crate::hello::{encode_map, restarted};
use crate::streams::Streams;

/// About what a hello takes in a queue, in bytes.
const HELLO: usize = 64;

/// This shard's hello to a peer.
fn hello(streams: &Streams, peer: ShardIndex) -> PeerItem {
    let hello = PeerHello {
        map: Some(encode_map(streams.map.id())),
        from: streams.id.clone(),
        to: peer_id(streams, peer).to_owned(),
        incarnation: streams.incarnation,
        last_incarnation: streams.last_incarnation(peer),
        statuses: Vec::new(),
    };
    PeerItem { item: Some(peer_item::Item::Hello(hello)) }
}

fn peer_id(streams: &Streams, peer: ShardIndex) -> &str {
    streams.map.shards().get(usize::from(peer.0)).map_or("", |shard| &shard.id)
}

/// Both have said hello: the driver has the link until it ends.
async fn run(
    streams: Arc<Streams>,
    peer: ShardIndex,
    theirs: PeerHello,
    outbox: Outbox<PeerItem>,
    mut inbound: Streaming<PeerBatch>,
    mut items: Vec<PeerItem>,
) {
    let link = LinkId(streams.number());
    let restarted = restarted(theirs.last_incarnation, streams.incarnation);
    streams.saw_incarnation(peer, theirs.incarnation);
    if !streams.tell(Event::LinkUp { peer, link, outbox, restarted }).await {
        return;
    }
    loop {
        if !items.is_empty() && !streams.tell(Event::LinkBatch { peer, link, items }).await {
            return;
        }
        match inbound.message().await {
            Ok(Some(batch)) => items = batch.items,
            Ok(None) => break,
            Err(status) => {
                debug!(peer = peer_id(&streams, peer), %status, "link is broken");
                break;
            }
        }
    }
    streams.tell(Event::LinkDown { peer, link }).await;
}

/// Splits the first batch into the hello and what follows it.
fn split_hello(batch: Option<PeerBatch>) -> Option<(PeerHello, Vec<PeerItem>)> {
    let mut items = batch?.items.into_iter();
    match items.next()?.item? {
        peer_item::Item::Hello(hello) => Some((hello, items.collect())),
        _ => None,
    }
}
