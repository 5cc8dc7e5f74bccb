//! Where a topic stands, as the file has it.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use trunkline_core::{Epoch, Publication, SessionId, UserId};
use trunkline_proto::log as stored;

use super::tables::{Place, place_bytes, seal, unseal};

/// What is known of a topic without reading its segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// What its segments and keys are found by; no other topic ever has it.
    pub(super) id: u64,
    pub(super) epoch: Epoch,
    /// The oldest record's offset; one more than `last` if there is none.
    pub(super) first: u64,
    pub(super) last: u64,
    /// When the oldest record was taken; that of the newest ever if there is none.
    pub(super) first_time_ms: u64,
    pub(super) last_time_ms: u64,
    pub(super) handed: u64,
    /// What the records from `first` on take, by [`Record::size`](trunkline_core::Record::size).
    pub(super) bytes: u64,
    /// How many publications are kept whose record has gone.
    pub(super) keys: u64,
    /// When somebody last wrote to it or asked for it, roughly.
    pub(super) used_ms: u64,
    /// The offset of the first record in `tail`; 0 if there is none.
    pub(super) segment: u64,
    /// The newest records, as in a segment (`frame.rs`). Those of several topics share a page, so
    /// that an append writes less than a page; they move when they fill a segment.
    pub(super) tail: Vec<u8>,
}

impl State {
    /// A topic that has no record, and whose next will be the one after `last`.
    pub(super) fn new(id: u64, epoch: Epoch, last: u64, used_ms: u64) -> Self {
        Self {
            id,
            epoch,
            first: last + 1,
            last,
            first_time_ms: 0,
            last_time_ms: 0,
            handed: 0,
            bytes: 0,
            keys: 0,
            used_ms,
            segment: 0,
            tail: Vec::new(),
        }
    }

    /// How many records there are.
    pub(super) fn count(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// As it is written under the topic's name.
    pub(super) fn encode(&self, name: &[u8]) -> Vec<u8> {
        let Self { id, epoch, first, last, first_time_ms, last_time_ms, .. } = self;
        let Self { handed, bytes, keys, used_ms, segment, .. } = *self;
        let stored = stored::Topic {
            id: *id,
            epoch: epoch.as_str().to_owned(),
            first: *first,
            last: *last,
            first_time_ms: *first_time_ms,
            last_time_ms: *last_time_ms,
            handed,
            bytes,
            keys,
            used_ms,
            segment,
        };
        // The records behind it have checksums of their own: one that is damaged isn't all.
        let mut sealed = seal(name, &stored.encode_to_vec());
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        sealed.splice(..0, length.to_le_bytes());
        sealed.extend_from_slice(&self.tail);
        sealed
    }

    /// Reads it; `None` if it is damaged.
    pub(super) fn decode(name: &[u8], written: &[u8]) -> Option<Self> {
        let (length, rest) = written.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (sealed, tail) = rest.split_at_checked(length)?;
        let stored = stored::Topic::decode(unseal(name, sealed)?).ok()?;
        let stored::Topic { id, epoch, first, last, first_time_ms, last_time_ms, .. } = stored;
        let stored::Topic { handed, bytes, keys, used_ms, segment, .. } = stored;
        let epoch = Epoch::new(&epoch);
        let in_order = first >= 1 && first <= last.checked_add(1)?;
        in_order.then_some(Self {
            id,
            epoch,
            first,
            last,
            first_time_ms,
            last_time_ms,
            handed,
            bytes,
            keys,
            used_ms,
            segment,
            tail: tail.to_vec(),
        })
    }
}

/// A publication as it is written at its place.
pub(super) fn encode_publication(place: Place, publication: &Publication) -> Vec<u8> {
    let Publication { offset, time_ms, from, session, sequence, key } = publication;
    let stored = stored::Publication {
        offset: *offset,
        time_ms: *time_ms,
        from: from.as_str().to_owned(),
        session: Bytes::copy_from_slice(&session.0),
        sequence: *sequence,
        key: key.as_deref().map(str::to_owned),
    };
    seal(&place_bytes(place), &stored.encode_to_vec())
}

/// Reads a publication; `None` if it is damaged.
pub(super) fn decode_publication(place: Place, sealed: &[u8]) -> Option<Publication> {
    let stored = stored::Publication::decode(unseal(&place_bytes(place), sealed)?).ok()?;
    Some(Publication {
        offset: stored.offset,
        time_ms: stored.time_ms,
        from: UserId::parse(&stored.from).ok()?,
        session: SessionId(stored.session.as_ref().try_into().ok()?),
        sequence: stored.sequence,
        key: stored.key.map(Arc::from),
    })
}
