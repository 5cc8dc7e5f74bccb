//! A slow client harms nobody but itself, and a slow shard pauses who it serves.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trunkline_proto::trunk::FrameKind;

use crate::harness::{Raw, Stage, acknowledge, fan, frame, join, live, send, soon};

/// More than the kernel takes for a client that doesn't read.
const MUCH: usize = 24 * 1024 * 1024;
const LARGE: usize = 64 * 1024;

async fn narrow(stage: &mut Stage) -> (Raw, u64) {
    let raw = Raw::upgrade_narrow(stage.address(), "/ws").await;
    (raw, stage.trunk.attach().await.connection)
}

#[tokio::test]
async fn a_slow_reader_loses_ephemeral_messages_then_its_connection_and_others_notice_nothing() {
    let mut stage = Stage::set().await;
    let (mut slow, s) = narrow(&mut stage).await;
    let (mut bob, b) = stage.client("user=bob").await;
    stage.trunk.batch(vec![join(7, s), join(7, b)]).await;
    let text = "x".repeat(LARGE);

    // Ephemeral frames never close a connection, however many there are.
    for _ in 0..MUCH / LARGE {
        stage.trunk.batch(vec![send(&[s], &text, FrameKind::Ephemeral, 0)]).await;
    }
    stage.trunk.batch(vec![fan(7, "to both", FrameKind::Ephemeral, s), live(s, "kept")]).await;
    assert_eq!(bob.hear().await, "to both");
    assert!(stage.metric("trunkline_dropped_total{queue=\"out\",why=\"ephemeral\"}") > 0);
    assert_eq!(stage.metric("trunkline_dropped_total{queue=\"out\",why=\"full\"}"), 0);

    // Live ones do.
    for _ in 0..8 {
        stage.trunk.batch(vec![fan(7, &text, FrameKind::Live, 0)]).await;
        assert_eq!(bob.hear().await.len(), LARGE);
    }
    assert_eq!(stage.metric("trunkline_dropped_total{queue=\"out\",why=\"full\"}"), 1);
    // The frame that was under way is finished, then comes the Close, then nothing.
    assert_eq!(slow.close_code().await, 1013);
    drop(slow);
    assert_eq!(stage.trunk.detach().await, s);
}

#[tokio::test]
async fn a_frame_that_finds_no_room_was_not_passed() {
    let mut stage = Stage::set().await;
    let (_slow, s) = narrow(&mut stage).await;
    let text = "x".repeat(LARGE);
    let mut outcomes = Vec::new();
    for receipt in 1..=(MUCH / LARGE) as u64 {
        stage.trunk.batch(vec![send(&[s], &text, FrameKind::Live, receipt)]).await;
        let (answered, passed) = stage.trunk.receipt().await;
        assert_eq!(answered, receipt);
        outcomes.push(passed);
        if !passed {
            break;
        }
    }
    assert_eq!((outcomes.first(), outcomes.last()), (Some(&true), Some(&false)));
}

#[tokio::test]
async fn what_comes_in_one_batch_closes_nobody_whose_socket_takes_it() {
    let mut stage = Stage::set_with(|settings| settings.limits.out_queue = 128 * 1024).await;
    let (mut bob, b) = stage.client("user=bob").await;
    let text = "x".repeat(LARGE);
    stage.trunk.batch(vec![live(b, &text); 8]).await;
    for _ in 0..8 {
        assert_eq!(bob.hear().await.len(), LARGE);
    }
}

#[tokio::test]
async fn replies_are_exempt_from_the_out_queues_bound_but_not_boundless() {
    let mut stage = Stage::set_with(|settings| settings.limits.out_queue = 128 * 1024).await;
    let (mut reader, r) = narrow(&mut stage).await;
    let text = "x".repeat(LARGE);
    // 3 MiB at once is far beyond the out-queue, and within what replies may take.
    let replies = vec![send(&[r], &text, FrameKind::Reply, 0); 48];
    stage.trunk.batch(replies).await;
    for _ in 0..48 {
        assert_eq!(reader.read().await.1.len(), LARGE);
    }
    let too_many = vec![send(&[r], &text, FrameKind::Reply, 0); MUCH / LARGE];
    stage.trunk.batch(too_many).await;
    assert_eq!(reader.close_code().await, 1013);
    assert_eq!(stage.metric("trunkline_deliveries_total"), 0);
    assert_eq!(stage.metric("trunkline_dropped_total{queue=\"out\",why=\"replies\"}"), 1);
}

#[tokio::test]
async fn reading_pauses_while_more_than_64_messages_are_unsettled() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    for n in 0..100 {
        raw.write(&frame(0x81, format!("{n}").as_bytes())).await;
    }
    for n in 0..65 {
        assert_eq!(stage.trunk.message().await, (number, n + 1, format!("{n}")));
    }
    // Nothing more is read: a ping behind the messages goes unanswered, but what another
    // client says afterwards arrives, and is the next thing that arrives.
    let (mut bob, b) = stage.client("user=bob").await;
    bob.say("me first").await;
    assert_eq!(stage.trunk.message().await, (b, 1, "me first".to_owned()));
    stage.trunk.batch(vec![acknowledge(number, 10)]).await;
    for n in 65..75 {
        assert_eq!(stage.trunk.message().await, (number, n + 1, format!("{n}")));
    }
    stage.trunk.batch(vec![acknowledge(number, 75)]).await;
    for n in 75..100 {
        assert_eq!(stage.trunk.message().await, (number, n + 1, format!("{n}")));
    }
}

#[tokio::test]
async fn reading_pauses_while_the_client_does_not_read_and_goes_on_when_it_does() {
    let stage = Stage::set_with(|settings| settings.router.echo = true).await;
    let mut raw = Raw::upgrade_narrow(stage.address(), "/echo").await;
    let (mut reader, mut writer) = raw.split();
    let message = frame(0x82, &vec![7; LARGE]);
    let count = MUCH / LARGE;
    let write = async {
        for _ in 0..count {
            writer.write_all(&message).await.expect("written");
        }
    };
    // More is written than fits on the way, so this ends only because the writer is paused and
    // resumed.
    let read = async {
        let mut total = 0;
        let mut buffer = vec![0; LARGE];
        while total < count * (LARGE + 10) {
            total += reader.read(&mut buffer).await.expect("read");
        }
        total
    };
    let ((), total) = soon("the echo", async { tokio::join!(write, read) }).await;
    assert_eq!(total, count * (LARGE + 10));
}
