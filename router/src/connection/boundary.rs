//! Where a client's messages end in its bytes.
//!
//! tungstenite says nothing of what it holds of a client's messages. Following the frames' lengths
//! on the way in tells when that is nothing, so that it can read for another client, or, if a
//! frame was large, its memory be given back. Whether the frames are right is left to tungstenite.

const FIN: u8 = 0x80;
const CONTROL: u8 = 0x08;
const MASK: u8 = 0x80;
/// The longest header (RFC 6455 §5.2).
const HEADER: usize = 14;

/// A position in a client's stream of frames.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    header: [u8; HEADER],
    /// Bytes of the header so far; 0 between frames and inside a payload.
    filled: usize,
    /// Bytes of payload to come.
    payload: u64,
    /// A message has begun whose last fragment has not.
    fragmented: bool,
}

impl Boundary {
    /// Whether the last message and the last frame are complete.
    pub(super) fn is_between_messages(&self) -> bool {
        self.filled == 0 && self.payload == 0 && !self.fragmented
    }

    /// Follows received bytes. Returns the longest payload that was announced in them.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> u64 {
        let mut longest = 0;
        while let Some(first) = bytes.first() {
            if self.payload > 0 {
                let skipped =
                    usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload -= skipped as u64;
                bytes = &bytes[skipped..];
            } else {
                self.header[self.filled] = *first;
                self.filled += 1;
                bytes = &bytes[1..];
                self.finish_header();
                longest = longest.max(self.payload);
            }
        }
        longest
    }

    fn finish_header(&mut self) {
        let header = &self.header[..self.filled];
        let [first, second, rest @ ..] = header else { return };
        let extended = match second & !MASK {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & MASK == 0 { 0 } else { 4 };
        if rest.len() < extended + mask {
            return;
        }
        let length = rest[..extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        self.payload = if extended == 0 { u64::from(second & !MASK) } else { length };
        if first & CONTROL == 0 {
            self.fragmented = first & FIN == 0;
        }
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each prefix of the bytes ends between messages.
    fn boundaries(bytes: &[u8]) -> Vec<usize> {
        let mut boundary = Boundary::default();
        let mut ends = Vec::new();
        for (index, byte) in bytes.iter().enumerate() {
            boundary.follow(&[*byte]);
            if boundary.is_between_messages() {
                ends.push(index + 1);
            }
        }
        let mut whole = Boundary::default();
        whole.follow(bytes);
        assert_eq!(whole.is_between_messages(), boundary.is_between_messages());
        ends
    }

    #[test]
    fn a_message_ends_with_its_payload() {
        assert_eq!(boundaries(b"\x81\x82\0\0\0\0hi\x81\x80\0\0\0\0"), [8, 14]);
    }

    #[test]
    fn fragments_end_with_the_last_whatever_control_frames_come_between() {
        let bytes = b"\x01\x81\0\0\0\0a\x89\x80\0\0\0\0\x80\x81\0\0\0\0b";
        assert_eq!(boundaries(bytes), [bytes.len()]);
    }

    #[test]
    fn long_lengths_are_followed() {
        let mut bytes = b"\x81\xfe\x01\x00\0\0\0\0".to_vec();
        bytes.resize(8 + 256, b'x');
        bytes.extend(b"\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0");
        bytes.resize(bytes.len() + 65_536, b'x');
        assert_eq!(boundaries(&bytes), [264, bytes.len()]);
        assert_eq!(Boundary::default().follow(&bytes), 65_536);
    }

    #[test]
    fn a_length_that_can_not_be_is_only_waited_for() {
        let mut boundary = Boundary::default();
        boundary.follow(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        boundary.follow(&[0; 1000]);
        assert!(!boundary.is_between_messages());
    }
}
