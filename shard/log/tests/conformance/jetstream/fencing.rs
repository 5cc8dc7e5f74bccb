//! Two shards that each think that a topic is theirs.

use std::collections::BTreeMap;

use trunkline_core::{LogFailure, Position, Topic};

use super::{JetStream, ample, large_record};
use crate::hand::{ALL, Hand, START_MS, inbox, record, room};
use crate::{Store, settings};

#[tokio::test]
async fn who_had_a_topic_before_can_not_append() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let mut end = before.fill(&topic, 5).await;
    let opened = after.open(&topic).await;
    assert_eq!((opened.epoch, opened.last), (end.epoch.clone(), 5));

    let refused = before.append(&topic, &end, vec![record(6, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(after.append(&topic, &end, vec![record(6, START_MS)]).await, Ok(1));
    assert_eq!(before.offsets(&topic, ALL).await, [1, 2, 3, 4, 5, 6]);

    end.offset = 6;
    let refused = before.append(&topic, &end, vec![record(7, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict), "it has to open the topic again");
    before.open(&topic).await;
    let refused = after.append(&topic, &end, vec![record(7, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    let batch = (7..=9).map(|offset| record(offset, START_MS)).collect();
    assert_eq!(before.append(&topic, &end, batch).await, Ok(1));
    assert_eq!(after.offsets(&topic, ALL).await, (1..=9).collect::<Vec<u64>>());
}

#[tokio::test]
async fn of_a_batch_that_is_refused_nothing_is_kept() {
    let store = JetStream::new(ample()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let end = before.fill(&topic, 2).await;
    after.open(&topic).await;
    let batch: Vec<_> = (3..=6).map(|offset| large_record(offset, START_MS)).collect();
    let refused = before.append(&topic, &end, batch.clone()).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(after.offsets(&topic, ALL).await, [1, 2]);
    assert_eq!(after.append(&topic, &end, batch).await, Ok(1));
    assert_eq!(after.offsets(&topic, ALL).await, [1, 2, 3, 4, 5, 6]);
    // It took over twice, and each of the records has a message.
    store.messages(|messages| messages == 8).await;
}

#[tokio::test]
async fn a_topic_that_was_not_opened_takes_nothing() {
    let store = JetStream::new(settings()).await;
    let (mut owner, mut stranger) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let end = owner.fill(&topic, 3).await;
    let refused = stranger.append(&topic, &end, vec![record(4, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(stranger.offsets(&topic, ALL).await, [1, 2, 3]);
    assert_eq!(owner.append(&topic, &end, vec![record(4, START_MS)]).await, Ok(1));
}

#[tokio::test]
async fn who_takes_an_inbox_over_knows_what_was_marked() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topic = inbox("alice");
    before.fill(&topic, 3).await;
    before.mark(&topic, 2);
    // It took over, kept three records, and keeps the mark when nothing else comes.
    store.messages(|messages| messages == 5).await;
    assert_eq!(after.open(&topic).await.handed, 2);
}

#[tokio::test]
async fn a_cold_reader_is_given_what_is_kept_and_no_more() {
    let store = JetStream::new(settings()).await;
    let (mut owner, mut reader) = (store.hand().await, store.hand().await);
    owner.fill(&room("lobby"), 30).await;
    assert_eq!(reader.offsets(&room("lobby"), ALL).await, (11..=30).collect::<Vec<u64>>());
    assert_eq!(reader.offsets(&room("empty"), ALL).await, [0; 0]);
}

/// Appends batches of one to three records until so many places have been given, and opens the topic again
/// each time that the other has taken it. Gives which places were its own, and with which sequence.
async fn race(hand: &mut Hand, topic: &Topic, mark: u64, until: u64) -> BTreeMap<u64, u64> {
    let mut given = BTreeMap::new();
    for round in 0.. {
        let opened = hand.open(topic).await;
        let mut position = Position { epoch: opened.epoch, offset: opened.last };
        if position.offset >= until {
            break;
        }
        loop {
            let record = if round % 2 == 0 { record } else { large_record };
            let batch: Vec<_> = (1..=1 + round % 3)
                .map(|nth| {
                    let mut record = record(position.offset + nth, START_MS);
                    record.sequence = mark + given.len() as u64 + nth;
                    record
                })
                .collect();
            match hand.append(topic, &position, batch.clone()).await {
                Ok(_) => {
                    position.offset += batch.len() as u64;
                    given.extend(batch.iter().map(|it| (it.offset, it.sequence)));
                }
                Err(LogFailure::Conflict) => break,
                Err(other) => panic!("{other}"),
            }
            if position.offset >= until {
                return given;
            }
        }
    }
    given
}

#[tokio::test]
async fn two_who_race_are_given_each_place_once() {
    let store = JetStream::new(ample()).await;
    let (mut one, mut other) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let (mut ones, mut others) = tokio::join!(
        race(&mut one, &topic, 1_000_000, 300),
        race(&mut other, &topic, 2_000_000, 300),
    );
    assert!(!ones.is_empty() && !others.is_empty(), "it was a race");
    let (first, second) = (ones.len(), others.len());
    ones.append(&mut others);
    assert_eq!(ones.len(), first + second, "no place was given twice");
    let kept = one.read(&topic, ALL).await;
    let kept: BTreeMap<_, _> = kept.iter().map(|it| (it.offset, it.sequence)).collect();
    assert_eq!(kept, ones);
    assert!(kept.keys().copied().eq(1..=kept.len() as u64), "there is no gap");
}
