//! Links to the other shards. Of two shards of the map the one whose ID sorts first dials. One that is
//! in the map no more dials all that are, for they don't know any more where it is.

mod accept;
mod dial;
mod keep;

use std::sync::Arc;

pub(crate) use accept::PeerService;
pub(crate) use keep::keep_linked;
use tonic::Streaming;
use tracing::debug;
use trunkline_config::Statuses;
use trunkline_core::ShardIndex;
use trunkline_proto::cluster::{decode_status, encode_statuses};
use trunkline_proto::outbox::Outbox;
use trunkline_proto::peer::{PeerBatch, PeerHello, PeerItem, peer_item};

use crate::event::{Event, LinkId};
use crate::hello::{encode_map, restarted};
use crate::streams::Streams;

/// About what a hello takes in a queue, in bytes.
const HELLO: usize = 1024;

/// A peer to which a link is coming up, and what this shard has told it.
struct Far {
    peer: ShardIndex,
    id: String,
    told: Arc<Statuses>,
}

/// This shard's hello to a peer, and what it says.
fn hello(streams: &Streams, peer: ShardIndex, id: String) -> (PeerItem, Far) {
    let outlook = streams.cluster.outlook();
    let hello = PeerHello {
        map: Some(encode_map(outlook.view.id().map)),
        from: streams.id.clone(),
        to: id.clone(),
        incarnation: streams.incarnation,
        last_incarnation: streams.last_incarnation(peer),
        statuses: encode_statuses(&outlook.statuses),
    };
    let item = PeerItem { item: Some(peer_item::Item::Hello(hello)) };
    (item, Far { peer, id, told: outlook.statuses })
}

/// Both have said hello: the driver has the link until it ends.
async fn run(
    streams: Arc<Streams>,
    far: Far,
    theirs: PeerHello,
    outbox: Outbox<PeerItem>,
    mut inbound: Streaming<PeerBatch>,
    mut items: Vec<PeerItem>,
) {
    let Far { peer, id, told } = far;
    let link = LinkId(streams.number());
    let restarted = restarted(theirs.last_incarnation, streams.incarnation);
    streams.saw_incarnation(peer, theirs.incarnation);
    for said in theirs.statuses.into_iter().filter_map(decode_status) {
        streams.cluster.learn(&said);
    }
    if !streams.tell(Event::LinkUp { peer, link, outbox, restarted, told }).await {
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
                debug!(peer = id, %status, "link is broken");
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
