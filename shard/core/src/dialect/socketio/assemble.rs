//! Joins a text and the attachments that it announces, which follow it as binary messages.

use bytes::Bytes;

use super::decode::{Header, Packet, ParseError};
use crate::binary::placeholders_fit;

/// A connection's packet that is not complete.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    whole: Whole,
    /// How many attachments it is to have.
    announced: usize,
    /// What all its messages take.
    bytes: usize,
}

/// A packet with all its attachments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) packet: Packet,
    /// Of its text, and which parts of the answer were given: it is what stands for the packet.
    pub(crate) sequence: u64,
    pub(crate) answered: u64,
}

impl Assembly {
    /// Takes a text. Gives the packet if it is complete.
    ///
    /// # Errors
    /// [`ParseError`] ends the connection.
    pub(crate) fn take_text(
        &mut self,
        payload: &[u8],
        sequence: u64,
        answered: u64,
    ) -> Result<Option<Whole>, ParseError> {
        if self.partial.is_some() {
            return Err(ParseError::TextForBinary);
        }
        // Routers have checked that a text is UTF-8.
        let text = std::str::from_utf8(payload).map_err(|_| ParseError::Payload)?;
        let header = Header::parse(text)?;
        let (attachments, data) = (header.attachments, header.data);
        if attachments > 0 && !placeholders_fit(data, attachments) {
            return Err(ParseError::Attachments);
        }
        let whole = Whole { packet: header.packet(), sequence, answered };
        if attachments == 0 {
            return Ok(Some(whole));
        }
        let (announced, bytes) = (attachments, payload.len());
        self.partial = Some(Box::new(Partial { whole, announced, bytes }));
        Ok(None)
    }

    /// Takes an attachment. Gives the packet that it completes.
    ///
    /// # Errors
    /// [`ParseError`] ends the connection. The messages of a packet may take at most `bytes_max` in
    /// all: its router reads on until it is complete, and keeps so many.
    pub(crate) fn take_binary(
        &mut self,
        payload: Bytes,
        bytes_max: usize,
    ) -> Result<Option<Whole>, ParseError> {
        let Some(partial) = &mut self.partial else { return Err(ParseError::BinaryForText) };
        partial.bytes += payload.len();
        if partial.bytes > bytes_max {
            return Err(ParseError::TooLarge);
        }
        let attachments = &mut partial.whole.packet.attachments;
        attachments.push(payload);
        if attachments.len() < partial.announced {
            return Ok(None);
        }
        Ok(self.partial.take().map(|partial| partial.whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] = br#"52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;

    fn text(bytes: &'static [u8]) -> (Bytes, bool) {
        (Bytes::from_static(bytes), false)
    }

    fn binary(bytes: &'static [u8]) -> (Bytes, bool) {
        (Bytes::from_static(bytes), true)
    }

    fn take(messages: &[(Bytes, bool)]) -> Result<Option<Whole>, ParseError> {
        let mut assembly = Assembly::default();
        let mut last = Ok(None);
        for (sequence, (payload, is_binary)) in (1..).zip(messages) {
            last = match is_binary {
                true => assembly.take_binary(payload.clone(), 100),
                false => assembly.take_text(payload, sequence, 0),
            };
        }
        last
    }

    #[test]
    fn a_packet_is_complete_with_its_last_attachment() {
        assert_eq!(take(&[text(EVENT), binary(b"x")]), Ok(None));
        let whole = take(&[text(EVENT), binary(b"x"), binary(b"y")]).unwrap().unwrap();
        assert_eq!(whole.packet.attachments, ["x", "y"]);
        assert_eq!(whole.sequence, 1, "its text stands for it");
    }

    #[test]
    fn what_comes_out_of_turn_is_refused() {
        assert_eq!(take(&[binary(b"x")]), Err(ParseError::BinaryForText));
        assert_eq!(take(&[text(EVENT), text(b"2[\"a\"]")]), Err(ParseError::TextForBinary));
    }

    #[test]
    fn a_packet_has_a_bound_with_all_its_attachments() {
        let large = Bytes::from(vec![0; 90]);
        assert_eq!(take(&[text(EVENT), (large, true)]), Err(ParseError::TooLarge));
    }

    #[test]
    fn placeholders_that_name_no_attachment_are_refused() {
        let event = br#"51-["a",{"_placeholder":true,"num":1}]"#;
        assert_eq!(take(&[text(event)]), Err(ParseError::Attachments));
    }
}
