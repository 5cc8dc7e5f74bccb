//! Socket.IO clients are held like others, once a session is theirs.

use trunkline_proto::trunk::Dialect;

use crate::engine::{SESSION, sid};
use crate::harness::{Raw, Stage, checkpoint, frame, live};

#[tokio::test]
async fn what_a_socketio_client_said_is_sent_again_without_its_type() {
    let mut stage = Stage::set().await;
    let path = "/socket.io/?EIO=4&transport=websocket&user=alice";
    let mut raw = Raw::upgrade(stage.address(), path).await;
    let first = stage.trunk.attach().await;
    let number = first.connection;
    raw.read().await;
    for (opcode, payload) in [(0x81, &b"40"[..]), (0x81, b"3"), (0x82, b"\x01\x02")] {
        raw.write(&frame(opcode, payload)).await;
    }
    for _ in 0..2 {
        stage.trunk.said().await;
    }
    stage.trunk.batch(vec![checkpoint(number, "state"), live(number, "40{}")]).await;
    assert_eq!(raw.read().await, (0x81, b"40{}".to_vec()));
    stage.lose_shard(1).await;
    raw.write(&frame(0x81, b"42[\"a\"]")).await;
    stage.counts("trunkline_messages_in_total{dialect=\"socketio\"}", 3).await;
    stage.regain_shard().await;
    let attach = stage.trunk.attach().await;
    assert_eq!((attach.dialect(), attach.upgrade), (Dialect::SocketIo, false));
    assert_eq!((attach.session, attach.user), (first.session, first.user));
    let mut said = Vec::new();
    for _ in 0..3 {
        let message = stage.trunk.said().await;
        said.push((message.sequence, message.payload.to_vec(), message.binary));
    }
    let expected = [
        (1, b"0".to_vec(), false),
        (2, b"\x01\x02".to_vec(), true),
        (3, b"2[\"a\"]".to_vec(), false),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_websocket_counts_when_the_session_has_changed_to_it() {
    let mut stage = Stage::set().await;
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", sid());
    let mut clients = Vec::new();
    for changes in [false, true] {
        let mut raw = Raw::upgrade(stage.address(), &path).await;
        let number = stage.trunk.attach().await.connection;
        if changes {
            raw.write(&frame(0x81, b"5")).await;
            stage.trunk.control().await;
        }
        stage.trunk.batch(vec![checkpoint(number, "state"), live(number, "4hi")]).await;
        assert_eq!(raw.read().await, (0x81, b"4hi".to_vec()));
        clients.push((raw, number));
    }
    stage.break_trunk().await;
    let (probing, _) = &mut clients[0];
    assert_eq!(probing.close_code().await, 1012);
    let attach = stage.trunk.attach().await;
    assert_eq!((attach.connection, attach.upgrade), (clients[1].1, false));
    assert_eq!((&attach.session[..], attach.dialect()), (&SESSION[..], Dialect::SocketIo));
}
