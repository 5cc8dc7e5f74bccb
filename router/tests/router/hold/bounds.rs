//! What is kept of a held client is bounded: then it is not read.

use super::raw;
use crate::harness::{Stage, acknowledge, frame};

const IN: &str = "trunkline_messages_in_total{dialect=\"native\"}";

#[tokio::test]
async fn a_full_hold_stops_reading() {
    let mut stage = Stage::set().await;
    let (mut full, f) = raw(&mut stage).await;
    let (mut other, o) = raw(&mut stage).await;
    stage.lose_shard(2).await;
    for n in 1..=100 {
        full.write(&frame(0x81, format!("{n}").as_bytes())).await;
    }
    stage.counts(IN, 65).await;
    other.write(&frame(0x81, b"me too")).await;
    stage.counts(IN, 66).await;
    stage.regain_shard().await;
    assert_eq!(stage.trunk.attach().await.connection, f);
    for n in 1..=65 {
        assert_eq!(stage.trunk.message().await, (f, n, format!("{n}")));
    }
    assert_eq!(stage.trunk.attach().await.connection, o);
    assert_eq!(stage.trunk.message().await, (o, 1, "me too".to_owned()));
    stage.trunk.batch(vec![acknowledge(f, 65)]).await;
    for n in 66..=100 {
        assert_eq!(stage.trunk.message().await, (f, n, format!("{n}")));
    }
}

#[tokio::test]
async fn what_is_unsettled_is_bounded_by_bytes_too_whether_held_or_not() {
    let mut stage = Stage::set_with(|settings| {
        settings.limits.message = 32 * 1024;
        settings.limits.out_queue = 96 * 1024;
    })
    .await;
    let (mut raw, number) = raw(&mut stage).await;
    let large = vec![b'x'; 32 * 1024];
    for _ in 0..8 {
        raw.write(&frame(0x81, &large)).await;
    }
    for sequence in 1..=3 {
        assert_eq!(stage.trunk.message().await.1, sequence);
    }
    let (mut bob, b) = stage.client("user=bob").await;
    bob.say("me first").await;
    assert_eq!(stage.trunk.message().await, (b, 1, "me first".to_owned()));
    stage.lose_shard(1).await;
    assert_eq!(stage.metric(IN), 4);
    stage.regain_shard().await;
    assert_eq!(stage.trunk.attach().await.connection, number);
    for sequence in 1..=3 {
        assert_eq!(stage.trunk.message().await.1, sequence);
    }
    stage.trunk.batch(vec![acknowledge(number, 2)]).await;
    for sequence in 4..=5 {
        assert_eq!(stage.trunk.message().await.1, sequence);
    }
    stage.trunk.batch(vec![acknowledge(number, 5)]).await;
    for sequence in 6..=8 {
        assert_eq!(stage.trunk.message().await.1, sequence);
    }
}
