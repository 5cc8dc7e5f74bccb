//! What is known of shards goes to all who don't know it, and to each once.

use trunkline_config::ShardStatus;
use trunkline_proto::cluster::encode_status;
use trunkline_proto::trunk::{self, MapId, down};

use crate::harness::{FakeShard, Pair, Says, status};

fn said(shard: &str, stamp_ms: u64, away: bool) -> trunk::ShardStatus {
    encode_status(ShardStatus { shard: shard.to_owned(), stamp_ms, away })
}

/// What comes next to both is what they are told now: there was nothing more before.
async fn nothing_more(pair: &mut Pair) {
    pair.learn("sentinel", true);
    for trunk in &mut pair.trunks {
        assert_eq!(status(trunk).await.shard, "sentinel");
    }
}

#[tokio::test]
async fn what_one_shard_says_the_others_are_told_once() {
    let mut pair = Pair::set().await;
    let news = said("b", 5, true);
    for _ in 0..2 {
        pair.trunks[0].batch(vec![down::Item::Status(news.clone())]).await;
    }
    assert_eq!(status(&mut pair.trunks[1]).await, news);
    nothing_more(&mut pair).await;
    assert!(pair.router.cluster().outlook().view.is_away(1));
    // What is older is no news, and what is newer is.
    let items = [said("b", 4, false), said("b", 6, false)].map(down::Item::Status);
    pair.trunks[1].batch(items.to_vec()).await;
    assert_eq!(status(&mut pair.trunks[0]).await, said("b", 6, false));
    nothing_more(&mut pair).await;
}

#[tokio::test]
async fn hellos_tell_all_that_is_known_both_ways() {
    let mut pair = Pair::set().await;
    pair.learn("b", true);
    assert_eq!(status(&mut pair.trunks[0]).await, said("b", 1, true));
    pair.lose(0).await;
    let id = pair.map.id();
    let says = Says {
        map: Some(MapId { version: id.version, digest: id.digest }),
        shard: "a".to_owned(),
        incarnation: 2,
        statuses: vec![said("a", 9, false), said("", 9, true)],
    };
    pair.shards[0] = FakeShard::start_at(pair.shards[0].address, Some(says)).await;
    pair.trunks[0] = pair.shards[0].trunk().await;
    assert_eq!(pair.trunks[0].hello.statuses, [said("b", 1, true)]);
    assert_eq!(status(&mut pair.trunks[1]).await, said("b", 1, true));
    assert_eq!(status(&mut pair.trunks[1]).await, said("a", 9, false));
    nothing_more(&mut pair).await;
}
