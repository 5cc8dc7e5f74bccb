//! Connections that outlive their trunk: who is held, what the shard gets back, and for how long.

mod bounds;
mod pace;
mod returned;
mod socketio;

use std::time::Duration;

use crate::harness::{Client, Raw, Stage, checkpoint, frame, live, soon};

/// A client for which the shard has given a checkpoint.
async fn client(stage: &mut Stage) -> (Client, u64) {
    let (mut client, number) = stage.client("user=alice").await;
    stage.trunk.batch(vec![checkpoint(number, "state"), live(number, "welcome")]).await;
    assert_eq!(client.hear().await, "welcome");
    (client, number)
}

/// The same without a library that reads by itself.
async fn raw(stage: &mut Stage) -> (Raw, u64) {
    let (mut raw, number) = stage.raw("").await;
    stage.trunk.batch(vec![checkpoint(number, "state"), live(number, "welcome")]).await;
    assert_eq!(raw.read().await, (0x81, b"welcome".to_vec()));
    (raw, number)
}

#[tokio::test]
async fn a_connection_with_a_checkpoint_stays_when_its_trunk_breaks() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    stage.break_trunk().await;
    let attach = stage.trunk.attach().await;
    assert_eq!((attach.connection, &attach.checkpoint[..]), (number, &b"state"[..]));
    stage.trunk.batch(vec![live(number, "still here")]).await;
    assert_eq!(alice.hear().await, "still here");
    alice.say("me too").await;
    assert_eq!(stage.trunk.message().await, (number, 1, "me too".to_owned()));
    stage.counts("trunkline_held", 0).await;
    assert_eq!(stage.metric("trunkline_reattached_total"), 1);
    assert_eq!(stage.metric("trunkline_connections"), 1);
    // It is detached like any other.
    alice.close().await;
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn it_waits_for_a_shard_that_restarts_and_others_are_refused_meanwhile() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    stage.lose_shard(1).await;
    let mut late = Raw::upgrade(stage.address(), "/ws").await;
    assert_eq!(late.close_code().await, 1012);
    stage.regain_shard().await;
    assert_eq!(stage.trunk.attach().await.connection, number);
    stage.trunk.batch(vec![live(number, "again")]).await;
    assert_eq!(alice.hear().await, "again");
}

#[tokio::test]
async fn one_without_a_checkpoint_is_closed_with_1012() {
    let mut stage = Stage::set().await;
    let (mut alice, _) = stage.client("user=alice").await;
    let (mut bob, b) = client(&mut stage).await;
    let (mut carol, c) = client(&mut stage).await;
    stage.trunk.batch(vec![checkpoint(b, ""), live(b, "cleared")]).await;
    assert_eq!(bob.hear().await, "cleared");
    stage.break_trunk().await;
    assert_eq!((alice.close_code().await, bob.close_code().await), (1012, 1012));
    assert_eq!(stage.trunk.attach().await.connection, c);
    stage.trunk.batch(vec![live(c, "hi")]).await;
    assert_eq!(carol.hear().await, "hi");
}

#[tokio::test]
async fn nobody_is_held_where_the_setting_says_so() {
    let mut stage = Stage::set_with(|settings| settings.router.hold = Duration::ZERO).await;
    let (mut alice, _) = client(&mut stage).await;
    stage.break_trunk().await;
    assert_eq!(alice.close_code().await, 1012);
}

#[tokio::test]
async fn one_that_is_held_too_long_is_closed() {
    let hold = Duration::from_millis(300);
    let mut stage = Stage::set_with(|settings| settings.router.hold = hold).await;
    let (mut alice, _) = client(&mut stage).await;
    let (mut bob, _) = client(&mut stage).await;
    stage.lose_shard(2).await;
    assert_eq!((alice.close_code().await, bob.close_code().await), (1012, 1012));
    stage.counts("trunkline_held", 0).await;
    stage.regain_shard().await;
    let (_, number) = stage.client("user=carol").await;
    assert_eq!((number, stage.metric("trunkline_reattached_total")), (3, 0));
}

#[tokio::test]
async fn one_that_leaves_while_held_is_forgotten() {
    let mut stage = Stage::set().await;
    let (alice, _) = client(&mut stage).await;
    let (mut bob, b) = client(&mut stage).await;
    stage.lose_shard(2).await;
    alice.close().await;
    stage.counts("trunkline_held", 1).await;
    bob.say("she left").await;
    stage.regain_shard().await;
    assert_eq!(stage.trunk.attach().await.connection, b);
    assert_eq!(stage.trunk.message().await, (b, 1, "she left".to_owned()));
}

#[tokio::test]
async fn one_that_the_shard_refuses_is_closed_as_it_says() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    stage.break_trunk().await;
    assert_eq!(stage.trunk.attach().await.connection, number);
    stage.trunk.batch(vec![crate::harness::close(number, 4001, "expired")]).await;
    assert_eq!(alice.close_code().await, 4001);
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn a_held_client_is_asked_whether_it_is_there() {
    let mut stage = Stage::set_with(|settings| {
        settings.heartbeat.interval = Duration::from_millis(100);
        settings.heartbeat.timeout = Duration::from_millis(300);
    })
    .await;
    let (mut raw, _) = raw(&mut stage).await;
    stage.shard.go_away().await;
    stage.trunk.hang_up();
    // Three times the timeout.
    for _ in 0..9 {
        assert_eq!(raw.read().await, (0x89, vec![]));
        raw.write(&frame(0x8a, b"")).await;
    }
    assert_eq!(stage.metric("trunkline_held"), 1);
    assert_eq!(raw.close_code().await, 4002);
    stage.counts("trunkline_held", 0).await;
}

#[tokio::test]
async fn a_router_that_shuts_down_says_so_to_those_it_holds() {
    let mut stage = Stage::set().await;
    let (mut alice, _) = client(&mut stage).await;
    stage.lose_shard(1).await;
    let Stage { router, .. } = stage;
    let stopped = tokio::spawn(router.shutdown());
    assert_eq!(alice.close_code().await, 1012);
    drop(alice);
    soon("the router to stop", stopped).await.expect("stopped");
}
