//! What is of no more use leaves the stream, and nothing else does.

use std::time::Duration;

use trunkline_core::Position;

use super::JetStream;
use crate::hand::{ALL, START_MS, inbox, record, rich_record, room};
use crate::{Store, settings};

#[tokio::test]
async fn what_was_let_go_is_purged() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    hand.fill(&room("lobby"), 300).await;
    // Twenty are kept, and up to 64 wait to be purged together.
    store.messages(|messages| messages < 20 + 64 + 2).await;
    assert_eq!(hand.offsets(&room("lobby"), ALL).await, (281..=300).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_record_with_a_key_stays_for_the_window() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    let topic = room("lobby");
    let epoch = hand.open(&topic).await.epoch;
    let start = Position { epoch, offset: 0 };
    hand.append(&topic, &start, vec![rich_record(1, START_MS)]).await.unwrap();
    hand.fill(&topic, 200).await;
    assert_eq!(hand.open(&topic).await.publications.len(), 201);
    hand.now_ms += 31_000;
    hand.fill(&topic, 1).await;
    store.messages(|messages| messages < 20 + 64 + 2).await;
    assert_eq!(hand.open(&topic).await.first, 183);
}

#[tokio::test]
async fn a_silent_topic_leaves_one_message_however_often_it_is_opened() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    for _ in 0..10 {
        hand.open(&room("lobby")).await;
    }
    store.messages(|messages| messages == 1).await;
    hand.fill(&room("full"), 20).await;
    hand.now_ms += 61_000;
    hand.sweep();
    store.messages(|messages| messages == 2).await;
}

#[tokio::test]
async fn a_topic_that_the_core_has_open_goes_on_after_a_sweep() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    let topic = inbox("alice");
    let mut end = hand.fill(&topic, 3).await;
    hand.now_ms += 61_000;
    hand.sweep();
    let next = record(4, hand.now_ms);
    assert_eq!(hand.append(&topic, &end, vec![next]).await, Ok(4));
    end.offset = 4;
    hand.sweep();
    let opened = hand.open(&topic).await;
    assert_eq!((opened.epoch, opened.first, opened.last), (end.epoch, 4, 4));
}

#[tokio::test]
async fn records_that_share_a_message_are_let_go_one_by_one() {
    let store = JetStream::new(settings()).await;
    let mut hand = store.hand().await;
    let topic = room("lobby");
    let epoch = hand.open(&topic).await.epoch;
    let mut end = Position { epoch, offset: 0 };
    for _ in 0..30 {
        let batch = (1..=7).map(|nth| record(end.offset + nth, START_MS)).collect();
        hand.append(&topic, &end, batch).await.unwrap();
        end.offset += 7;
    }
    let kept: Vec<u64> = (191..=210).collect();
    assert_eq!(hand.offsets(&topic, ALL).await, kept);
    // One message for seven records, and those that wait for the purge.
    store.messages(|messages| messages < 4 + 64 / 7 + 2).await;
    let mut hand = store.hand().await;
    assert_eq!(hand.open(&topic).await.first, 191);
    assert_eq!(hand.offsets(&topic, ALL).await, kept);
}

#[tokio::test]
async fn a_topic_that_nobody_used_for_long_goes_on_where_it_was() {
    let mut settings = settings();
    settings.rooms.age = Duration::from_secs(3600);
    let store = JetStream::new(settings).await;
    let mut hand = store.hand().await;
    let (read, written) = (room("read"), room("written"));
    let mut end = hand.fill(&written, 25).await;
    hand.fill(&read, 25).await;
    hand.now_ms += 11 * 60_000;
    hand.sweep();
    assert_eq!(hand.offsets(&read, ALL).await, (6..=25).collect::<Vec<u64>>());
    let next = record(26, hand.now_ms);
    assert_eq!(hand.append(&written, &end, vec![next]).await, Ok(7));
    end.offset = 26;
    // Nobody uses them until all is too old: then one message is left of each.
    for _ in 0..2 {
        hand.now_ms += 3_700_000;
        hand.sweep();
    }
    store.messages(|messages| messages == 2).await;
    let next = record(27, hand.now_ms);
    assert_eq!(hand.append(&written, &end, vec![next]).await, Ok(27));
}
