//! A WebSocket to which a polling session may change: the shard decides.

use std::time::Duration;

use trunkline_proto::trunk::{Dialect, FrameKind};

use super::{SESSION, sid};
use crate::harness::{Raw, Stage, close, frame, live, send};

async fn probing(stage: &mut Stage) -> (Raw, u64) {
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", sid());
    let raw = Raw::upgrade(stage.address(), &path).await;
    let attach = stage.trunk.attach().await;
    assert!(attach.upgrade && attach.dialect() == Dialect::SocketIo);
    assert_eq!(attach.session[..], SESSION);
    (raw, attach.connection)
}

#[tokio::test]
async fn everything_goes_up_as_it_is_until_the_change_and_as_messages_behind_it() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = probing(&mut stage).await;
    raw.write(&frame(0x81, b"2probe")).await;
    assert_eq!(stage.trunk.control().await, (number, "2probe".to_owned()));
    stage.trunk.batch(vec![send(&[number], "3probe", FrameKind::Reply, 0)]).await;
    // Nothing comes before it, an open packet least of all.
    assert_eq!(raw.read().await, (0x81, b"3probe".to_vec()));
    raw.write(&[frame(0x81, b"5"), frame(0x81, b"4hello"), frame(0x81, b"4again")].concat()).await;
    assert_eq!(stage.trunk.control().await, (number, "5".to_owned()));
    assert_eq!(stage.trunk.message().await, (number, 1, "hello".to_owned()));
    assert_eq!(stage.trunk.message().await, (number, 2, "again".to_owned()));
    stage.trunk.batch(vec![live(number, "4hi")]).await;
    assert_eq!(raw.read().await, (0x81, b"4hi".to_vec()));
}

#[tokio::test]
async fn the_shard_closes_what_it_does_not_take() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = probing(&mut stage).await;
    raw.write(&frame(0x81, b"4too early")).await;
    assert_eq!(stage.trunk.control().await, (number, "4too early".to_owned()));
    stage.trunk.batch(vec![close(number, 1000, "")]).await;
    assert_eq!(raw.close_code().await, 1000);
    drop(raw);
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn pings_begin_with_the_change_and_earlier_than_the_client_gives_up() {
    let mut stage = Stage::set_with(|settings| {
        settings.socketio.ping_interval = Duration::from_millis(400);
        settings.socketio.ping_timeout = Duration::from_millis(200);
    })
    .await;
    let (mut raw, number) = probing(&mut stage).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    raw.write(&frame(0x81, b"5")).await;
    assert_eq!(stage.trunk.control().await, (number, "5".to_owned()));
    let changed = tokio::time::Instant::now();
    assert_eq!(raw.read().await, (0x81, b"2".to_vec()));
    assert!(changed.elapsed() < Duration::from_millis(200));
    assert_eq!(raw.close_code().await, 4002);
}
