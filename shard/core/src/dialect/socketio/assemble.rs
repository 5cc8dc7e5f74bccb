//! Joins a text and the attachments that it announces, which follow it as binary messages.

use bytes::Bytes;

use super::decode::{Header, Packet, ParseError};
use crate::binary::placeholders_fit;

/// A connection's packet that is not complete.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    partial: Option<Box<(Packet, usize)>>,
}

impl Assembly {
    /// Takes a message. Gives the packet that it completes.
    ///
    /// # Errors
    /// [`ParseError`] ends the connection. A packet may have at most `bytes_max` in all.
    pub(crate) fn take(
        &mut self,
        payload: Bytes,
        binary: bool,
        bytes_max: usize,
    ) -> Result<Option<Packet>, ParseError> {
        if binary { self.take_binary(payload, bytes_max) } else { self.take_text(&payload) }
    }

    fn take_text(&mut self, payload: &[u8]) -> Result<Option<Packet>, ParseError> {
        if self.partial.is_some() {
            return Err(ParseError::TextForBinary);
        }
        // Routers have checked that a text is UTF-8.
        let text = std::str::from_utf8(payload).map_err(|_| ParseError::Payload)?;
        let Header { kind, attachments, namespace, id, data } = Header::parse(text)?;
        let packet = Packet {
            kind,
            namespace: namespace.to_owned(),
            id,
            data: data.to_owned(),
            attachments: Vec::new(),
        };
        if attachments == 0 {
            return Ok(Some(packet));
        }
        if !placeholders_fit(data, attachments) {
            return Err(ParseError::Attachments);
        }
        self.partial = Some(Box::new((packet, attachments)));
        Ok(None)
    }

    fn take_binary(
        &mut self,
        payload: Bytes,
        bytes_max: usize,
    ) -> Result<Option<Packet>, ParseError> {
        let Some(partial) = &mut self.partial else { return Err(ParseError::BinaryForText) };
        let (packet, announced) = partial.as_mut();
        let size: usize = packet.attachments.iter().map(Bytes::len).sum();
        if packet.data.len() + size + payload.len() > bytes_max {
            return Err(ParseError::TooLarge);
        }
        packet.attachments.push(payload);
        if packet.attachments.len() < *announced {
            return Ok(None);
        }
        Ok(self.partial.take().map(|partial| partial.0))
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

    fn take(messages: &[(Bytes, bool)]) -> Result<Option<Packet>, ParseError> {
        let mut assembly = Assembly::default();
        let mut last = Ok(None);
        for (payload, is_binary) in messages {
            last = assembly.take(payload.clone(), *is_binary, 100);
        }
        last
    }

    #[test]
    fn a_packet_is_complete_with_its_last_attachment() {
        assert_eq!(take(&[text(EVENT), binary(b"x")]), Ok(None));
        let packet = take(&[text(EVENT), binary(b"x"), binary(b"y")]).unwrap().unwrap();
        assert_eq!(packet.attachments, ["x", "y"]);
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
