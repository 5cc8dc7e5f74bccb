//! Polling's payloads: packets with separators between them.

use bytes::Bytes;
use trunkline_proto::engine::{NotAPacket, Packet, SEPARATOR, encode_binary};

use super::queue::OutQueue;

/// Packets of one answer: python-engineio gives up on payloads of more. What is left is answered to
/// the next poll, which comes at once.
const PACKETS_MAX: usize = 16;

/// Takes packets from a queue, the first in any case and others while they fit, so that none is
/// split.
pub(super) fn encode(queue: &mut OutQueue, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..PACKETS_MAX {
        let Some(size) = queue.first_size() else { break };
        if !body.is_empty() && body.len() + size > most {
            break;
        }
        let Some(part) = queue.pop() else { break };
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        if part.binary {
            body.extend_from_slice(encode_binary(&part.payload).as_bytes());
        } else {
            body.extend_from_slice(&part.payload);
        }
    }
    body
}

/// The packets of a request's body, up to the first mistake. A body that is not UTF-8 is one.
pub(super) fn decode(body: &Bytes) -> impl Iterator<Item = Result<Packet, NotAPacket>> {
    let mut rest = Some(body.clone());
    if std::str::from_utf8(body).is_err() {
        rest = Some(Bytes::new());
    }
    std::iter::from_fn(move || {
        let mut text = rest.take()?;
        if let Some(end) = text.iter().position(|byte| *byte == SEPARATOR) {
            let after = text.split_off(end + 1);
            text.truncate(end);
            rest = Some(after);
        }
        let packet = Packet::decode(&text);
        if packet.is_err() {
            rest = None;
        }
        Some(packet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use trunkline_core::{Frame, FrameKind, Part};
    use trunkline_proto::out_queue::Bounds;

    fn queue(parts: Vec<Part>) -> OutQueue {
        let mut queue = OutQueue::new(Bounds { messages: usize::MAX / 2, replies: 0 });
        let frame = Frame::socketio(FrameKind::Live, parts);
        queue.push(&frame).expect("room");
        queue
    }

    fn packets(body: &[u8]) -> Vec<Result<Packet, NotAPacket>> {
        decode(&Bytes::copy_from_slice(body)).collect()
    }

    #[test]
    fn packets_stand_between_separators() {
        assert_eq!(
            packets(b"4hello\x1e3\x1ebAQIDBA==\x1e4\xe2\x82\xac"),
            [
                Ok(Packet::Message("hello".into())),
                Ok(Packet::Pong),
                Ok(Packet::Binary(vec![1, 2, 3, 4].into())),
                Ok(Packet::Message("€".into())),
            ]
        );
    }

    #[test]
    fn nothing_is_read_behind_a_mistake() {
        assert_eq!(packets(b""), [Err(NotAPacket)]);
        assert_eq!(packets(b"4\xff"), [Err(NotAPacket)]);
        assert_eq!(packets(b"3\x1ex\x1e3"), [Ok(Packet::Pong), Err(NotAPacket)]);
        assert_eq!(packets(b"3\x1e"), [Ok(Packet::Pong), Err(NotAPacket)]);
    }

    #[test]
    fn an_answer_is_filled_up_to_its_bound_and_splits_no_packet() {
        let text = |text: &'static str| Part::text(text.into());
        let mut queue = queue(vec![text("4too long"), text("4a"), text("4b"), text("4c")]);
        assert_eq!(encode(&mut queue, 5), b"4too long");
        assert_eq!(encode(&mut queue, 5), b"4a\x1e4b");
        assert_eq!(encode(&mut queue, 5), b"4c");
    }

    #[test]
    fn an_answer_has_sixteen_packets_at_most() {
        let mut queue = queue(vec![Part::text("4x".into()); 40]);
        let counts = [(); 3].map(|()| packets(&encode(&mut queue, 1000)).len());
        assert_eq!((counts, queue.is_empty()), ([16, 16, 8], true));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = packets(&body);
        }

        #[test]
        fn what_is_encoded_decodes(
            parts in proptest::collection::vec(
                prop_oneof![
                    "[^\u{1e}]{0,20}".prop_map(|text| Part::text(format!("4{text}").into())),
                    proptest::collection::vec(any::<u8>(), 0..20)
                        .prop_map(|bytes| Part::binary(bytes.into())),
                ],
                1..20,
            ),
            most in 0_usize..200,
        ) {
            let mut queue = queue(parts.clone());
            let mut heard = Vec::new();
            while !queue.is_empty() {
                for packet in packets(&encode(&mut queue, most)) {
                    heard.push(match packet {
                        Ok(Packet::Message(text)) => {
                            Part::text([b"4", text.as_ref()].concat().into())
                        }
                        Ok(Packet::Binary(bytes)) => Part::binary(bytes),
                        other => panic!("{other:?}"),
                    });
                }
            }
            prop_assert_eq!(heard, parts);
        }
    }
}
