//! Servers that hang, or that are gone, while something is asked of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use trunkline_core::{LogFailure, LogOutcome, LogRequest, Position, Ticket, Topic};

use super::nats::Nats;
use super::{JetStream, ample, large_record};
use crate::hand::{ALL, Hand, START_MS, record, room};

/// An append of so many records, each in a message of its own.
fn submit(hand: &mut Hand, topic: &Topic, after: &Position, count: u64) -> Ticket {
    let records =
        (1..=count).map(|nth| Arc::new(large_record(after.offset + nth, START_MS))).collect();
    let (topic, after) = (topic.clone(), after.clone());
    hand.submit(|ticket| LogRequest::Append { ticket, topic, after, records })
}

/// Stops a server, lets it go on after a while, and gives what became of an append meanwhile.
async fn append_while_it_hangs(count: u64, hangs: Duration) {
    let store = JetStream::on(Arc::new(Nats::start("sync_interval: always")), ample());
    let mut hand = store.hand().await;
    let topic = room("lobby");
    let end = hand.fill(&topic, 3).await;
    store.nats.pause();
    submit(&mut hand, &topic, &end, count);
    sleep(hangs).await;
    store.nats.resume();
    let (_, outcome) = hand.outcome().await;
    let opened = hand.open(&topic).await;
    let kept = match outcome {
        LogOutcome::Appended { .. } => 3 + count,
        LogOutcome::Failed(LogFailure::Unavailable) if opened.last == 3 => 3,
        LogOutcome::Failed(LogFailure::Unavailable) => 3 + count,
        other => panic!("{other:?}"),
    };
    assert_eq!((opened.epoch, opened.last), (end.epoch.clone(), kept));
    // What was sent more than once is there once, now and after all that was on its way has come.
    let next = Position { epoch: end.epoch, offset: kept };
    hand.append(&topic, &next, vec![record(kept + 1, START_MS)]).await.expect("it is the owner");
    assert_eq!(hand.offsets(&topic, ALL).await, (1..=kept + 1).collect::<Vec<u64>>());
}

#[tokio::test]
async fn an_append_is_kept_once_though_the_server_hung() {
    // The first answer is given up after three seconds.
    tokio::join!(
        append_while_it_hangs(1, Duration::from_millis(3_500)),
        append_while_it_hangs(3, Duration::from_millis(3_500)),
        append_while_it_hangs(3, Duration::from_millis(7_500)),
    );
}

/// All that is asked fails by then, and not one after the other.
async fn ask_a_server_that_is_gone() {
    let store = JetStream::on(Arc::new(Nats::start("sync_interval: always")), ample());
    let mut hand = store.hand().await;
    let end = hand.fill(&room("lobby"), 3).await;
    store.nats.kill();
    submit(&mut hand, &room("lobby"), &end, 2);
    let query = ALL;
    hand.submit(|ticket| LogRequest::Read { ticket, topic: room("lobby"), query });
    for name in 0..200 {
        hand.submit(|ticket| LogRequest::Open { ticket, topic: room(&name.to_string()) });
    }
    let all = async {
        for _ in 0..202 {
            let (_, outcome) = hand.outcome().await;
            let failed = matches!(outcome, LogOutcome::Failed(LogFailure::Unavailable));
            assert!(failed, "{outcome:?}");
        }
    };
    timeout(Duration::from_secs(12), all).await.expect("they have ten seconds");
}

#[tokio::test]
async fn what_is_not_decided_in_time_fails_and_is_decided_by_the_next_open() {
    // Requests are given up after ten seconds.
    tokio::join!(
        append_while_it_hangs(1, Duration::from_millis(10_500)),
        append_while_it_hangs(3, Duration::from_millis(10_500)),
        ask_a_server_that_is_gone(),
    );
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let store = JetStream::on(Arc::new(Nats::start("sync_interval: always")), ample());
    let mut hand = store.hand().await;
    let topic = room("lobby");
    let mut end = hand.fill(&topic, 3).await;
    store.nats.kill();
    submit(&mut hand, &topic, &end, 2);
    store.nats.restart();
    let (_, outcome) = hand.outcome().await;
    assert!(matches!(outcome, LogOutcome::Appended { first: 1 }), "{outcome:?}");
    end.offset += 2;
    assert_eq!(hand.offsets(&topic, ALL).await, [1, 2, 3, 4, 5]);
}
