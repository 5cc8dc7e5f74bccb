//! Frames that break RFC 6455 or a limit: each gets its code, and the router goes on.

use std::time::{Duration, Instant};

use crate::harness::{Raw, Stage, frame, live};

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

/// Sends bytes to a fresh WebSocket and returns the code of the Close that they lead to.
async fn code_after(stage: &mut Stage, bytes: &[u8]) -> u16 {
    let (mut raw, number) = stage.raw("").await;
    raw.write(bytes).await;
    let code = raw.close_code().await;
    drop(raw);
    assert_eq!(stage.trunk.detach().await, number);
    code
}

#[tokio::test]
async fn broken_frames_close_with_1002() {
    let mut stage = Stage::set().await;
    let cases: [(&str, Vec<u8>); 12] = [
        ("an unmasked frame", vec![TEXT, 2, b'h', b'i']),
        ("reserved bit 1", frame(TEXT | 0x40, b"hi")),
        ("reserved bit 2", frame(TEXT | 0x20, b"hi")),
        ("reserved bit 3", frame(TEXT | 0x10, b"hi")),
        ("a reserved data frame", frame(0x83, b"hi")),
        ("a reserved control frame", frame(0x8b, b"")),
        ("a fragmented ping", frame(0x09, b"hi")),
        ("a ping of 126 bytes", frame(PING, &[0; 126])),
        ("a continuation of nothing", frame(0x80, b"hi")),
        ("a message within a message", [frame(0x01, b"a"), frame(TEXT, b"b")].concat()),
        ("a close of one byte", frame(CLOSE, &[3])),
        ("a close with code 1005", frame(CLOSE, &1005_u16.to_be_bytes())),
    ];
    for (what, bytes) in cases {
        assert_eq!(code_after(&mut stage, &bytes).await, 1002, "{what}");
    }
    for code in [0_u16, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let bytes = frame(CLOSE, &code.to_be_bytes());
        assert_eq!(code_after(&mut stage, &bytes).await, 1002, "a close with code {code}");
    }
}

#[tokio::test]
async fn what_is_not_utf8_closes_with_1007() {
    let mut stage = Stage::set().await;
    assert_eq!(code_after(&mut stage, &frame(TEXT, b"\xc3\x28")).await, 1007);
    let cut = [frame(0x01, b"\xe2\x82"), frame(0x80, b"x")].concat();
    assert_eq!(code_after(&mut stage, &cut).await, 1007);
    assert_eq!(code_after(&mut stage, &frame(CLOSE, b"\x03\xe8\xff")).await, 1007);
}

#[tokio::test]
async fn binary_closes_with_1003() {
    let mut stage = Stage::set().await;
    assert_eq!(code_after(&mut stage, &frame(0x82, b"hi")).await, 1003);
}

#[tokio::test]
async fn what_is_too_large_closes_with_1009_before_it_is_read() {
    let mut stage = Stage::set_with(|settings| settings.limits.message = 1024).await;
    assert_eq!(code_after(&mut stage, &frame(TEXT, &[b'x'; 1025])).await, 1009);
    for length in [1025_u64, 1 << 40, u64::MAX] {
        let mut header = vec![TEXT, 0xff];
        header.extend(length.to_be_bytes());
        header.extend([0; 4]);
        assert_eq!(code_after(&mut stage, &header).await, 1009, "{length}");
    }
    let fragments = [frame(0x01, &[b'x'; 1000]), frame(0x80, &[b'x'; 25])].concat();
    assert_eq!(code_after(&mut stage, &fragments).await, 1009);
}

#[tokio::test]
async fn a_message_of_exactly_the_limit_passes() {
    let mut stage = Stage::set_with(|settings| settings.limits.message = 1024).await;
    let (mut raw, number) = stage.raw("").await;
    let text = "x".repeat(1024);
    raw.write(&frame(TEXT, text.as_bytes())).await;
    assert_eq!(stage.trunk.message().await, (number, 1, text));
}

#[tokio::test]
async fn control_frames_come_between_fragments() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    // The euro sign is split over two fragments.
    raw.write(&frame(0x01, b"5 \xe2\x82")).await;
    raw.write(&frame(PING, b"there?")).await;
    assert_eq!(raw.read().await, (0x8a, b"there?".to_vec()));
    raw.write(&frame(0x00, b"\xac")).await;
    raw.write(&frame(0x8a, b"unasked pong")).await;
    raw.write(&frame(0x80, b"!")).await;
    assert_eq!(stage.trunk.message().await, (number, 1, "5 €!".to_owned()));
}

#[tokio::test]
async fn a_frame_sent_byte_by_byte_is_a_frame() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    for byte in frame(TEXT, b"slow") {
        raw.write(&[byte]).await;
    }
    assert_eq!(stage.trunk.message().await, (number, 1, "slow".to_owned()));
}

#[tokio::test]
async fn messages_that_come_in_pieces_at_the_same_time_stay_apart() {
    let mut stage = Stage::set().await;
    let (mut a, first) = stage.raw("").await;
    let (mut b, second) = stage.raw("").await;
    let whole = frame(TEXT, b"whole");
    let from_a =
        [whole.clone(), frame(0x01, b"from "), frame(PING, b""), frame(0x80, b"a")].concat();
    let from_b = [frame(0x01, b"from "), frame(PING, b""), frame(0x80, b"b"), whole].concat();
    for (to_a, to_b) in from_a.iter().zip(&from_b) {
        a.write(&[*to_a]).await;
        b.write(&[*to_b]).await;
    }
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(stage.trunk.message().await);
    }
    heard.sort();
    let expected =
        [(first, 1, "whole"), (first, 2, "from a"), (second, 1, "from b"), (second, 2, "whole")];
    assert_eq!(heard, expected.map(|(from, sequence, text)| (from, sequence, text.to_owned())));
}

#[tokio::test]
async fn frames_right_behind_the_request_are_not_lost() {
    let mut stage = Stage::set().await;
    let mut raw = Raw::connect(stage.address()).await;
    let mut bytes = crate::harness::request(stage.address(), "/ws", "").into_bytes();
    bytes.extend(frame(TEXT, b"eager"));
    raw.write(&bytes).await;
    let number = stage.trunk.attach().await.connection;
    assert_eq!(stage.trunk.message().await, (number, 1, "eager".to_owned()));
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code_and_nothing_after_it() {
    let mut stage = Stage::set().await;
    for code in [1000_u16, 1001, 1011, 3000, 4999] {
        let (mut raw, number) = stage.raw("").await;
        raw.write(&frame(CLOSE, &[&code.to_be_bytes()[..], b"bye"].concat())).await;
        raw.try_write(&frame(TEXT, b"ignored")).await;
        assert_eq!(raw.close_code().await, code);
        drop(raw);
        assert_eq!(stage.trunk.detach().await, number);
    }
    let (mut raw, number) = stage.raw("").await;
    raw.write(&frame(CLOSE, b"")).await;
    assert_eq!(raw.read().await, (0x88, vec![]));
    raw.ended().await;
    drop(raw);
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn who_closes_has_left_before_the_socket_is_gone() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    let begun = Instant::now();
    raw.write(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
    assert_eq!(stage.trunk.detach().await, number);
    // The socket lives on for as long as the client takes to end its side, up to 3 seconds.
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(stage.metric("trunkline_connections"), 1);
    assert_eq!(raw.close_code().await, 1000);
    drop(raw);
    stage.counts("trunkline_connections", 0).await;
}

#[tokio::test]
async fn a_socket_that_vanishes_is_detached() {
    let mut stage = Stage::set().await;
    let (raw, number) = stage.raw("").await;
    drop(raw);
    assert_eq!(stage.trunk.detach().await, number);
}

#[tokio::test]
async fn a_broken_neighbour_is_not_noticed() {
    let mut stage = Stage::set().await;
    let (mut bob, number) = stage.client("user=bob").await;
    assert_eq!(code_after(&mut stage, &[0xff; 14]).await, 1002);
    stage.trunk.batch(vec![live(number, "unharmed")]).await;
    assert_eq!(bob.hear().await, "unharmed");
}

#[tokio::test]
async fn messages_after_a_large_one_are_read_as_before() {
    let mut stage = Stage::set().await;
    let (mut raw, number) = stage.raw("").await;
    let large = "x".repeat(60_000);
    for round in 0..3 {
        let begun = [frame(TEXT, large.as_bytes()), frame(0x01, b"in ")].concat();
        raw.write(&begun).await;
        assert_eq!(stage.trunk.message().await, (number, 2 * round + 1, large.clone()));
        raw.write(&frame(0x80, b"two")).await;
        assert_eq!(stage.trunk.message().await, (number, 2 * round + 2, "in two".to_owned()));
    }
}
