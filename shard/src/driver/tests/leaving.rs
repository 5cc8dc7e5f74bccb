//! A shard that the map doesn't have any more.

use trunkline_proto::peer::{PeerItem, peer_item};

use super::*;
use crate::testing::map;

const PEER: ShardIndex = ShardIndex(1);

fn link_up(driver: &mut Driver, link: u64) -> Batches<PeerItem> {
    let (outbox, batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 16 });
    let (link, told) = (LinkId(link), Arc::default());
    driver.take(Event::LinkUp { peer: PEER, link, outbox, restarted: false, told });
    batches
}

#[tokio::test]
async fn who_has_nothing_left_says_so_and_goodbye_and_stays_away() {
    let registry = Registry::new();
    let mut driver = driver(&registry);
    assert_eq!(driver.cluster.take_map(map(2, &["a", "b"])), Ok(()));
    driver.look();
    assert_eq!(driver.cluster.take_map(map(3, &["b"])), Ok(()));
    driver.look();
    let mut batches = link_up(&mut driver, 1);
    let view = driver.outlook.view.id();
    // In the order in which the two take it last, so that nothing has been sent by then.
    driver.handle(Input::Peer { peer: PEER, message: PeerMessage::Settled { view } });
    driver.take_outcomes();
    driver.send();
    assert!(driver.signs.remaining.borrow().is_gone());
    let mut said = Vec::new();
    while let Some(items) = batches.next().await {
        said.extend(items);
    }
    let is_settled = |it: &PeerItem| matches!(it.item, Some(peer_item::Item::Settled(_)));
    assert!(said.iter().any(is_settled), "{said:?}");
    driver.take(Event::LinkDown { peer: PEER, link: LinkId(1) });
    driver.send();
    assert!(driver.signs.remaining.borrow().is_gone(), "it would be dialled again");
}
