//! Topics, members, bodies and records: what most messages are made of.

use std::sync::Arc;

use trunkline_core::{
    Arguments, Attachment, Body, Epoch, Member, Namespace, Position, Record, RoomId, SessionId,
    Topic, UserId,
};
use trunkline_proto::{peer as wire, trunk};

use super::BadItem;

pub(super) fn user(text: &str) -> Result<UserId, BadItem> {
    UserId::parse(text).map_err(|_| BadItem("user"))
}

pub(crate) fn session(bytes: &[u8]) -> Result<SessionId, BadItem> {
    bytes.try_into().map(SessionId).map_err(|_| BadItem("session"))
}

pub(super) fn decode_topic(topic: Option<wire::Topic>) -> Result<Topic, BadItem> {
    use wire::topic::Topic as Kind;
    let bad = BadItem("topic");
    match topic.and_then(|topic| topic.topic).ok_or(bad)? {
        Kind::Room(wire::Room { namespace, room }) => {
            let namespace = Namespace::parse(&namespace).map_err(|_| bad)?;
            Ok(Topic::Room(namespace, RoomId::parse(&room).map_err(|_| bad)?))
        }
        Kind::Inbox(name) => Ok(Topic::Inbox(user(&name)?)),
    }
}

pub(super) fn encode_topic(topic: &Topic) -> Option<wire::Topic> {
    use wire::topic::Topic as Kind;
    let topic = match topic {
        Topic::Room(namespace, room) => Kind::Room(wire::Room {
            namespace: namespace.as_str().to_owned(),
            room: room.as_str().to_owned(),
        }),
        Topic::Inbox(user) => Kind::Inbox(user.as_str().to_owned()),
    };
    Some(wire::Topic { topic: Some(topic) })
}

pub(super) fn decode_position(position: trunk::Position) -> Position {
    let trunk::Position { epoch, offset } = position;
    Position { epoch: Epoch::new(&epoch), offset }
}

pub(super) fn encode_position(position: &Position) -> trunk::Position {
    trunk::Position { epoch: position.epoch.as_str().to_owned(), offset: position.offset }
}

pub(super) fn decode_member(member: Option<wire::Member>) -> Result<Member, BadItem> {
    let wire::Member { session: id, user: name, attachment } = member.ok_or(BadItem("member"))?;
    let attachment = Attachment(attachment);
    Ok(Member { session: session(&id)?, user: user(&name)?, attachment })
}

pub(super) fn encode_member(member: &Member) -> wire::Member {
    let Member { session, user, attachment: Attachment(attachment) } = member;
    let (session, user) = (encode_session(session), user.as_str().to_owned());
    wire::Member { session, user, attachment: *attachment }
}

pub(crate) fn encode_session(session: &SessionId) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&session.0)
}

pub(super) fn decode_body(body: Option<wire::Body>) -> Result<Body, BadItem> {
    let wire::Body { event, arguments, count, attachments } = body.ok_or(BadItem("body"))?;
    let arguments = Arguments::new(&arguments, count);
    Ok(Body { event: Arc::from(event), arguments, attachments })
}

pub(super) fn encode_body(body: &Body) -> Option<wire::Body> {
    Some(wire::Body {
        event: body.event.to_string(),
        arguments: body.arguments.json().to_owned(),
        count: body.arguments.count(),
        attachments: body.attachments.clone(),
    })
}

pub(super) fn decode_record(record: wire::Record) -> Result<Arc<Record>, BadItem> {
    let wire::Record { offset, time_ms, from, session: id, sequence, key, echo, body } = record;
    Ok(Arc::new(Record {
        offset,
        time_ms,
        from: user(&from)?,
        session: session(&id)?,
        sequence,
        key: key.map(Arc::from),
        echo,
        body: decode_body(body)?,
    }))
}

pub(super) fn encode_record(record: &Record) -> wire::Record {
    let Record { offset, time_ms, from, session, sequence, key, echo, body } = record;
    wire::Record {
        offset: *offset,
        time_ms: *time_ms,
        from: from.as_str().to_owned(),
        session: encode_session(session),
        sequence: *sequence,
        key: key.as_deref().map(str::to_owned),
        echo: *echo,
        body: encode_body(body),
    }
}

pub(super) fn decode_records(records: Vec<wire::Record>) -> Result<Vec<Arc<Record>>, BadItem> {
    records.into_iter().map(decode_record).collect()
}

pub(super) fn encode_records(records: &[Arc<Record>]) -> Vec<wire::Record> {
    records.iter().map(|record| encode_record(record)).collect()
}
