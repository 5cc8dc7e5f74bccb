//! RFC 6455 by the cases of public conformance suites, against `/echo`.

use crate::harness::{Cluster, Raw, Setup, frame, get};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = FIN | 8;
const PING: u8 = FIN | 9;
const PONG: u8 = FIN | 10;

async fn cluster() -> Cluster {
    Setup::new().router("echo = true").shards(1).start().await
}

async fn open(cluster: &Cluster) -> Raw {
    Raw::upgrade(cluster.address(), "/echo").await
}

/// A message in pieces of these sizes, as frames; the last piece is what remains.
fn fragments(opcode: u8, payload: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let (mut opcode, mut rest) = (opcode, payload);
    for size in sizes {
        let (piece, others) = rest.split_at(*size);
        frames.push(frame(opcode, piece));
        (opcode, rest) = (CONTINUATION, others);
    }
    frames.push(frame(FIN | opcode, rest));
    frames
}

/// The payload of a close frame.
fn goodbye(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

#[tokio::test]
async fn echo_is_not_there_unless_it_is_asked_for() {
    let cluster = Setup::new().shards(1).start().await;
    assert_eq!(get(cluster.port, "/echo").await.status, 404);
}

#[tokio::test]
async fn messages_of_every_length_come_back_unchanged() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    for length in [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1 << 20] {
        let bytes: Vec<u8> = (0..length).map(|n: usize| n.to_le_bytes()[0]).collect();
        raw.write(&frame(FIN | BINARY, &bytes)).await;
        assert!(raw.read().await == (FIN | BINARY, bytes), "{length} bytes");
        let text = "*".repeat(length);
        raw.write(&frame(FIN | TEXT, text.as_bytes())).await;
        assert!(raw.read().await == (FIN | TEXT, text.into_bytes()), "text of {length} bytes");
    }
}

#[tokio::test]
async fn messages_sent_at_once_come_back_in_order() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    let texts: Vec<String> = (0..200).map(|n| format!("message {n}")).collect();
    let frames: Vec<_> = texts.iter().map(|text| frame(FIN | TEXT, text.as_bytes())).collect();
    raw.write(&frames.concat()).await;
    for text in texts {
        assert_eq!(raw.read().await, (FIN | TEXT, text.into_bytes()));
    }
}

#[tokio::test]
async fn a_frame_may_arrive_in_pieces_of_any_size() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    let payload = vec![7; 300];
    for size in [1, 2, 3, 7, 100] {
        for piece in frame(FIN | BINARY, &payload).chunks(size) {
            raw.write(piece).await;
        }
        assert!(raw.read().await == (FIN | BINARY, payload.clone()), "pieces of {size}");
    }
}

#[tokio::test]
async fn fragments_are_put_together_empty_ones_too() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    for sizes in [&[3][..], &[0], &[0, 0, 5], &[1, 1, 1, 1], &[11], &[5, 0, 6]] {
        for opcode in [TEXT, BINARY] {
            for piece in fragments(opcode, b"hello world", sizes) {
                raw.write(&piece).await;
            }
            let whole = (FIN | opcode, b"hello world".to_vec());
            assert_eq!(raw.read().await, whole, "{sizes:?}");
        }
    }
    raw.write(&fragments(TEXT, b"", &[0, 0]).concat()).await;
    assert_eq!(raw.read().await, (FIN | TEXT, vec![]));
}

#[tokio::test]
async fn pings_between_fragments_are_answered_at_once() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    let pieces = fragments(TEXT, b"one two three", &[4, 4]);
    let (last, first) = pieces.split_last().unwrap();
    for (n, piece) in first.iter().enumerate() {
        raw.write(piece).await;
        let payload = format!("ping {n}").into_bytes();
        raw.write(&frame(PING, &payload)).await;
        raw.write(&frame(PONG, b"nobody asked")).await;
        assert_eq!(raw.read().await, (PONG, payload));
    }
    raw.write(last).await;
    assert_eq!(raw.read().await, (FIN | TEXT, b"one two three".to_vec()));
}

#[tokio::test]
async fn every_ping_is_answered_in_order_with_its_payload() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    for payload in [vec![], b"hi".to_vec(), vec![0, 255, 254], vec![0xfe; 125]] {
        raw.write(&frame(PING, &payload)).await;
        assert_eq!(raw.read().await, (PONG, payload));
    }
    let pings: Vec<_> = (0..10_u8).map(|n| frame(PING, &[n])).collect();
    raw.write(&pings.concat()).await;
    for n in 0..10 {
        assert_eq!(raw.read().await, (PONG, vec![n]));
    }
    raw.write(&frame(PONG, b"nobody asked")).await;
    raw.write(&frame(FIN | TEXT, b"on")).await;
    assert_eq!(raw.read().await, (FIN | TEXT, b"on".to_vec()));
}

#[tokio::test]
async fn text_may_be_cut_anywhere_in_a_character() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    let text = "κόσμε €\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\u{d7ff}\u{e000}𝄞";
    for place in 0..=text.len() {
        raw.write(&fragments(TEXT, text.as_bytes(), &[place]).concat()).await;
        assert_eq!(raw.read().await, (FIN | TEXT, text.as_bytes().to_vec()), "cut at {place}");
    }
    let ones = vec![1; text.len() - 1];
    raw.write(&fragments(TEXT, text.as_bytes(), &ones).concat()).await;
    assert_eq!(raw.read().await, (FIN | TEXT, text.as_bytes().to_vec()));
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007_however_it_is_cut() {
    let cluster = cluster().await;
    for bad in [
        &b"\x80"[..],
        b"\xbf",
        b"ok \xc3",
        b"\xc3\x28",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\xce\xba\xed\xa0\x80edited",
    ] {
        for place in 0..=bad.len() {
            let mut raw = open(&cluster).await;
            raw.try_write(&fragments(TEXT, bad, &[place]).concat()).await;
            assert_eq!(raw.close_code().await, 1007, "{bad:x?} cut at {place}");
        }
        let mut raw = open(&cluster).await;
        raw.write(&frame(FIN | BINARY, bad)).await;
        assert_eq!(raw.read().await, (FIN | BINARY, bad.to_vec()), "binary may be anything");
    }
}

#[tokio::test]
async fn fragments_in_the_wrong_order_close_with_1002() {
    let cluster = cluster().await;
    for (what, frames) in [
        ("a continuation of nothing", vec![frame(FIN, b"x")]),
        ("an unfinished one of nothing", vec![frame(CONTINUATION, b"x")]),
        ("one after the end", [fragments(TEXT, b"ab", &[1]), vec![frame(FIN, b"x")]].concat()),
        ("text within text", vec![frame(TEXT, b"a"), frame(FIN | TEXT, b"b")]),
        ("binary within text", vec![frame(TEXT, b"a"), frame(BINARY, b"b")]),
    ] {
        let mut raw = open(&cluster).await;
        raw.try_write(&frames.concat()).await;
        assert_eq!(raw.close_code().await, 1002, "{what}");
    }
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let cluster = cluster().await;
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    for code in codes {
        for reason in ["", "done", &"é".repeat(61)] {
            let mut raw = open(&cluster).await;
            raw.write(&frame(CLOSE, &goodbye(code, reason))).await;
            assert_eq!(raw.close_code().await, code, "{reason:?}");
        }
    }
    let mut raw = open(&cluster).await;
    raw.write(&frame(CLOSE, b"")).await;
    assert_eq!(raw.read().await, (CLOSE, vec![]));
    raw.ended().await;
}

#[tokio::test]
async fn a_close_that_is_none_gets_1002_and_a_broken_reason_1007() {
    let cluster = cluster().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let mut raw = open(&cluster).await;
        raw.write(&frame(CLOSE, &goodbye(code, ""))).await;
        assert_eq!(raw.close_code().await, 1002, "{code}");
    }
    for (payload, code) in [
        (vec![3], 1002),
        (goodbye(1000, &"x".repeat(124)), 1002),
        ([&goodbye(1000, "")[..], b"\xce\xba\xed\xa0\x80"].concat(), 1007),
    ] {
        let mut raw = open(&cluster).await;
        raw.try_write(&frame(CLOSE, &payload)).await;
        assert_eq!(raw.close_code().await, code, "{payload:x?}");
    }
}

#[tokio::test]
async fn nothing_is_answered_after_a_close() {
    let cluster = cluster().await;
    for late in [frame(FIN | TEXT, b"late"), frame(PING, b"late"), frame(FIN | 3, b"broken")] {
        let mut raw = open(&cluster).await;
        raw.try_write(&[frame(CLOSE, &goodbye(1000, "")), late].concat()).await;
        assert_eq!(raw.read().await, (CLOSE, goodbye(1000, "")));
        raw.ended().await;
    }
}

#[tokio::test]
async fn what_came_before_a_close_is_answered_before_it() {
    let cluster = cluster().await;
    let mut raw = open(&cluster).await;
    let bytes = [frame(FIN | TEXT, b"first"), frame(CLOSE, &goodbye(1000, ""))].concat();
    raw.write(&bytes).await;
    assert_eq!(raw.read().await, (FIN | TEXT, b"first".to_vec()));
    assert_eq!(raw.close_code().await, 1000);
}
