//! Frames as they are written to sockets: encoded once, and the same bytes for every member of
//! a group.
//!
//! All messages of a frame are encoded into one piece of memory. So it is queued contiguously
//! or not at all by itself, and costs each receiver one entry of its queue. A server masks
//! nothing (RFC 6455 §5.1), which is what makes the bytes shareable.

use bytes::Bytes;
use trunkline_proto::out_queue::Class;
use trunkline_proto::trunk::{self, FrameKind};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest text of a Close: 125 bytes of payload without the code (RFC 6455 §5.5).
const CLOSE_TEXT: usize = 123;

/// What an out-queue may do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A kept message: it is queued, or the connection ends.
    Live,
    /// Dropped first.
    Ephemeral,
    /// The answer to a request of this client, bounded by what is read from it.
    Reply,
    /// Ping, Pong, Close.
    Control,
}

impl Kind {
    /// What it counts as where it waits; control frames have no bound.
    pub(crate) fn class(self) -> Option<Class> {
        match self {
            Self::Live => Some(Class::Live),
            Self::Ephemeral => Some(Class::Ephemeral),
            Self::Reply => Some(Class::Reply),
            Self::Control => None,
        }
    }
}

/// A frame's bytes, ready for any number of sockets.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) kind: Kind,
    /// How many WebSocket messages it is.
    pub(crate) messages: u32,
}

/// Encodes a frame of a shard.
pub(crate) fn encode(frame: &trunk::Frame) -> Encoded {
    let kind = match frame.kind() {
        FrameKind::Live => Kind::Live,
        FrameKind::Ephemeral => Kind::Ephemeral,
        FrameKind::Reply => Kind::Reply,
    };
    let parts = || frame.parts.iter().map(|part| (data(part.binary), part.payload.as_ref()));
    let size = parts().map(|(opcode, payload)| size(opcode, payload)).sum();
    let mut out = Vec::with_capacity(size);
    for (opcode, payload) in parts() {
        append(opcode, payload, &mut out);
    }
    let messages = u32::try_from(frame.parts.len()).unwrap_or(u32::MAX);
    Encoded { bytes: out.into(), kind, messages }
}

/// One message to the client that sent it, as `/echo` does.
pub(crate) fn reply(payload: &[u8], binary: bool) -> Encoded {
    Encoded { bytes: single(data(binary), payload), kind: Kind::Reply, messages: 1 }
}

/// An empty Ping (RFC 6455 §5.5.2).
pub(crate) const PING: Bytes = Bytes::from_static(&[0x89, 0]);

/// Engine.IO's ping, a text.
pub(crate) const PING_PACKET: Bytes = Bytes::from_static(&[0x81, 1, b'2']);

/// A Close (RFC 6455 §5.5.1). A text beyond 123 bytes is cut between characters.
pub(crate) fn close(code: u16, text: &str) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(CLOSE_TEXT)]);
    single(OpCode::Control(Control::Close), &payload)
}

fn data(binary: bool) -> OpCode {
    OpCode::Data(if binary { Data::Binary } else { Data::Text })
}

fn header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

fn size(opcode: OpCode, payload: &[u8]) -> usize {
    header(opcode).len(payload.len() as u64) + payload.len()
}

fn append(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    if header(opcode).format(payload.len() as u64, out).is_err() {
        unreachable!("a vector takes every write");
    }
    out.extend_from_slice(payload);
}

fn single(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(size(opcode, payload));
    append(opcode, payload, &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_proto::trunk::Part;

    fn part(payload: Vec<u8>, binary: bool) -> Part {
        Part { payload: payload.into(), binary }
    }

    #[test]
    fn all_messages_of_a_frame_are_one_piece() {
        let parts = vec![part(b"hi".to_vec(), false), part(vec![7], true)];
        let encoded = encode(&trunk::Frame { parts, kind: FrameKind::Ephemeral.into() });
        assert_eq!(&encoded.bytes[..], b"\x81\x02hi\x82\x01\x07");
        assert_eq!((encoded.kind, encoded.messages), (Kind::Ephemeral, 2));
    }

    #[test]
    fn lengths_take_the_shortest_of_their_three_forms() {
        let start = |length| single(data(false), &vec![b'x'; length])[..4].to_vec();
        assert_eq!(start(125)[..2], [0x81, 125]);
        assert_eq!(start(126), [0x81, 126, 0, 126]);
        assert_eq!(start(65_535), [0x81, 126, 255, 255]);
        assert_eq!(start(65_536)[..2], [0x81, 127]);
    }

    #[test]
    fn the_text_of_a_close_is_cut_between_characters() {
        let long = close(4001, &"ü".repeat(100));
        assert_eq!(long[..4], [0x88, 124, 0x0f, 0xa1]);
        assert_eq!(std::str::from_utf8(&long[4..]).expect("whole characters").len(), 122);
    }
}
