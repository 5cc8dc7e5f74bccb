//! Sessions that begin with a WebSocket.

use std::time::Duration;

use trunkline_config::settings::Settings;
use trunkline_proto::trunk::{Dialect, up};

use crate::harness::{HASH_KEY, Raw, Stage, frame, live};

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// A client that has had the open packet, and its number.
async fn client(stage: &mut Stage) -> (Raw, u64) {
    let mut raw = Raw::upgrade(stage.address(), PATH).await;
    let number = stage.trunk.attach().await.connection;
    let (first, payload) = raw.read().await;
    assert!(first == 0x81 && payload.starts_with(b"0{"));
    (raw, number)
}

#[tokio::test]
async fn the_first_text_is_the_open_packet() {
    let mut stage = Stage::set().await;
    let mut raw = Raw::upgrade(stage.address(), &format!("{PATH}&user=alice")).await;
    let attach = stage.trunk.attach().await;
    assert_eq!((attach.dialect(), attach.upgrade, attach.guest), (Dialect::SocketIo, false, false));
    let session: [u8; 24] = attach.session.to_vec().try_into().expect("24 bytes");
    let sid = HASH_KEY.seal(&session);
    let open = format!(
        r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
    );
    assert_eq!(raw.read().await, (0x81, open.into_bytes()));
}

#[tokio::test]
async fn messages_go_up_without_their_type_and_come_down_as_they_are() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = client(&mut stage).await;
    for text in ["40", "3", "6", "4", "0", "5"] {
        raw.write(&frame(0x81, text.as_bytes())).await;
    }
    raw.write(&frame(0x82, &[1, 2, 3])).await;
    raw.write(&frame(0x81, b"bAQID")).await;
    assert_eq!(stage.trunk.message().await, (number, 1, "0".to_owned()));
    assert_eq!(stage.trunk.message().await, (number, 2, String::new()));
    for sequence in [3, 4] {
        let up::Item::Message(message) = stage.trunk.next().await else { panic!("no message") };
        assert_eq!((message.sequence, message.binary), (sequence, true));
        assert_eq!(message.payload[..], [1, 2, 3]);
    }
    stage.trunk.batch(vec![live(number, "42[\"a\"]")]).await;
    assert_eq!(raw.read().await, (0x81, b"42[\"a\"]".to_vec()));
    assert_eq!(stage.metric("trunkline_messages_in_total{dialect=\"socketio\"}"), 4);
    assert_eq!(stage.metric("trunkline_deliveries_total{dialect=\"socketio\"}"), 1);
    assert_eq!(stage.metric("trunkline_messages_in_total{dialect=\"native\"}"), 0);
}

#[tokio::test]
async fn a_close_packet_closes_and_a_mistake_does_too() {
    let mut stage = Stage::set().await;
    for (text, code) in [("1", 1000), ("2", 1002), ("2probe", 1002), ("", 1002), ("x", 1002)] {
        let (mut raw, number) = client(&mut stage).await;
        raw.write(&frame(0x81, text.as_bytes())).await;
        assert_eq!(raw.close_code().await, code, "{text}");
        drop(raw);
        assert_eq!(stage.trunk.detach().await, number);
    }
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let mut stage = Stage::set_with(|settings| settings.socketio.max_http_buffer_size = 100).await;
    let (mut raw, number) = client(&mut stage).await;
    raw.write(&frame(0x81, &[b'4'; 100])).await;
    assert_eq!(stage.trunk.message().await.0, number);
    raw.write(&frame(0x81, &[b'4'; 101])).await;
    assert_eq!(raw.close_code().await, 1009);
}

fn quick(settings: &mut Settings) {
    settings.socketio.ping_interval = Duration::from_millis(100);
    settings.socketio.ping_timeout = Duration::from_millis(300);
}

#[tokio::test]
async fn who_sends_no_pong_is_closed_with_4002_whatever_else_is_said() {
    let mut stage = Stage::set_with(quick).await;
    let (mut raw, _) = client(&mut stage).await;
    assert_eq!(raw.read().await, (0x81, b"2".to_vec()));
    raw.write(&frame(0x81, b"4not a pong")).await;
    raw.write(&frame(0x8a, b"")).await;
    assert_eq!(raw.close_code().await, 4002);
}

#[tokio::test]
async fn who_sends_pongs_stays() {
    let mut stage = Stage::set_with(quick).await;
    let (mut raw, _) = client(&mut stage).await;
    for _ in 0..9 {
        assert_eq!(raw.read().await, (0x81, b"2".to_vec()));
        raw.write(&frame(0x81, b"3")).await;
    }
    assert_eq!(stage.metric("trunkline_connections"), 1);
}

#[tokio::test]
async fn what_reads_for_both_dialects_keeps_to_the_limit_of_each() {
    let mut stage = Stage::set().await;
    let (mut socketio, s) = client(&mut stage).await;
    let (mut native, n) = stage.raw("").await;
    let large = "4".repeat(100_000);
    for _ in 0..2 {
        socketio.write(&frame(0x81, b"4")).await;
        assert_eq!(stage.trunk.message().await.0, s);
        native.write(&frame(0x81, b"hi")).await;
        assert_eq!(stage.trunk.message().await.0, n);
    }
    socketio.write(&frame(0x81, large.as_bytes())).await;
    let (from, _, text) = stage.trunk.message().await;
    assert_eq!((from, text.len()), (s, large.len() - 1));
    native.try_write(&frame(0x81, large.as_bytes())).await;
    assert_eq!(native.close_code().await, 1009);
}
