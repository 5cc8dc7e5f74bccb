//! A record as a durable store writes it (`proto/log.proto`), and back.

use std::sync::Arc;

use bytes::Bytes;
use prost::{DecodeError, Message};
use trunkline_core::{Arguments, Body, Record, SessionId, UserId};
use trunkline_proto::log as stored;

/// Bytes that are no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    /// They are not what `log.proto` says.
    #[error("it can't be decoded: {0}")]
    Encoding(#[from] DecodeError),
    /// A field has what no record has.
    #[error("its {0} is none")]
    Field(&'static str),
}

/// Writes a record.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let Record { offset, time_ms, from, session, sequence, key, echo, body } = record;
    let Body { event, arguments, attachments } = body;
    let stored = stored::Record {
        offset: *offset,
        time_ms: *time_ms,
        from: from.as_str().to_owned(),
        session: Bytes::copy_from_slice(&session.0),
        sequence: *sequence,
        key: key.as_deref().map(str::to_owned),
        echo: *echo,
        event: event.to_string(),
        arguments: arguments.json().to_owned(),
        count: arguments.count(),
        attachments: attachments.clone(),
    };
    stored.encode_to_vec()
}

/// Reads a record.
pub(crate) fn decode(bytes: Bytes) -> Result<Arc<Record>, BadRecord> {
    let stored = stored::Record::decode(bytes)?;
    let session = stored.session.as_ref().try_into().map_err(|_| BadRecord::Field("session"))?;
    Ok(Arc::new(Record {
        offset: stored.offset,
        time_ms: stored.time_ms,
        from: UserId::parse(&stored.from).map_err(|_| BadRecord::Field("sender"))?,
        session: SessionId(session),
        sequence: stored.sequence,
        key: stored.key.map(Arc::from),
        echo: stored.echo,
        body: Body {
            event: Arc::from(stored.event),
            arguments: Arguments::new(&stored.arguments, stored.count),
            attachments: stored.attachments,
        },
    }))
}
