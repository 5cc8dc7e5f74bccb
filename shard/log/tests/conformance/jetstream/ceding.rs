//! A topic goes from one shard to another that need not open it.

use std::time::Duration;

use bytes::Bytes;
use trunkline_core::{LogFailure, LogOutcome, LogRequest, Opened};

use super::JetStream;
use crate::hand::{ALL, START_MS, inbox, record, rich_record, room};
use crate::{Store, settings};

#[tokio::test]
async fn a_topic_is_taken_up_where_its_owner_before_stood() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let mut end = before.fill(&topic, 24).await;
    before.append(&topic, &end, vec![rich_record(25, START_MS + 7)]).await.unwrap();
    end.offset = 25;
    let state = &store.info().await["state"];
    let count = |field: &str| state[field].as_u64().unwrap();
    let (messages, written) = (count("messages"), count("last_seq"));

    let deed = before.cede(&topic).await.expect("it knows all of it");
    let opened = after.take_up(&topic, deed).await;
    let Opened { epoch, first, last, last_time_ms, handed, .. } = &opened;
    assert_eq!((epoch, *first, *last), (&end.epoch, 6, 25));
    assert_eq!((*last_time_ms, *handed), (START_MS + 7, 0));
    // A word that a majority has kept, as this one has written nothing yet; it goes again.
    store.messages(|count| count == messages).await;
    assert_eq!(store.info().await["state"]["last_seq"], written + 1, "nothing else was written");
    assert_eq!(after.offsets(&topic, ALL).await, (6..=25).collect::<Vec<u64>>());

    let refused = before.append(&topic, &end, vec![record(26, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(before.cede(&topic).await, None, "it has nothing more to give");
    assert_eq!(after.append(&topic, &end, vec![record(26, START_MS + 8)]).await, Ok(7));
    end.offset = 26;
    assert_eq!(after.append(&topic, &end, vec![record(27, START_MS + 9)]).await, Ok(8));
    let opened = before.open(&topic).await;
    assert_eq!((opened.epoch, opened.first, opened.last), (end.epoch, 8, 27));
    assert_eq!(before.offsets(&topic, ALL).await, (8..=27).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_somebody_has_written_to_since_it_was_ceded_is_opened() {
    let store = JetStream::new(settings()).await;
    let mut before = store.hand().await;
    let (mut other, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let mut end = before.fill(&topic, 2).await;
    let deed = before.cede(&topic).await.unwrap();
    other.open(&topic).await;
    other.append(&topic, &end, vec![rich_record(3, START_MS)]).await.unwrap();
    end.offset = 3;

    let Opened { epoch, last, publications, .. } = after.take_up(&topic, deed).await;
    assert_eq!((&epoch, last, publications.len()), (&end.epoch, 3, 3));
    let refused = other.append(&topic, &end, vec![record(4, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(after.append(&topic, &end, vec![record(4, START_MS)]).await, Ok(1));
    assert_eq!(after.offsets(&topic, ALL).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_opening_by_another_one_alone_makes_a_deed_useless() {
    let store = JetStream::new(settings()).await;
    let mut before = store.hand().await;
    let (mut other, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let end = before.fill(&topic, 2).await;
    let deed = before.cede(&topic).await.unwrap();
    other.open(&topic).await;
    assert_eq!(after.take_up(&topic, deed).await.last, 2);
    let refused = other.append(&topic, &end, vec![record(3, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(after.append(&topic, &end, vec![record(3, START_MS)]).await, Ok(1));
}

#[tokio::test]
async fn who_has_taken_a_topic_up_is_fenced_by_who_opens_it() {
    let store = JetStream::new(settings()).await;
    let mut before = store.hand().await;
    let (mut after, mut other) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let end = before.fill(&topic, 2).await;
    let deed = before.cede(&topic).await.unwrap();
    assert_eq!(after.take_up(&topic, deed).await.last, 2);
    assert_eq!(other.open(&topic).await.last, 2);
    let refused = after.append(&topic, &end, vec![record(3, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(other.append(&topic, &end, vec![record(3, START_MS)]).await, Ok(1));
}

#[tokio::test]
async fn a_deed_that_can_not_be_read_is_none() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    let end = before.fill(&topic, 2).await;
    let opened = after.take_up(&topic, Bytes::from_static(b"\xff\xff")).await;
    assert_eq!((&opened.epoch, opened.last), (&end.epoch, 2));
    let refused = before.append(&topic, &end, vec![record(3, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict), "it was opened");
}

#[tokio::test]
async fn a_mark_is_kept_before_the_inbox_goes() {
    let store = JetStream::new(settings()).await;
    let mut before = store.hand().await;
    let (mut after, mut third) = (store.hand().await, store.hand().await);
    let topic = inbox("alice");
    before.fill(&topic, 3).await;
    before.mark(&topic, 2);
    let deed = before.cede(&topic).await.unwrap();
    // An opening, three records, and the mark.
    assert_eq!(store.info().await["state"]["messages"], 5);
    assert_eq!(after.take_up(&topic, deed).await.handed, 2);
    assert_eq!(third.open(&topic).await.handed, 2, "who knows nothing of the deed knows it too");
}

#[tokio::test]
async fn who_is_fenced_gives_no_deed_of_an_inbox_with_a_mark_that_was_refused() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut other) = (store.hand().await, store.hand().await);
    let topic = inbox("alice");
    before.fill(&topic, 3).await;
    other.open(&topic).await;
    before.mark(&topic, 2);
    assert_eq!(before.cede(&topic).await, None);
}

#[tokio::test]
async fn one_word_of_a_majority_is_enough_for_many_who_ask() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topics: Vec<_> = (0..50).map(|nth| room(&format!("room-{nth}"))).collect();
    let mut deeds = Vec::new();
    for topic in &topics {
        before.fill(topic, 1).await;
        deeds.push(before.cede(topic).await.unwrap());
    }
    let kept = |info: serde_json::Value| info["state"]["last_seq"].as_u64().unwrap();
    let last = kept(store.info().await);
    for (topic, deed) in topics.iter().zip(deeds) {
        let topic = topic.clone();
        after.submit(|ticket| LogRequest::TakeUp { ticket, topic, deed });
    }
    for _ in &topics {
        let (_, outcome) = after.outcome().await;
        assert!(matches!(outcome, LogOutcome::Opened(_)), "{outcome:?}");
    }
    let words = kept(store.info().await) - last;
    assert!((1..10).contains(&words), "{words} for {} topics", topics.len());
}

#[tokio::test]
async fn who_has_just_written_needs_no_word() {
    let store = JetStream::new(settings()).await;
    let (mut before, mut after) = (store.hand().await, store.hand().await);
    let topic = room("lobby");
    before.fill(&topic, 2).await;
    let deed = before.cede(&topic).await.unwrap();
    let kept = |info: serde_json::Value| info["state"]["last_seq"].as_u64().unwrap();
    let mut opened = 0;
    // Were it busy for a tenth of a second between the two, it would write one.
    let quick = async {
        loop {
            let last = kept(store.info().await);
            after.open(&room(&format!("other-{opened}"))).await;
            opened += 1;
            assert_eq!(after.take_up(&topic, deed.clone()).await.last, 2);
            if kept(store.info().await) == last + 1 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), quick)
        .await
        .expect("it asks by what it has written");
}
