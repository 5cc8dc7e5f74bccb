//! What holds of every store.

use std::sync::Arc;

use trunkline_config::settings::Retention;
use trunkline_core::{
    Epoch, LogFailure, LogOutcome, LogRequest, Position, Publication, ReadQuery, Record,
};

use crate::hand::{ALL, Hand, START_MS, inbox, record, rich_record, room};
use crate::{Store, settings};

async fn hand<S: Store>() -> (S, Hand) {
    let store = S::new(settings()).await;
    let hand = Hand::new(store.log().await);
    (store, hand)
}

pub(crate) async fn a_topic_that_nobody_wrote_to_stands_at_nothing_in_one_epoch<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let first = hand.open(&room("lobby")).await;
    assert_eq!((first.first, first.last, first.handed, first.waiting_bytes), (1, 0, 0, 0));
    assert_eq!(first.publications, []);
    assert_eq!(hand.open(&room("lobby")).await, first);
    assert_eq!(hand.offsets(&room("lobby"), ALL).await, [0; 0]);
}

pub(crate) async fn what_was_appended_is_read_as_it_was<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let epoch = hand.open(&topic).await.epoch;
    let records = vec![rich_record(1, START_MS), record(2, START_MS + 5)];
    let start = Position { epoch: epoch.clone(), offset: 0 };
    assert_eq!(hand.append(&topic, &start, records.clone()).await, Ok(1));
    let read = hand.read(&topic, ALL).await;
    assert_eq!(read.iter().map(|it| Record::clone(it)).collect::<Vec<_>>(), records);
    let opened = hand.open(&topic).await;
    assert_eq!((opened.epoch, opened.first, opened.last), (epoch, 1, 2));
    assert_eq!(opened.last_time_ms, START_MS + 5);
}

pub(crate) async fn an_append_that_expects_another_place_is_refused_and_keeps_nothing<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    for offset in [0, 2, 4] {
        let wrong = Position { epoch: end.epoch.clone(), offset };
        let refused = hand.append(&topic, &wrong, vec![record(offset + 1, START_MS)]).await;
        assert_eq!(refused, Err(LogFailure::Conflict), "after {offset}");
        hand.open(&topic).await;
    }
    assert_eq!(hand.offsets(&topic, ALL).await, [1, 2, 3]);
    assert_eq!(hand.append(&topic, &end, vec![record(4, START_MS)]).await, Ok(1));
}

pub(crate) async fn an_append_to_another_history_is_refused<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    let foreign = Position { epoch: Epoch::new("other"), offset: end.offset };
    let refused = hand.append(&topic, &foreign, vec![record(4, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    assert_eq!(hand.open(&topic).await.last, 3);
}

pub(crate) async fn what_is_read_lies_between_its_bounds<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    hand.fill(&topic, 10).await;
    let query = |after, before, limit, newest| ReadQuery { after, before, limit, newest };
    assert_eq!(hand.offsets(&topic, query(0, u64::MAX, 3, true)).await, [8, 9, 10]);
    assert_eq!(hand.offsets(&topic, query(0, 6, 3, true)).await, [3, 4, 5]);
    assert_eq!(hand.offsets(&topic, query(4, u64::MAX, 3, false)).await, [5, 6, 7]);
    assert_eq!(hand.offsets(&topic, query(8, 3, 3, false)).await, [0; 0]);
    assert_eq!(hand.offsets(&topic, query(9, u64::MAX, 0, true)).await, [0; 0]);
    assert_eq!(hand.offsets(&topic, query(u64::MAX, u64::MAX, 3, true)).await, [0; 0]);
}

pub(crate) async fn topics_do_not_mix<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    // Names that are alike wherever namespace, kind and name might be run together.
    let topics = [room("a"), room("ab"), room("A"), inbox("a"), inbox("ab"), room("*")];
    for (topic, count) in topics.iter().zip(1..) {
        hand.fill(topic, count).await;
    }
    for (topic, count) in topics.iter().zip(1..) {
        assert_eq!(hand.offsets(topic, ALL).await, (1..=count).collect::<Vec<u64>>(), "{topic:?}");
    }
}

pub(crate) async fn count_bounds_what_is_kept<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 20).await;
    let more: Vec<_> = (21..=25).map(|offset| record(offset, START_MS)).collect();
    assert_eq!(hand.append(&topic, &end, more).await, Ok(6));
    assert_eq!(hand.open(&topic).await.first, 6);
    assert_eq!(hand.offsets(&topic, ALL).await, (6..=25).collect::<Vec<u64>>());
}

pub(crate) async fn bytes_bound_what_is_kept<S: Store>() {
    let rooms = Retention { bytes: 4 * record(1, 0).size(), ..settings().rooms };
    let store = S::new(trunkline_log::LogSettings { rooms, ..settings() }).await;
    let mut hand = Hand::new(store.log().await);
    let topic = room("lobby");
    hand.fill(&topic, 9).await;
    assert_eq!(hand.offsets(&topic, ALL).await, [6, 7, 8, 9]);
    assert_eq!(hand.open(&topic).await.first, 6);
}

pub(crate) async fn age_bounds_what_is_kept<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    hand.fill(&topic, 3).await;
    hand.now_ms += 40_000;
    hand.fill(&topic, 2).await;
    hand.now_ms += 20_001;
    assert_eq!(hand.offsets(&topic, ALL).await, [4, 5]);
    let opened = hand.open(&topic).await;
    assert_eq!((opened.first, opened.last), (4, 5));
}

pub(crate) async fn an_inbox_knows_what_was_handed_over<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = inbox("alice");
    hand.fill(&topic, 5).await;
    let size = record(1, 0).size();
    let opened = hand.open(&topic).await;
    assert_eq!((opened.handed, opened.waiting_bytes), (0, 5 * size));
    hand.mark(&topic, 3);
    let opened = hand.open(&topic).await;
    assert_eq!((opened.handed, opened.waiting_bytes), (3, 2 * size));
    // One that comes late changes nothing.
    hand.mark(&topic, 2);
    assert_eq!(hand.open(&topic).await.handed, 3);
}

pub(crate) async fn who_published_is_told_within_the_window<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let epoch = hand.fill(&topic, 1).await.epoch;
    hand.now_ms += 20_000;
    let (second, third) = (rich_record(2, hand.now_ms), record(3, hand.now_ms));
    let after = Position { epoch, offset: 1 };
    hand.append(&topic, &after, vec![second.clone(), third.clone()]).await.unwrap();
    hand.now_ms += 20_000;
    let opened = hand.open(&topic).await;
    assert_eq!(opened.first, 1, "the message is kept longer");
    assert_eq!(opened.publications, [Publication::of(&second), Publication::of(&third)]);
}

pub(crate) async fn each_of_many_requests_has_one_outcome<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topics: Vec<_> = (0..40).map(|number| room(&format!("room-{number}"))).collect();
    let open = |topic: &trunkline_core::Topic| {
        let topic = topic.clone();
        move |ticket| LogRequest::Open { ticket, topic }
    };
    let tickets: Vec<_> = topics.iter().map(|topic| hand.submit(open(topic))).collect();
    let opened = hand.outcomes(&tickets).await;
    let mut tickets = Vec::new();
    for (topic, opened) in topics.iter().zip(opened) {
        let LogOutcome::Opened(opened) = opened else { panic!("{opened:?}") };
        let after = Position { epoch: opened.epoch, offset: 0 };
        let records: Vec<_> = (1..=5).map(|it| Arc::new(record(it, START_MS))).collect();
        let topic = topic.clone();
        tickets.push(hand.submit(|ticket| LogRequest::Append { ticket, topic, after, records }));
    }
    for outcome in hand.outcomes(&tickets).await {
        assert!(matches!(outcome, LogOutcome::Appended { first: 1 }), "{outcome:?}");
    }
    for topic in &topics {
        assert_eq!(hand.offsets(topic, ALL).await, [1, 2, 3, 4, 5]);
    }
}

/// The core has one append of a topic under way at a time; that the next one finds the last, and
/// that an open finds both, is up to the store.
pub(crate) async fn appends_submitted_one_after_the_other_are_kept_in_that_order<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let mut position = hand.fill(&topic, 1).await;
    for round in 0..20 {
        let batch: Vec<_> =
            (1..=3).map(|nth| record(position.offset + nth, START_MS + round)).collect();
        hand.append(&topic, &position, batch).await.expect("the place is right");
        position.offset += 3;
        let opened = hand.open(&topic).await;
        assert_eq!((opened.epoch, opened.last), (position.epoch.clone(), position.offset));
    }
    assert_eq!(hand.offsets(&topic, ALL).await, (42..=61).collect::<Vec<u64>>());
}

pub(crate) async fn a_topic_of_which_nothing_is_left_comes_again_as_another_history<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    hand.now_ms += 61_000;
    hand.sweep();
    let opened = hand.open(&topic).await;
    assert_ne!(opened.epoch, end.epoch);
    assert_eq!((opened.first, opened.last), (1, 0));
    hand.fill(&topic, 2).await;
    assert_eq!(hand.offsets(&topic, ALL).await, [1, 2]);
}
