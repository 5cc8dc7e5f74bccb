//! What holds of stores that outlive the process.

use trunkline_core::{Position, Publication};

use crate::hand::{ALL, Hand, START_MS, inbox, record, rich_record, room};
use crate::{Store, settings};

/// Another process of the same shard. The last one's log is dropped, as at a crash.
pub(crate) async fn restart<S: Store>(store: &S, hand: Hand) -> Hand {
    let now_ms = hand.now_ms;
    drop(hand);
    let mut hand = Hand::new(store.log().await);
    hand.now_ms = now_ms;
    hand
}

async fn start<S: Store>() -> (S, Hand) {
    let store = S::new(settings()).await;
    let hand = Hand::new(store.log().await);
    (store, hand)
}

pub(crate) async fn a_topic_stands_where_it_stood_before_the_restart<S: Store>() {
    let (store, mut hand) = start::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 7).await;
    let before = hand.read(&topic, ALL).await;
    let mut hand = restart(&store, hand).await;
    let opened = hand.open(&topic).await;
    assert_eq!((opened.epoch, opened.first, opened.last), (end.epoch.clone(), 1, 7));
    assert_eq!(hand.read(&topic, ALL).await, before);
    assert_eq!(hand.append(&topic, &end, vec![record(8, START_MS)]).await, Ok(1));
}

pub(crate) async fn a_topic_that_nobody_wrote_to_keeps_its_epoch_over_a_restart<S: Store>() {
    let (store, mut hand) = start::<S>().await;
    let epoch = hand.open(&room("lobby")).await.epoch;
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.open(&room("lobby")).await.epoch, epoch);
}

pub(crate) async fn an_inbox_knows_after_a_restart_what_was_handed_over<S: Store>() {
    let (store, mut hand) = start::<S>().await;
    let topic = inbox("alice");
    let mut end = hand.fill(&topic, 5).await;
    hand.mark(&topic, 3);
    // A mark has no outcome, and goes with what is kept next.
    hand.append(&topic, &end, vec![record(6, START_MS)]).await.unwrap();
    end.offset += 1;
    let mut hand = restart(&store, hand).await;
    let opened = hand.open(&topic).await;
    assert_eq!((opened.handed, opened.waiting_bytes), (3, 3 * record(1, 0).size()));
}

pub(crate) async fn a_key_is_remembered_longer_than_its_message<S: Store>() {
    let (store, mut hand) = start::<S>().await;
    let topic = room("lobby");
    let epoch = hand.open(&topic).await.epoch;
    let keyed = rich_record(1, START_MS);
    hand.append(&topic, &Position { epoch, offset: 0 }, vec![keyed.clone()]).await.unwrap();
    hand.fill(&topic, 20).await;
    let mut hand = restart(&store, hand).await;
    let opened = hand.open(&topic).await;
    assert_eq!(opened.first, 2, "the message itself has gone");
    assert_eq!(opened.publications[0], Publication::of(&keyed));
    hand.now_ms += 31_000;
    assert_eq!(hand.open(&topic).await.publications, []);
}

pub(crate) async fn who_published_is_remembered_over_a_restart<S: Store>() {
    let (store, mut hand) = start::<S>().await;
    let topic = inbox("alice");
    let epoch = hand.open(&topic).await.epoch;
    let record = rich_record(1, START_MS);
    hand.append(&topic, &Position { epoch, offset: 0 }, vec![record.clone()]).await.unwrap();
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.open(&topic).await.publications, [Publication::of(&record)]);
}

pub(crate) async fn bounds_hold_over_a_restart<S: Store>() {
    let (store, mut hand) = start::<S>().await;
    let topic = room("lobby");
    hand.fill(&topic, 18).await;
    let mut hand = restart(&store, hand).await;
    hand.fill(&topic, 18).await;
    assert_eq!(hand.offsets(&topic, ALL).await, (17..=36).collect::<Vec<u64>>());
    let mut hand = restart(&store, hand).await;
    hand.now_ms += 61_000;
    let opened = hand.open(&topic).await;
    assert_eq!((opened.first, opened.last), (37, 36));
}
