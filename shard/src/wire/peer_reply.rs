//! An owner's answers.

use trunkline_core::{
    Arguments, Attachment, Epoch, Gathered, Joined, PeerMessage, Recalled, Refusal, Reply,
    RequestId, RoomId, SendStatus, UserPresence,
};
use trunkline_proto::peer as wire;

use super::BadItem;
use super::peer::{decode_handover, encode_handover};
use super::topic::{
    decode_position, decode_records, encode_position, encode_records, encode_session, session, user,
};

pub(super) fn decode_reply(reply: wire::Reply) -> Result<PeerMessage, BadItem> {
    use wire::reply::Result as Kind;
    let wire::Reply { request, result } = reply;
    let result = match result.ok_or(BadItem("reply"))? {
        Kind::Joined(joined) => Ok(Reply::Joined(decode_joined(joined)?)),
        Kind::Left(wire::Left {}) => Ok(Reply::Left),
        Kind::Published(position) => Ok(Reply::Published(decode_position(position))),
        Kind::Ephemeral(wire::EphemeralSent {}) => Ok(Reply::Ephemeral),
        Kind::Sent(status) => Ok(Reply::Sent(decode_status(status)?)),
        Kind::History(wire::HistoryPage { epoch, records }) => {
            Ok(Reply::History { epoch: Epoch::new(&epoch), records: decode_records(records)? })
        }
        Kind::Presence(wire::PresencePage { users, sure }) => Ok(Reply::Presence {
            users: users
                .into_iter()
                .map(|it| Ok(UserPresence { user: user(&it.user)?, connections: it.connections }))
                .collect::<Result<_, BadItem>>()?,
            sure,
        }),
        Kind::Gathered(gathered) => Ok(Reply::Gathered(decode_gathered(gathered))),
        Kind::Disconnected(sessions) => Ok(Reply::Disconnected(sessions)),
        Kind::Recalled(recalled) => Ok(Reply::Recalled(decode_recalled(recalled)?)),
        Kind::Refused(refusal) => Err(decode_refusal(refusal)?),
    };
    Ok(PeerMessage::Reply { request: RequestId(request), result })
}

pub(super) fn encode_reply(request: RequestId, result: Result<Reply, Refusal>) -> wire::Reply {
    use wire::reply::Result as Kind;
    let result = match result {
        Ok(Reply::Joined(joined)) => Kind::Joined(encode_joined(&joined)),
        Ok(Reply::Left) => Kind::Left(wire::Left {}),
        Ok(Reply::Published(position)) => Kind::Published(encode_position(&position)),
        Ok(Reply::Ephemeral) => Kind::Ephemeral(wire::EphemeralSent {}),
        Ok(Reply::Sent(status)) => Kind::Sent(encode_status(status).into()),
        Ok(Reply::History { epoch, records }) => Kind::History(wire::HistoryPage {
            epoch: epoch.as_str().to_owned(),
            records: encode_records(&records),
        }),
        Ok(Reply::Presence { users, sure }) => {
            let users = users
                .into_iter()
                .map(|UserPresence { user, connections }| wire::UserPresence {
                    user: user.as_str().to_owned(),
                    connections,
                })
                .collect();
            Kind::Presence(wire::PresencePage { users, sure })
        }
        Ok(Reply::Gathered(gathered)) => Kind::Gathered(encode_gathered(gathered)),
        Ok(Reply::Disconnected(sessions)) => Kind::Disconnected(sessions),
        Ok(Reply::Recalled(recalled)) => Kind::Recalled(encode_recalled(&recalled)),
        Err(refusal) => Kind::Refused(encode_refusal(refusal).into()),
    };
    wire::Reply { request: request.0, result: Some(result) }
}

pub(super) fn decode_gathered(gathered: wire::Gathered) -> Gathered {
    let wire::Gathered { responses, asked } = gathered;
    let response = |response: wire::Arguments| {
        let wire::Arguments { json, count, attachments } = response;
        (Arguments::new(&json, count), attachments)
    };
    Gathered { responses: responses.into_iter().map(response).collect(), asked }
}

pub(super) fn encode_gathered(gathered: Gathered) -> wire::Gathered {
    let Gathered { responses, asked } = gathered;
    let response = |(arguments, attachments): (Arguments, _)| wire::Arguments {
        json: arguments.json().to_owned(),
        count: arguments.count(),
        attachments,
    };
    wire::Gathered { responses: responses.into_iter().map(response).collect(), asked }
}

fn decode_recalled(recalled: wire::Recalled) -> Result<Recalled, BadItem> {
    let wire::Recalled {
        session: id,
        private_id,
        user: name,
        attachment,
        sequence,
        rooms,
        inbox_after,
    } = recalled;
    let bad = BadItem("reply to a recall");
    let room = |room: wire::RecalledRoom| {
        let wire::RecalledRoom { room, after } = room;
        let room = RoomId::parse(&room).map_err(|_| bad)?;
        Ok((room, decode_position(after.ok_or(bad)?)))
    };
    Ok(Recalled {
        session: session(&id)?,
        private_id: session(&private_id)?,
        user: user(&name)?,
        attachment: Attachment(attachment),
        sequence,
        rooms: rooms.into_iter().map(room).collect::<Result<_, _>>()?,
        inbox_after: inbox_after.map(decode_position),
    })
}

fn encode_recalled(recalled: &Recalled) -> wire::Recalled {
    let Recalled { session, private_id, user, attachment, sequence, rooms, inbox_after } = recalled;
    let room = |(room, after): &(RoomId, _)| wire::RecalledRoom {
        room: room.as_str().to_owned(),
        after: Some(encode_position(after)),
    };
    wire::Recalled {
        session: encode_session(session),
        private_id: encode_session(private_id),
        user: user.as_str().to_owned(),
        attachment: attachment.0,
        sequence: *sequence,
        rooms: rooms.iter().map(room).collect(),
        inbox_after: inbox_after.as_ref().map(encode_position),
    }
}

fn decode_joined(joined: wire::Joined) -> Result<Joined, BadItem> {
    let wire::Joined { position, members, recovered, gap, missed, handover } = joined;
    let bad = BadItem("reply to a join");
    Ok(Joined {
        position: decode_position(position.ok_or(bad)?),
        members: usize::try_from(members).map_err(|_| bad)?,
        recovered,
        gap,
        missed: decode_records(missed)?,
        handover: decode_handover(handover),
    })
}

fn encode_joined(joined: &Joined) -> wire::Joined {
    let Joined { position, members, recovered, gap, missed, handover } = joined;
    wire::Joined {
        position: Some(encode_position(position)),
        members: *members as u64,
        recovered: *recovered,
        gap: *gap,
        missed: encode_records(missed),
        handover: encode_handover(*handover),
    }
}

pub(super) fn decode_status(status: i32) -> Result<SendStatus, BadItem> {
    match wire::SendStatus::try_from(status) {
        Ok(wire::SendStatus::Delivered) => Ok(SendStatus::Delivered),
        Ok(wire::SendStatus::Queued) => Ok(SendStatus::Queued),
        Ok(wire::SendStatus::Offline) => Ok(SendStatus::Offline),
        Ok(wire::SendStatus::Unspecified) | Err(_) => Err(BadItem("send status")),
    }
}

pub(super) fn encode_status(status: SendStatus) -> wire::SendStatus {
    match status {
        SendStatus::Delivered => wire::SendStatus::Delivered,
        SendStatus::Queued => wire::SendStatus::Queued,
        SendStatus::Offline => wire::SendStatus::Offline,
    }
}

fn decode_refusal(refusal: i32) -> Result<Refusal, BadItem> {
    match wire::Refusal::try_from(refusal) {
        Ok(wire::Refusal::NotJoined) => Ok(Refusal::NotJoined),
        Ok(wire::Refusal::Superseded) => Ok(Refusal::Superseded),
        Ok(wire::Refusal::Unknown) => Ok(Refusal::Unknown),
        Ok(wire::Refusal::Unavailable) => Ok(Refusal::Unavailable),
        Ok(wire::Refusal::Moved) => Ok(Refusal::Moved),
        Ok(wire::Refusal::Unspecified) | Err(_) => Err(BadItem("refusal")),
    }
}

fn encode_refusal(refusal: Refusal) -> wire::Refusal {
    match refusal {
        Refusal::NotJoined => wire::Refusal::NotJoined,
        Refusal::Superseded => wire::Refusal::Superseded,
        Refusal::Unknown => wire::Refusal::Unknown,
        Refusal::Unavailable => wire::Refusal::Unavailable,
        Refusal::Moved => wire::Refusal::Moved,
    }
}
