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
    pub(super) records: Vec<Bytes>,
}

impl Entry {
    /// Reads a message.
    pub(super) fn decode(sequence: u64, payload: Bytes) -> Result<Self, DecodeError> {
        let stored::Entry { epoch, append, last, last_time_ms, handed, records, owner: _ } =
            stored::Entry::decode(payload)?;
        let standing = Standing { epoch: Epoch::new(&epoch), last, last_time_ms, handed };
        Ok(Self { sequence, append: AppendId(append), standing, records })
    }
}

/// Records that go into one message, in bytes. A server that syncs does so for each message, those
/// of a batch too: sixteen small records take as long together as one.
const TOGETHER: usize = 64 * 1024;

/// A message that says where a topic stands, and who has it.
pub(super) fn encode_standing(append: AppendId, standing: &Standing, owner: &str) -> Bytes {
    encode(append, standing, Vec::new(), owner)
}

/// Messages with these records, and how many each has; `before` is where the topic stands without
/// them.
pub(super) fn encode_records(
    append: AppendId,
    before: &Standing,
    records: &[Arc<Record>],
) -> Vec<(Bytes, usize)> {
    let mut messages = Vec::new();
    let (mut together, mut bytes) = (Vec::new(), 0);
    let mut records = records.iter().peekable();
    while let Some(record) = records.next() {
        let encoded = record::encode(record);
        bytes += encoded.len();
        together.push(Bytes::from(encoded));
        if records.peek().is_some_and(|next| bytes + next.size() <= TOGETHER) {
            continue;
        }
        let (last, last_time_ms) = (record.offset, record.time_ms);
        let standing = Standing { last, last_time_ms, ..before.clone() };
        let count = together.len();
        let payload = encode(append, &standing, std::mem::take(&mut together), "");
        messages.push((payload, count));
        bytes = 0;
    }
    messages
}

fn encode(append: AppendId, standing: &Standing, records: Vec<Bytes>, owner: &str) -> Bytes {
    let Standing { epoch, last, last_time_ms, handed } = standing;
    let entry = stored::Entry {
        epoch: epoch.as_str().to_owned(),
        append: append.0,
        last: *last,
        last_time_ms: *last_time_ms,
        handed: *handed,
        records,
        owner: owner.to_owned(),
    };
    entry.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::{Arguments, Body, SessionId, UserId};

    fn record(offset: u64, bytes: usize) -> Arc<Record> {
        Arc::new(Record {
            offset,
            time_ms: 1000 + offset,
            from: UserId::parse("alice").unwrap(),
            session: SessionId([0; 24]),
            sequence: offset,
            key: None,
            echo: true,
            body: Body {
                event: Arc::from("e"),
                arguments: Arguments::new(&"1".repeat(bytes), 1),
                attachments: Vec::new(),
            },
        })
    }

    /// How many records each message has; what they say is checked.
    fn messages(sizes: &[usize]) -> Vec<usize> {
        let before = Standing { handed: 2, ..Standing::new(Epoch::new("e")) };
        let records: Vec<_> = sizes.iter().zip(1..).map(|(size, it)| record(it, *size)).collect();
        let mut last = 0;
        let mut counts = Vec::new();
        for (payload, count) in encode_records(AppendId(7), &before, &records) {
            let entry = Entry::decode(9, payload).unwrap();
            assert_eq!((entry.append, entry.records.len()), (AppendId(7), count));
            for bytes in entry.records {
                let read = record::decode(bytes).unwrap();
                assert_eq!(read, records[usize::try_from(last).unwrap()]);
                last += 1;
            }
            let standing = Standing { last, last_time_ms: 1000 + last, ..before.clone() };
            assert_eq!(entry.standing, standing, "it stands where its last record is");
            counts.push(count);
        }
        counts
    }

    #[test]
    fn records_share_messages_as_far_as_they_are_small() {
        assert_eq!(messages(&[]), [0; 0]);
        assert_eq!(messages(&[100; 16]), [16]);
        assert_eq!(messages(&[100_000, 10, 10]), [1, 2]);
        assert_eq!(messages(&[30_000, 30_000, 30_000, 30_000, 30_000]), [2, 2, 1]);
        assert_eq!(messages(&[10, 100_000, 100_000]), [1, 1, 1]);
    }
}
