//! Which peers this shard dials, as maps come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::task::{AbortHandle, JoinSet};
use trunkline_config::View;
use trunkline_core::ShardIndex;
use trunkline_proto::net::Connector;

use super::dial::keep_dialling;
use crate::streams::Streams;

/// Keeps the links up that are this shard's to dial. Those to shards that the map doesn't have any
/// more end by themselves: who goes cuts them when it has nothing left to say.
pub(crate) async fn keep_linked(
    streams: Arc<Streams>,
    connector: Arc<dyn Connector>,
    mut entropy: StdRng,
) {
    let mut cluster = streams.cluster.subscribe();
    let mut dialling = JoinSet::new();
    let mut peers: BTreeMap<ShardIndex, AbortHandle> = BTreeMap::new();
    loop {
        let view = cluster.borrow_and_update().view.clone();
        peers.retain(|_, task| !task.is_finished());
        for peer in dialled(&view, streams.me) {
            peers.entry(peer).or_insert_with(|| {
                let (streams, connector) = (Arc::clone(&streams), Arc::clone(&connector));
                dialling.spawn(keep_dialling(streams, connector, peer, entropy.random()))
            });
        }
        tokio::select! {
            biased;
            changed = cluster.changed() => if changed.is_err() { return },
            () = streams.events.closed() => return,
            // One that has ended may have missed the map that brought its peer back.
            Some(_) = dialling.join_next() => {}
        }
    }
}

fn dialled(view: &View, me: ShardIndex) -> Vec<ShardIndex> {
    let own = view.shard(me.0).map(|shard| &shard.id);
    let is_ours = |id: &String| own.is_none_or(|own| id > own);
    let theirs = view.shards().filter(|(number, shard)| *number != me.0 && is_ours(&shard.id));
    theirs.map(|(number, _)| ShardIndex(number)).collect()
}

#[cfg(test)]
mod tests {
    use trunkline_config::Statuses;
    use trunkline_proto::cluster::Cluster;

    use super::*;
    use crate::testing::map;

    #[test]
    fn of_two_shards_one_dials_and_one_that_is_to_go_dials_all() {
        let cluster = Cluster::new(map(1, &["a", "b", "c"]), Statuses::default());
        let dials = |me| {
            let peers = dialled(&cluster.outlook().view, ShardIndex(me));
            peers.into_iter().map(|peer| peer.0).collect::<Vec<_>>()
        };
        assert_eq!([dials(0), dials(1), dials(2)], [vec![1, 2], vec![2], vec![]]);
        assert_eq!(cluster.take_map(map(2, &["a", "d", "b"])), Ok(()));
        assert_eq!([dials(0), dials(1), dials(2)], [vec![3, 1], vec![3], vec![0, 3, 1]]);
    }
}
