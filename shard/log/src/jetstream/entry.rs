//! What a message of a topic's subject says (`Entry` of `proto/log.proto`).

use std::sync::Arc;

use bytes::Bytes;
use prost::{DecodeError, Message};
use trunkline_core::{Epoch, Record};
use trunkline_proto::log as stored;

use crate::record;

/// Where a topic stands: each entry says it, so that the newest tells all that there is to know
/// without the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) epoch: Epoch,
    /// The newest record's offset, 0 if there never was one.
    pub(super) last: u64,
    /// When that was taken.
    pub(super) last_time_ms: u64,
    /// Inboxes: all up to this one have been handed to a connection.
    pub(super) handed: u64,
}

impl Standing {
    /// A history that begins.
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, last: 0, last_time_ms: 0, handed: 0 }
    }
}

/// Which append an entry came with: random, and the same when it has to be sent again. So the
/// newest entry tells whether an append was kept whose answer got lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppendId(pub(super) u64);

/// One message of a topic's subject.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The message's place in the stream.
    pub(super) sequence: u64,
    pub(super) append: AppendId,
    pub(super) standing: Standing,
    /// None if the message was there to take the topic over, or to mark what was handed over.
    pub(super) record: Option<Bytes>,
}

impl Entry {
    /// Reads a message.
    pub(super) fn decode(sequence: u64, payload: Bytes) -> Result<Self, DecodeError> {
        let stored::Entry { epoch, append, last, last_time_ms, handed, record, owner: _ } =
            stored::Entry::decode(payload)?;
        let standing = Standing { epoch: Epoch::new(&epoch), last, last_time_ms, handed };
        Ok(Self { sequence, append: AppendId(append), standing, record })
    }
}

/// A message that says where a topic stands, and who has it.
pub(super) fn encode_standing(append: AppendId, standing: &Standing, owner: &str) -> Bytes {
    encode(append, standing, None, owner)
}

/// A message for each record; `before` is where the topic stands without them.
pub(super) fn encode_records(
    append: AppendId,
    before: &Standing,
    records: &[Arc<Record>],
) -> Vec<Bytes> {
    let message = |record: &Arc<Record>| {
        let (last, last_time_ms) = (record.offset, record.time_ms);
        let standing = Standing { last, last_time_ms, ..before.clone() };
        encode(append, &standing, Some(record::encode(record).into()), "")
    };
    records.iter().map(message).collect()
}

fn encode(append: AppendId, standing: &Standing, record: Option<Bytes>, owner: &str) -> Bytes {
    let Standing { epoch, last, last_time_ms, handed } = standing;
    let entry = stored::Entry {
        epoch: epoch.as_str().to_owned(),
        append: append.0,
        last: *last,
        last_time_ms: *last_time_ms,
        handed: *handed,
        record,
        owner: owner.to_owned(),
    };
    entry.encode_to_vec().into()
}
