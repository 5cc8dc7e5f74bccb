//! What holds of stores between which topics move.

use std::sync::Arc;

use bytes::Bytes;
use trunkline_config::settings::Retention;
use trunkline_core::{
    Epoch, Held, LogFailure, LogOutcome, LogRequest, Namespace, Opened, Position, Publication,
    Record, RoomId, Ticket, Topic,
};
use trunkline_log::{LogSettings, NOTE_MAX};

use crate::durable::restart;
use crate::hand::{ALL, Hand, START_MS, inbox, record, rich_record, room};
use crate::{Store, settings};

async fn hand<S: Store>() -> (S, Hand) {
    hand_with(settings()).await
}

async fn hand_with<S: Store>(settings: LogSettings) -> (S, Hand) {
    let store = S::new(settings).await;
    let hand = Hand::new(store.log().await);
    (store, hand)
}

fn position(opened: &Opened) -> Position {
    Position { epoch: opened.epoch.clone(), offset: opened.last }
}

/// A history of plain records as another shard holds it.
fn held(epoch: &str, first: u64, last: u64) -> Held {
    let records: Vec<_> = (first..=last).map(|it| Arc::new(record(it, START_MS))).collect();
    Held {
        epoch: Epoch::new(epoch),
        first,
        last,
        last_time_ms: START_MS,
        handed: 0,
        publications: records.iter().map(|it| Publication::of(it)).collect(),
        records,
    }
}

pub(crate) async fn a_topic_stands_and_reads_where_it_is_imported_as_it_did_where_it_was<
    S: Store,
>() {
    let (_from, mut old) = hand::<S>().await;
    let (_to, mut new) = hand::<S>().await;
    // More than the bounds let be, large ones among them, and one with all that there may be.
    for (topic, count) in [(room("lobby"), 27), (inbox("alice"), 12)] {
        let mut end = old.fill(&topic, count).await;
        old.append(&topic, &end, vec![rich_record(count + 1, START_MS + 7)]).await.unwrap();
        end.offset += 1;
        if topic == inbox("alice") {
            old.mark(&topic, 9);
        }
        let held = old.export(&topic).await.expect("it is there");
        let (opened, records) = (old.open(&topic).await, old.read(&topic, ALL).await);
        assert_eq!((&held.epoch, held.last), (&end.epoch, count + 1));
        assert_eq!((&held.records, &held.publications), (&records, &opened.publications));
        assert_eq!(new.import(&topic, held.clone()).await, Ok(()));
        assert_eq!(new.open(&topic).await, opened);
        assert_eq!(new.read(&topic, ALL).await, records);
        assert_eq!(new.export(&topic).await, Some(held));
    }
}

pub(crate) async fn an_append_after_an_import_goes_on_where_the_topic_stands<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    hand.import(&topic, held("theirs", 3, 5)).await.unwrap();
    let own = hand.open(&room("other")).await.epoch;
    let stray = Position { epoch: own, offset: 5 };
    let refused = hand.append(&topic, &stray, vec![record(6, START_MS)]).await;
    assert_eq!(refused, Err(LogFailure::Conflict));
    let end = Position { epoch: Epoch::new("theirs"), offset: 5 };
    assert_eq!(hand.append(&topic, &end, vec![record(6, START_MS)]).await, Ok(3));
    assert_eq!(hand.offsets(&topic, ALL).await, [3, 4, 5, 6]);
}

pub(crate) async fn an_import_takes_the_place_of_what_is_there<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = inbox("alice");
    hand.fill(&topic, 9).await;
    hand.mark(&topic, 4);
    hand.import(&topic, held("theirs", 3, 5)).await.unwrap();
    let opened = hand.open(&topic).await;
    let standing = (opened.epoch.as_str(), opened.first, opened.last, opened.handed);
    assert_eq!(standing, ("theirs", 3, 5, 0));
    assert_eq!(hand.offsets(&topic, ALL).await, [3, 4, 5]);
    // One without any record is one as well.
    hand.import(&topic, Held { handed: 7, ..held("empty", 8, 7) }).await.unwrap();
    let opened = hand.open(&topic).await;
    let standing = (opened.epoch.as_str(), opened.first, opened.last, opened.handed);
    assert_eq!(standing, ("empty", 8, 7, 7));
    assert_eq!(opened.last_time_ms, START_MS);
    assert_eq!(hand.offsets(&topic, ALL).await, [0; 0]);
}

pub(crate) async fn an_import_keeps_no_more_than_its_own_bounds<S: Store>() {
    let rooms = Retention { messages: 4, ..settings().rooms };
    let (_store, mut hand) = hand_with::<S>(LogSettings { rooms, ..settings() }).await;
    let topic = room("lobby");
    hand.import(&topic, held("theirs", 1, 9)).await.unwrap();
    assert_eq!(hand.open(&topic).await.first, 6);
    assert_eq!(hand.offsets(&topic, ALL).await, [6, 7, 8, 9]);
}

pub(crate) async fn an_import_whose_records_are_not_what_it_says_is_refused_and_changes_nothing<
    S: Store,
>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    hand.fill(&topic, 2).await;
    let before = hand.export(&topic).await;
    for wrong in [
        Held { last: 6, ..held("theirs", 3, 5) },
        Held { first: 2, ..held("theirs", 3, 5) },
        Held { first: 0, last: 0, ..held("theirs", 1, 0) },
        Held { first: 1, last: u64::MAX, ..held("theirs", 1, 0) },
    ] {
        assert_eq!(hand.import(&topic, wrong).await, Err(LogFailure::Conflict));
        assert_eq!(hand.export(&topic).await, before);
    }
}

pub(crate) async fn who_published_what_has_gone_is_remembered_where_it_is_imported<S: Store>() {
    let (_from, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let keyed = Publication::of(&rich_record(1, START_MS));
    let keyless = Publication::of(&record(2, START_MS));
    let mut held = held("theirs", 3, 4);
    held.publications.splice(..0, [keyed, keyless]);
    hand.import(&topic, held.clone()).await.unwrap();
    assert_eq!(hand.open(&topic).await.publications, held.publications);
    assert_eq!(hand.export(&topic).await, Some(held));
    hand.now_ms += 31_000;
    assert_eq!(hand.open(&topic).await.publications, []);
    assert_eq!(hand.offsets(&topic, ALL).await, [3, 4]);
}

pub(crate) async fn nothing_is_held_of_a_topic_that_nobody_wrote_to<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    hand.open(&room("lobby")).await;
    assert_eq!(hand.export(&room("lobby")).await, None);
    assert_eq!(hand.list(None, 10).await, (vec![], false));
}

pub(crate) async fn what_has_reached_its_age_is_not_exported<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    hand.now_ms += 40_000;
    hand.fill(&topic, 2).await;
    hand.now_ms += 20_001;
    let held = hand.export(&topic).await.unwrap();
    assert_eq!((held.first, held.last, held.records.len()), (4, 5, 2));
    // Where it stood is known as long as the topic is.
    hand.now_ms += 40_000;
    let held = hand.export(&topic).await.unwrap();
    assert_eq!((held.epoch, held.first, held.last), (end.epoch, 6, 5));
    assert_eq!((held.records, held.publications), (vec![], vec![]));
}

pub(crate) async fn a_removed_topic_comes_again_as_another_history<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = inbox("alice");
    let end = hand.fill(&topic, 9).await;
    hand.mark(&topic, 4);
    hand.remove(&topic);
    let opened = hand.open(&topic).await;
    assert_ne!(opened.epoch, end.epoch);
    assert_eq!(opened, Opened::new(opened.epoch.clone()));
    assert_eq!(hand.offsets(&topic, ALL).await, [0; 0]);
    assert_eq!(hand.export(&topic).await, None);
    assert_eq!(hand.list(None, 10).await, (vec![], false));
    hand.fill(&topic, 2).await;
    assert_eq!(hand.offsets(&topic, ALL).await, [1, 2]);
    // One that was another shard's is away as well, and what began here before it doesn't go on.
    hand.import(&topic, held("theirs", 1, 4)).await.unwrap();
    hand.remove(&topic);
    let again = hand.open(&topic).await;
    assert!(![&end.epoch, &opened.epoch, &Epoch::new("theirs")].contains(&&again.epoch));
}

pub(crate) async fn a_topic_that_is_given_away_before_anybody_wrote_to_it_comes_again_as_another_history<
    S: Store,
>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let given = hand.open(&topic).await;
    hand.remove(&topic);
    // The other shard goes on with the epoch that this one gave.
    assert_ne!(hand.open(&topic).await.epoch, given.epoch);
}

pub(crate) async fn a_removed_topic_leaves_those_that_nobody_has_written_to_where_they_are<
    S: Store,
>() {
    let (_store, mut hand) = hand::<S>().await;
    let [untouched, empty, written] = [inbox("alice"), inbox("bob"), room("lobby")];
    let before = hand.open(&untouched).await;
    let mut gone = vec![hand.open(&empty).await.epoch, hand.fill(&written, 3).await.epoch];
    for _ in 0..3 {
        hand.remove(&empty);
        hand.remove(&written);
        assert_eq!(hand.open(&untouched).await, before);
        for topic in [&empty, &written] {
            let again = hand.open(topic).await.epoch;
            assert!(!gone.contains(&again), "{topic:?}");
            gone.push(again);
        }
        hand.fill(&written, 2).await;
    }
}

pub(crate) async fn a_removed_topic_leaves_the_others_as_they_are<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topics = [room("a"), room("b"), inbox("a"), room("c")];
    let mut ends = Vec::new();
    for topic in &topics {
        ends.push(hand.fill(topic, 15).await);
    }
    hand.remove(&topics[1]);
    hand.remove(&room("none"));
    for (topic, end) in topics.iter().zip(ends).filter(|(topic, _)| **topic != topics[1]) {
        let opened = hand.open(topic).await;
        assert_eq!(position(&opened), end, "{topic:?}");
        assert_eq!(hand.offsets(topic, ALL).await, (opened.first..=15).collect::<Vec<u64>>());
    }
    let (listed, more) = hand.list(None, 10).await;
    assert_eq!((listed, more), (vec![room("a"), room("c"), inbox("a")], false));
}

pub(crate) async fn topics_are_listed_in_order_and_page_by_page<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let elsewhere = |namespace: &str, name: &str| {
        let namespace = Namespace::parse(namespace).unwrap();
        Topic::Room(namespace, RoomId::parse(name).unwrap())
    };
    let mut topics = vec![
        inbox("alice"),
        inbox("Bob"),
        room("b"),
        room("a"),
        room("*"),
        room("ab"),
        elsewhere("/a", "b"),
        elsewhere("/ab", "a"),
        elsewhere("/a b", "z"),
    ];
    for topic in &topics {
        hand.fill(topic, 1).await;
    }
    topics.sort();
    for limit in 1..=topics.len() + 1 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let (page, more) = hand.list(after.as_ref(), limit).await;
            assert!(page.len() <= limit && (page.len() == limit || !more), "{limit}: {page:?}");
            listed.extend(page);
            assert_eq!(more, listed.len() < topics.len(), "{limit}: {listed:?}");
            if !more {
                break;
            }
            after = listed.last().cloned();
        }
        assert_eq!(listed, topics, "{limit} at a time");
    }
    // The one behind which others are asked for need not be there.
    let (listed, _) = hand.list(Some(&room("aa")), 2).await;
    assert_eq!(listed, [room("ab"), room("b")]);
    assert_eq!(hand.list(Some(&inbox("zoe")), 2).await, (vec![], false));
}

pub(crate) async fn only_topics_of_which_something_is_kept_are_listed<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    hand.import(&room("empty"), held("theirs", 4, 3)).await.unwrap();
    hand.fill(&room("old"), 3).await;
    hand.fill(&inbox("marked"), 2).await;
    hand.mark(&inbox("marked"), 2);
    hand.now_ms += 60_001;
    let keys = vec![Publication::of(&rich_record(3, hand.now_ms))];
    let last_time_ms = hand.now_ms;
    let keyed = Held { publications: keys, last_time_ms, ..held("theirs", 4, 3) };
    hand.import(&room("keyed"), keyed).await.unwrap();
    hand.fill(&room("new"), 1).await;
    let kept = vec![room("keyed"), room("new"), inbox("marked")];
    assert_eq!(hand.list(None, 10).await, (kept, false));
    assert_eq!(hand.list(None, 1).await, (vec![room("keyed")], true));
    hand.now_ms += 30_001;
    assert_eq!(hand.list(None, 10).await, (vec![room("new"), inbox("marked")], false));
}

/// All of them are submitted before the first has an outcome.
pub(crate) async fn requests_about_one_topic_are_carried_out_in_their_order<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = &inbox("alice");
    let end = hand.fill(topic, 3).await;
    let append = |after: Position| {
        move |ticket| LogRequest::Append {
            ticket,
            topic: topic.clone(),
            records: vec![Arc::new(record(after.offset + 1, START_MS))],
            after,
        }
    };
    let export = |ticket| LogRequest::Export { ticket, topic: topic.clone() };
    let open = |ticket| LogRequest::Open { ticket, topic: topic.clone() };
    let import = |ticket| {
        let held = Box::new(held("theirs", 1, 9));
        LogRequest::Import { ticket, topic: topic.clone(), held }
    };
    let mut tickets: Vec<Ticket> = vec![hand.submit(append(end.clone()))];
    hand.mark(topic, 2);
    tickets.push(hand.submit(export));
    tickets.push(hand.submit(append(Position { offset: 4, ..end.clone() })));
    tickets.push(hand.submit(export));
    hand.mark(topic, 3);
    hand.remove(topic);
    tickets.push(hand.submit(export));
    tickets.push(hand.submit(import));
    tickets.push(hand.submit(export));
    hand.mark(topic, 7);
    tickets.push(hand.submit(open));
    tickets.push(hand.submit(append(Position { epoch: Epoch::new("theirs"), offset: 9 })));
    let outcomes = hand.outcomes(&tickets).await;
    let exported = |outcome: &LogOutcome| {
        let LogOutcome::Exported(held) = outcome else { panic!("{outcome:?}") };
        let held = held.as_deref()?;
        assert_eq!(held.records.len() as u64, held.last);
        Some((held.epoch.clone(), held.last, held.handed))
    };
    assert!(matches!(outcomes[0], LogOutcome::Appended { first: 1 }), "{:?}", outcomes[0]);
    assert_eq!(exported(&outcomes[1]), Some((end.epoch.clone(), 4, 2)));
    assert!(matches!(outcomes[2], LogOutcome::Appended { first: 1 }), "{:?}", outcomes[2]);
    assert_eq!(exported(&outcomes[3]), Some((end.epoch.clone(), 5, 2)));
    assert_eq!(exported(&outcomes[4]), None);
    assert!(matches!(outcomes[5], LogOutcome::Imported), "{:?}", outcomes[5]);
    assert_eq!(exported(&outcomes[6]), Some((Epoch::new("theirs"), 9, 0)));
    let LogOutcome::Opened(opened) = &outcomes[7] else { panic!("{:?}", outcomes[7]) };
    assert_eq!((opened.epoch.as_str(), opened.last, opened.handed), ("theirs", 9, 7));
    assert!(matches!(outcomes[8], LogOutcome::Appended { first: 1 }), "{:?}", outcomes[8]);
}

pub(crate) async fn a_list_sees_what_was_submitted_before_it<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let epoch = hand.open(&room("a")).await.epoch;
    hand.fill(&room("gone"), 1).await;
    hand.import(&inbox("marked"), held("theirs", 5, 4)).await.unwrap();
    let list = |ticket| LogRequest::List { ticket, after: None, limit: 10 };
    let mut tickets = vec![hand.submit(list)];
    tickets.push(hand.submit(|ticket| LogRequest::Append {
        ticket,
        topic: room("a"),
        after: Position { epoch, offset: 0 },
        records: vec![Arc::new(record(1, START_MS))],
    }));
    hand.remove(&room("gone"));
    hand.mark(&inbox("marked"), 4);
    let held = Box::new(held("theirs", 1, 2));
    tickets.push(hand.submit(|ticket| LogRequest::Import { ticket, topic: room("b"), held }));
    tickets.push(hand.submit(list));
    let outcomes = hand.outcomes(&tickets).await;
    let LogOutcome::Topics { topics, more } = &outcomes[3] else { panic!("{:?}", outcomes[3]) };
    assert_eq!((&topics[..], *more), (&[room("a"), room("b"), inbox("marked")][..], false));
}

pub(crate) async fn what_a_store_keeps_is_counted<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    assert_eq!(hand.log().usage().topics, Some(0));
    for topic in [room("a"), room("b"), inbox("a")] {
        hand.fill(&topic, 2).await;
    }
    let usage = hand.log().usage();
    assert!(usage.topics == Some(3) && usage.bytes > Some(6 * 100), "{usage:?}");
    hand.remove(&room("b"));
    hand.fill(&room("a"), 1).await;
    assert_eq!(hand.log().usage().topics, Some(2));
}

pub(crate) async fn what_was_imported_is_there_after_a_restart<S: Store>() {
    let (store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let large = Record { body: rich_record(2, START_MS).body, ..record(2, START_MS) };
    let mut held = Held { handed: 1, ..held("theirs", 2, 12) };
    (held.records[0], held.publications[0]) = (Arc::new(large.clone()), Publication::of(&large));
    held.publications.insert(0, Publication::of(&rich_record(1, START_MS)));
    hand.fill(&topic, 20).await;
    hand.import(&topic, held.clone()).await.unwrap();
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.export(&topic).await, Some(held));
    hand.fill(&topic, 3).await;
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.offsets(&topic, ALL).await, (2..=15).collect::<Vec<u64>>());
}

pub(crate) async fn a_topic_that_came_before_anybody_wrote_to_it_is_after_a_restart_where_it_was<
    S: Store,
>() {
    let (store, mut hand) = hand::<S>().await;
    let topic = inbox("alice");
    hand.import(&topic, held("theirs", 1, 0)).await.unwrap();
    let mut hand = restart(&store, hand).await;
    let opened = hand.open(&topic).await;
    assert_eq!(position(&opened), Position { epoch: Epoch::new("theirs"), offset: 0 });
}

pub(crate) async fn what_was_removed_is_not_there_after_a_restart<S: Store>() {
    let (store, mut hand) = hand::<S>().await;
    // More than the newest, which lie elsewhere in a file.
    let end = hand.fill(&room("lobby"), 20).await;
    hand.remove(&room("lobby"));
    hand.fill(&room("other"), 1).await;
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.list(None, 10).await, (vec![room("other")], false));
    let opened = hand.open(&room("lobby")).await;
    assert_ne!(opened.epoch, end.epoch);
    assert_eq!(opened, Opened::new(opened.epoch.clone()));
}

pub(crate) async fn a_note_is_given_back_when_the_store_is_opened<S: Store>() {
    let (store, mut hand) = hand::<S>().await;
    assert_eq!(hand.log().noted(), None);
    hand.log().note(Bytes::from_static(b"first"));
    let long = Bytes::from(vec![7; NOTE_MAX]);
    hand.log().note(long.clone());
    // It is kept no later than what comes after it.
    hand.fill(&room("lobby"), 1).await;
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.log().noted(), Some(long.clone()));
    hand.log().note(Bytes::new());
    assert_eq!(hand.log().noted(), Some(long), "it says what there was");
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.log().noted(), Some(Bytes::new()));
    assert_eq!(hand.offsets(&room("lobby"), ALL).await, [1]);
}

pub(crate) async fn a_note_that_is_too_long_is_not_kept<S: Store>() {
    let (store, mut hand) = hand::<S>().await;
    hand.log().note(Bytes::from_static(b"first"));
    hand.log().note(Bytes::from(vec![7; NOTE_MAX + 1]));
    let mut hand = restart(&store, hand).await;
    assert_eq!(hand.log().noted(), Some(Bytes::from_static(b"first")));
}

pub(crate) async fn a_store_of_a_shard_s_own_cedes_nothing_and_opens_what_is_taken_up<S: Store>() {
    let (_store, mut hand) = hand::<S>().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    assert_eq!(hand.cede(&topic).await, None);
    let opened = hand.take_up(&topic, Bytes::from_static(b"deed")).await;
    assert_eq!((&opened.epoch, opened.last), (&end.epoch, 3));
    assert_eq!(hand.append(&topic, &end, vec![record(4, START_MS)]).await, Ok(1));
}
