//! Binary inside JSON, in the two ways in which clients write it: Socket.IO puts a placeholder,
//! `{"_placeholder":true,"num":N}`, and sends the bytes behind the text; the native protocol
//! writes `{"$base64":"…"}`. Bodies keep placeholders and attachments; here one is turned into
//! the other.
//!
//! Arguments are never parsed and written again: only the places are found and replaced, and
//! everything between them stays as the sender wrote it.

mod census;
mod scan;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use self::scan::{base64_texts, placeholders};
use crate::message::{Arguments, Body};

/// Attachments of one message. Clients of Socket.IO take no more, nor does its server: a
/// packet with more closes the connection (socket.io-parser 4.2.7, `maxAttachments`).
pub(crate) const ATTACHMENTS_MAX: usize = 10;

/// Why a text can't be a message's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not a JSON array.
    #[error("`args` must be a JSON array")]
    NotAnArray,
    /// What stands in `{"$base64":"…"}` is not base64.
    #[error("what stands in {{\"$base64\":\"…\"}} must be base64 (RFC 4648 §4)")]
    NotBase64,
    /// Placeholders that don't fit the attachments.
    #[error("`_placeholder` stands for binary alone; send binary as {{\"$base64\":\"…\"}}")]
    Placeholder,
    /// Too many attachments.
    #[error("at most {ATTACHMENTS_MAX} values of one message may be binary")]
    TooMany,
}

impl Body {
    /// A body of an event's name and its arguments, a JSON array in which `{"$base64":"…"}` is
    /// binary.
    ///
    /// # Errors
    /// [`BodyError`] says what is wrong with `args`.
    pub fn from_json_array(event: &str, args: &str) -> Result<Self, BodyError> {
        let arguments = Arguments::of_array(args).ok_or(BodyError::NotAnArray)?;
        Self::with_base64_taken(event, arguments)
    }

    /// The arguments as a JSON array in which binary is `{"$base64":"…"}`.
    #[must_use]
    pub fn to_json_array(&self) -> String {
        arguments_to_json_array(&self.arguments, &self.attachments)
    }

    /// Takes the binary out of arguments that a client wrote as `{"$base64":"…"}`.
    pub(crate) fn with_base64_taken(event: &str, arguments: Arguments) -> Result<Self, BodyError> {
        let event = event.into();
        let (json, attachments) = take_base64(arguments.json())?;
        let arguments = match json {
            Some(json) => Arguments::new(&json, arguments.count()),
            None => arguments,
        };
        Ok(Self { event, arguments, attachments })
    }
}

/// Arguments as a JSON array in which binary is `{"$base64":"…"}`.
#[must_use]
pub fn arguments_to_json_array(arguments: &Arguments, attachments: &[Bytes]) -> String {
    let mut out = Vec::with_capacity(arguments.json().len() + 2);
    out.push(b'[');
    write_with_base64(&mut out, arguments.json(), attachments);
    out.push(b']');
    String::from_utf8(out).unwrap_or_default()
}

/// Writes arguments for a native client.
pub(crate) fn write_with_base64(out: &mut Vec<u8>, json: &str, attachments: &[Bytes]) {
    if attachments.is_empty() {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    splice(out, json, |out, number| {
        let Some(attachment) = attachments.get(number) else { return };
        out.extend_from_slice(b"{\"$base64\":\"");
        out.extend_from_slice(STANDARD.encode(attachment).as_bytes());
        out.extend_from_slice(b"\"}");
    });
}

/// Writes JSON whose attachments are to follow others: their placeholders are numbered on, and
/// those that are used are added, each once: places that name one attachment share it.
pub(crate) fn write_renumbered(
    out: &mut Vec<u8>,
    json: &str,
    attachments: &[Bytes],
    others: &mut Vec<Bytes>,
) {
    if attachments.is_empty() {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    let mut numbers = vec![None; attachments.len()];
    splice(out, json, |out, number| {
        let Some(attachment) = attachments.get(number) else { return };
        let number = *numbers[number].get_or_insert_with(|| {
            others.push(attachment.clone());
            others.len() - 1
        });
        write_placeholder(out, number);
    });
}

/// Whether each placeholder in these JSON values is one of `count` attachments, and is written
/// so that it is found again. One that isn't would make a receiver's library hang up. No client
/// writes the same one twice: small packets could become large messages that way.
pub(crate) fn placeholders_fit(json: &str, count: usize) -> bool {
    let mut found: Vec<usize> = placeholders(json).map(|(_, number)| number).collect();
    found.sort_unstable();
    let is_each_another = found.windows(2).all(|pair| pair[0] != pair[1]);
    let is_there = found.last().is_none_or(|number| *number < count);
    is_each_another && is_there && census::placeholders(json) == Some(found.len())
}

/// Copies `json` with each placeholder replaced by what `write` makes of its number.
fn splice(out: &mut Vec<u8>, json: &str, mut write: impl FnMut(&mut Vec<u8>, usize)) {
    let mut copied = 0;
    for (place, number) in placeholders(json) {
        out.extend_from_slice(&json.as_bytes()[copied..place.start]);
        write(out, number);
        copied = place.end;
    }
    out.extend_from_slice(&json.as_bytes()[copied..]);
}

/// Replaces `{"$base64":"…"}` by placeholders. `None` in place of the text if there was none.
fn take_base64(json: &str) -> Result<(Option<String>, Vec<Bytes>), BodyError> {
    let mut attachments = Vec::new();
    let mut out = Vec::new();
    let mut copied = 0;
    for (place, text) in base64_texts(json) {
        let bytes = STANDARD.decode(&json[text]).map_err(|_| BodyError::NotBase64)?;
        out.extend_from_slice(&json.as_bytes()[copied..place.start]);
        write_placeholder(&mut out, attachments.len());
        attachments.push(Bytes::from(bytes));
        copied = place.end;
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(BodyError::TooMany);
        }
    }
    if attachments.is_empty() {
        return Ok((None, attachments));
    }
    out.extend_from_slice(&json.as_bytes()[copied..]);
    let json = String::from_utf8(out).map_err(|_| BodyError::NotAnArray)?;
    // Placeholders of the sender's own would be taken for ours.
    if census::placeholders(&json) != Some(attachments.len()) {
        return Err(BodyError::Placeholder);
    }
    Ok((Some(json), attachments))
}

fn write_placeholder(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(b"{\"_placeholder\":true,\"num\":");
    out.extend_from_slice(number.to_string().as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests;
