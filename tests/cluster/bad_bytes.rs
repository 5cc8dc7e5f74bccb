//! Bytes that are no WebSocket, or break one: each gets the stated answer, and nobody else notices.

use std::time::Duration;

use crate::harness::{Cluster, Raw, Setup, frame, request, upgrade_request};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

/// The code with which a connection ends that sends these bytes after its upgrade.
async fn code_after(cluster: &Cluster, bytes: &[u8]) -> u16 {
    let mut raw = cluster.raw("mallory").await;
    raw.try_write(bytes).await;
    raw.close_code().await
}

fn declared(length: u64) -> Vec<u8> {
    let mut header = vec![TEXT, 0xff];
    header.extend(length.to_be_bytes());
    header.extend([0; 4]);
    header
}

#[tokio::test]
async fn every_broken_frame_gets_its_code_and_the_same_processes_go_on() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let mut bystander = cluster.connect("bystander").await;
    bystander.join("lobby").await;
    let cases: [(&str, u16, Vec<u8>); 22] = [
        ("an unmasked frame", 1002, vec![TEXT, 2, b'h', b'i']),
        ("reserved bit 1", 1002, frame(TEXT | 0x40, b"hi")),
        ("reserved bit 2", 1002, frame(TEXT | 0x20, b"hi")),
        ("reserved bit 3", 1002, frame(TEXT | 0x10, b"hi")),
        ("a reserved data opcode", 1002, frame(0x83, b"hi")),
        ("the last reserved data opcode", 1002, frame(0x87, b"hi")),
        ("a reserved control opcode", 1002, frame(0x8b, b"")),
        ("the last reserved control opcode", 1002, frame(0x8f, b"")),
        ("a fragmented ping", 1002, frame(0x09, b"hi")),
        ("a fragmented close", 1002, frame(0x08, &1000_u16.to_be_bytes())),
        ("a ping of 126 bytes", 1002, frame(PING, &[0; 126])),
        ("a continuation of nothing", 1002, frame(0x80, b"hi")),
        ("a message inside of one", 1002, [frame(0x01, b"a"), frame(TEXT, b"b")].concat()),
        ("a close of one byte", 1002, frame(CLOSE, &[3])),
        ("a close with code 999", 1002, frame(CLOSE, &999_u16.to_be_bytes())),
        ("a close with code 1006", 1002, frame(CLOSE, &1006_u16.to_be_bytes())),
        ("a close whose reason is not UTF-8", 1007, frame(CLOSE, b"\x03\xe8\xff")),
        ("text that is not UTF-8", 1007, frame(TEXT, b"\xc3\x28")),
        ("a binary frame", 1003, frame(BINARY, b"hi")),
        ("a length of 2^63", 1009, declared(1 << 63)),
        ("a length of 2^63 - 1", 1009, declared((1 << 63) - 1)),
        ("a length of 64 KiB and a byte", 1009, declared(65_537)),
    ];
    for (what, code, bytes) in cases {
        assert_eq!(code_after(&cluster, &bytes).await, code, "{what}");
    }
    bystander.publish("lobby", "unharmed").await;
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn handshakes_that_are_none_get_their_status_and_the_same_processes_go_on() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let address = cluster.address();
    let good = upgrade_request(address, "/ws", "");
    let long = format!("/ws?room={}", "x".repeat(257));
    let cases: [(&str, u16, String); 9] = [
        ("no HTTP", 400, "\x16\x03\x01 hello\r\n\r\n".to_owned()),
        ("a plain GET", 400, format!("GET /ws HTTP/1.1\r\nHost: {address}\r\n\r\n")),
        ("a POST", 400, good.replacen("GET", "POST", 1)),
        ("an old version", 426, good.replace("Version: 13", "Version: 8")),
        ("a short key", 400, good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=")),
        ("a long room", 400, upgrade_request(address, &long, "")),
        ("a room with a control character", 400, upgrade_request(address, "/ws?room=%07", "")),
        ("a user that is no UTF-8", 400, upgrade_request(address, "/ws?user=%ff", "")),
        ("the name of a session", 400, upgrade_request(address, "/ws?user=~1", "")),
    ];
    for (what, status, bytes) in cases {
        let closing = bytes.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        let bytes = if bytes.contains("Connection: ") { bytes } else { closing };
        let mut raw = Raw::connect(address).await;
        raw.write(bytes.as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {head}");
    }
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn a_header_of_100_kb_gets_431_and_the_same_processes_go_on() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let header = format!("X-Large: {}\r\n", "x".repeat(100_000));
    let bytes = upgrade_request(cluster.address(), "/ws", &header);
    // The reset that the unread rest causes can overtake the answer; 0 is no answer.
    let status = request(cluster.port, bytes.as_bytes()).await.status;
    assert!(status == 431 || status == 0, "{status}");
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn handshakes_that_stop_or_drip_are_ended_and_the_same_processes_go_on() {
    let mut cluster = Setup::new().section("[limits]\nheader_timeout = \"3s\"").start().await;
    let before = cluster.ids();
    let whole = upgrade_request(cluster.address(), "/ws", "");
    let mut stopped = Vec::new();
    for length in [0, 1, 40, whole.len() - 1] {
        let mut raw = Raw::connect(cluster.address()).await;
        raw.write(&whole.as_bytes()[..length]).await;
        stopped.push(raw);
    }
    let mut dripping = Raw::connect(cluster.address()).await;
    dripping.drip(b"GET /ws HTTP/1.1\r\nX-Slow: ", Duration::from_secs(1)).await;
    for raw in &mut stopped {
        assert!(!raw.rest().await.contains(" 101 "));
    }
    cluster.goes_on_as(&before).await;
}

#[tokio::test]
async fn clients_that_vanish_in_the_middle_of_anything_leave_nothing_behind() {
    let mut cluster = Setup::new().start().await;
    let before = cluster.ids();
    let join = frame(TEXT, b"{\"type\":\"join\",\"room\":\"lobby\"}");
    for length in 0..join.len() {
        let mut raw = cluster.raw(&format!("ghost-{length}")).await;
        raw.write(&join).await;
        raw.write(&join[..length]).await;
    }
    let mut alice = cluster.connect("alice").await;
    alice.join("lobby").await;
    cluster
        .eventually("no ghost is left", async || {
            let request = serde_json::json!({"type": "presence", "room": "lobby"});
            alice.ok(request).await["users"].as_array().unwrap().len() == 1
        })
        .await;
    cluster.goes_on_as(&before).await;
}
