//! What a shard gets back of what it gave, and of what it has not settled.

use bytes::Bytes;
use trunkline_proto::trunk::{FrameKind, SlotPosition};

use super::client;
use crate::harness::{
    Client, Stage, acknowledge, at, checkpoint, fan, join, leave, live, reply, send,
};

fn position(position: &'static str) -> Bytes {
    Bytes::from_static(position.as_bytes())
}

fn slot(slot: u32, had: &'static str) -> SlotPosition {
    SlotPosition { slot, position: position(had) }
}

#[tokio::test]
async fn it_is_attached_again_with_the_newest_positions_and_what_was_not_settled() {
    let mut stage = Stage::set().await;
    let path = "/ws?user=alice&after=e.7";
    let mut alice = Client::connect(stage.address(), path).await;
    let first = stage.trunk.attach().await;
    let number = first.connection;
    for text in ["one", "two", "three"] {
        alice.say(text).await;
        stage.trunk.message().await;
    }
    stage
        .trunk
        .batch(vec![
            checkpoint(number, "old"),
            at(join(7, number), 0, "7a"),
            at(join(8, number), 0, "8a"),
            at(join(9, number), 0, "9a"),
            join(10, number),
            at(fan(7, "to seven", FrameKind::Live, 0), 0, "7b"),
            at(fan(8, "not to her", FrameKind::Live, number), 0, "8-longer"),
            fan(7, "no place", FrameKind::Ephemeral, 0),
            at(send(&[number, 99], "slot", FrameKind::Reply, 0), 3, "3a"),
            at(send(&[number], "slot", FrameKind::Live, 0), 3, "3b"),
            at(live(number, "slot"), 1, "1a"),
            at(live(number, "slot"), 2, "2a"),
            at(live(number, "slot"), 2, ""),
            leave(9, number),
            checkpoint(number, "new"),
            acknowledge(number, 1),
            live(number, "that was all"),
        ])
        .await;
    while alice.hear().await != "that was all" {}
    stage.break_trunk().await;
    let mut attach = stage.trunk.attach().await;
    attach.positions.sort_unstable();
    attach.slots.sort_unstable_by_key(|slot| slot.slot);
    assert_eq!(attach.positions, [position("7b"), position("8-longer")]);
    assert_eq!(attach.slots, [slot(1, "1a"), slot(3, "3b")]);
    assert_eq!((&attach.checkpoint[..], attach.settled), (&b"new"[..], 1));
    // Who speaks is the same; where its inbox was when it came is not.
    assert_eq!(
        (&attach.session, &attach.user, attach.dialect, attach.guest, attach.authenticated),
        (&first.session, &first.user, first.dialect, first.guest, first.authenticated)
    );
    assert_eq!(attach.inbox_after, None);
    assert_eq!(stage.trunk.message().await, (number, 2, "two".to_owned()));
    assert_eq!(stage.trunk.message().await, (number, 3, "three".to_owned()));
    stage.trunk.batch(vec![acknowledge(number, 3), live(number, "settled")]).await;
    assert_eq!(alice.hear().await, "settled");
    // Settled is settled, and the groups of a broken trunk are void.
    stage.trunk.batch(vec![fan(7, "void", FrameKind::Live, 0), checkpoint(number, "x")]).await;
    stage.trunk.batch(vec![live(number, "not void")]).await;
    assert_eq!(alice.hear().await, "not void");
    stage.break_trunk().await;
    let attach = stage.trunk.attach().await;
    assert_eq!((attach.settled, attach.positions.len(), attach.slots.len()), (3, 0, 2));
    alice.say("four").await;
    assert_eq!(stage.trunk.message().await, (number, 4, "four".to_owned()));
}

#[tokio::test]
async fn what_was_answered_is_sent_again_as_answered() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    for text in ["one", "two", "three"] {
        alice.say(text).await;
        stage.trunk.message().await;
    }
    stage.trunk.batch(vec![reply(number, "answer", 2)]).await;
    assert_eq!(alice.hear().await, "answer");
    stage.break_trunk().await;
    stage.trunk.attach().await;
    let mut said = Vec::new();
    for _ in 0..3 {
        let message = stage.trunk.said().await;
        said.push((message.sequence, message.answered));
    }
    assert_eq!(said, [(1, 0), (2, 1), (3, 0)]);
}

#[tokio::test]
async fn what_it_says_meanwhile_comes_after() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    alice.say("before").await;
    assert_eq!(stage.trunk.message().await, (number, 1, "before".to_owned()));
    stage.lose_shard(1).await;
    alice.say("meanwhile").await;
    stage.counts("trunkline_messages_in_total{dialect=\"native\"}", 2).await;
    stage.regain_shard().await;
    alice.say("after").await;
    stage.trunk.attach().await;
    for (sequence, text) in (1..).zip(["before", "meanwhile", "after"]) {
        assert_eq!(stage.trunk.message().await, (number, sequence, text.to_owned()));
    }
}

#[tokio::test]
async fn a_trunk_that_breaks_again_returns_what_was_not_taken_up() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    alice.say("hello").await;
    stage.trunk.message().await;
    let joins = vec![at(join(7, number), 0, "7a"), at(join(8, number), 0, "8a")];
    stage.trunk.batch(joins).await;
    stage.trunk.batch(vec![live(number, "joined")]).await;
    assert_eq!(alice.hear().await, "joined");
    stage.break_trunk().await;
    assert_eq!(stage.trunk.attach().await.positions.len(), 2);
    stage.trunk.message().await;
    // One topic has been taken up, and the other not yet.
    stage.trunk.batch(vec![at(join(1, number), 0, "7b"), live(number, "one")]).await;
    assert_eq!(alice.hear().await, "one");
    stage.break_trunk().await;
    let positions = stage.trunk.attach().await.positions;
    // What is newer stands behind.
    assert_eq!(positions.last(), Some(&position("7b")));
    assert!(positions.contains(&position("8a")));
    assert_eq!(stage.trunk.message().await, (number, 1, "hello".to_owned()));
    // A checkpoint speaks for all of them.
    stage.trunk.batch(vec![checkpoint(number, "newer"), live(number, "two")]).await;
    assert_eq!(alice.hear().await, "two");
    stage.break_trunk().await;
    let attach = stage.trunk.attach().await;
    assert_eq!((attach.positions.len(), &attach.checkpoint[..]), (0, &b"newer"[..]));
}
