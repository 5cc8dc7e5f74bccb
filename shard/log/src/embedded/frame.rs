//! A record within a segment: what is asked of it most often, its bytes, and a checksum over both.
//!
//! The checksum covers the topic's ID too, which isn't written again: a record that is found in
//! another topic's place is damaged.

use std::sync::Arc;

use bytes::Bytes;
use trunkline_core::Record;

use crate::record::{BadRecord, decode, encode};

/// The length of the encoded record, the checksum, offset, time, size and whether it has a key.
const HEADER: usize = 4 + 4 + 8 + 8 + 8 + 1;

/// A record as it lies in a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) offset: u64,
    pub(super) time_ms: u64,
    /// [`Record::size`].
    pub(super) size: u64,
    /// Whether it has an idempotency key.
    pub(super) keyed: bool,
    encoded: &'a [u8],
}

impl Frame<'_> {
    /// The record itself.
    pub(super) fn record(&self) -> Result<Arc<Record>, BadRecord> {
        decode(Bytes::copy_from_slice(self.encoded))
    }
}

/// Writes a record of a topic.
pub(super) fn write(id: u64, record: &Record) -> Vec<u8> {
    let encoded = encode(record);
    let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(HEADER + encoded.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&record.offset.to_le_bytes());
    frame.extend_from_slice(&record.time_ms.to_le_bytes());
    frame.extend_from_slice(&(record.size() as u64).to_le_bytes());
    frame.push(u8::from(record.key.is_some()));
    frame.extend_from_slice(&encoded);
    let sum = checksum(id, &frame);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
    frame
}

fn checksum(id: u64, frame: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&id.to_le_bytes()), &frame[..4]);
    crc32c::crc32c_append(head, &frame[8..])
}

/// Why there is no record where there should be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadFrame {
    /// Its checksum is wrong; what follows it can be read.
    Checksum,
    /// It is longer than the segment: nothing after it can be read.
    Length,
}

/// The records of a segment, in order.
pub(super) struct Frames<'a> {
    id: u64,
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Those in a segment of the topic with this ID.
    pub(super) fn of(id: u64, segment: &'a [u8]) -> Self {
        Self { id, rest: segment }
    }

    /// How many bytes have not been looked at.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((frame, rest)) = split(self.rest) else {
            self.rest = &[];
            return Some(Err(BadFrame::Length));
        };
        self.rest = rest;
        let number = |at: usize| {
            let bytes = frame.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        if frame[4..8] != checksum(self.id, frame).to_le_bytes() {
            return Some(Err(BadFrame::Checksum));
        }
        let (offset, time_ms, size) = (number(8), number(16), number(24));
        let (keyed, encoded) = (frame[HEADER - 1] != 0, &frame[HEADER..]);
        Some(Ok(Frame { offset, time_ms, size, keyed, encoded }))
    }
}

/// The first frame, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?);
    bytes.split_at_checked(HEADER + usize::try_from(length).ok()?)
}
