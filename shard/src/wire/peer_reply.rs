//! An owner's answers.

use trunkline_core::{
    Epoch, Joined, PeerMessage, Refusal, Reply, RequestId, SendStatus, UserPresence,
};
use trunkline_proto::peer as wire;

use super::BadItem;
use super::peer::{decode_handover, encode_handover};
use super::topic::{decode_position, decode_records, encode_position, encode_records, user};

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
        Err(refusal) => Kind::Refused(encode_refusal(refusal).into()),
    };
    wire::Reply { request: request.0, result: Some(result) }
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

fn decode_status(status: i32) -> Result<SendStatus, BadItem> {
    match wire::SendStatus::try_from(status) {
        Ok(wire::SendStatus::Delivered) => Ok(SendStatus::Delivered),
        Ok(wire::SendStatus::Queued) => Ok(SendStatus::Queued),
        Ok(wire::SendStatus::Offline) => Ok(SendStatus::Offline),
        Ok(wire::SendStatus::Unspecified) | Err(_) => Err(BadItem("send status")),
    }
}

fn encode_status(status: SendStatus) -> wire::SendStatus {
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
        Ok(wire::Refusal::Unavailable) => Ok(Refusal::Unavailable),
        Ok(wire::Refusal::Unspecified) | Err(_) => Err(BadItem("refusal")),
    }
}

fn encode_refusal(refusal: Refusal) -> wire::Refusal {
    match refusal {
        Refusal::NotJoined => wire::Refusal::NotJoined,
        Refusal::Superseded => wire::Refusal::Superseded,
        Refusal::Unavailable => wire::Refusal::Unavailable,
    }
}
