//! Topics that go from one owner to the next.

use std::sync::Arc;
use std::time::Duration;

use trunkline_config::{Directory, MapId, ViewId};
use trunkline_core::{
    Answered, Attachment, FirstAnswer, KnownBy, News, Publication, SessionId, ShardIndex, Standing,
    Topic, TransferPart,
};
use trunkline_proto::peer as wire;

use super::BadItem;
use super::peer_reply::{decode_status, encode_status};
use super::topic::{
    decode_member, decode_position, decode_records, decode_topic, encode_member, encode_position,
    encode_records, encode_session, encode_topic, session, user,
};
use crate::hello::encode_map;

/// Reads a part. Members of homes that nobody here has heard of are left out: when they are heard
/// of they claim their members.
pub(super) fn decode_part(
    transfer: wire::Transfer,
    shards: &Directory,
) -> Result<TransferPart, BadItem> {
    let wire::Transfer {
        topic: _,
        standing,
        members,
        left,
        news,
        records,
        publications,
        last,
        doubt_ms,
        answers,
        deed,
    } = transfer;
    let member = |member: wire::TransferMember| {
        let wire::TransferMember { member, home } = member;
        let home = ShardIndex(shards.number_of(&home)?);
        Some(decode_member(member).map(|member| (member, home)))
    };
    let said = |news: wire::TransferNews| {
        let wire::TransferNews { home, user: name, came } = news;
        let home = ShardIndex(shards.number_of(&home)?);
        Some(user(&name).map(|user| News { home, user, came }))
    };
    Ok(TransferPart {
        standing: standing.map(decode_standing).transpose()?,
        members: members.into_iter().filter_map(member).collect::<Result<_, _>>()?,
        left: left.into_iter().map(decode_left).collect::<Result<_, _>>()?,
        news: news.into_iter().filter_map(said).collect::<Result<_, _>>()?,
        records: decode_records(records)?,
        publications: publications.into_iter().map(decode_publication).collect::<Result<_, _>>()?,
        answers: answers.into_iter().map(decode_answered).collect::<Result<_, _>>()?,
        deed,
        last,
        doubt: Duration::from_millis(doubt_ms),
    })
}

/// Writes a part; the topic stands beside it.
pub(super) fn encode_part(
    topic: Option<wire::Topic>,
    part: &TransferPart,
    shards: &Directory,
) -> wire::Transfer {
    let TransferPart {
        standing,
        members,
        left,
        news,
        records,
        publications,
        answers,
        deed,
        last,
        doubt,
    } = part;
    let members = members.iter().map(|(member, ShardIndex(home))| wire::TransferMember {
        member: Some(encode_member(member)),
        home: shards.id(*home).unwrap_or_default().to_owned(),
    });
    let news = news.iter().map(|News { home, user, came }| wire::TransferNews {
        home: shards.id(home.0).unwrap_or_default().to_owned(),
        user: user.to_string(),
        came: *came,
    });
    wire::Transfer {
        topic,
        standing: standing.as_ref().map(encode_standing),
        members: members.collect(),
        left: left.iter().map(encode_left).collect(),
        news: news.collect(),
        records: encode_records(records),
        publications: publications.iter().map(encode_publication).collect(),
        last: *last,
        doubt_ms: u64::try_from(doubt.as_millis()).unwrap_or(u64::MAX),
        answers: answers.iter().map(encode_answered).collect(),
        deed: deed.clone(),
    }
}

pub(crate) fn decode_view(settled: wire::Settled) -> Result<ViewId, BadItem> {
    let wire::Settled { map, statuses } = settled;
    let map = map.ok_or(BadItem("settled"))?;
    Ok(ViewId { map: MapId { version: map.version, digest: map.digest }, statuses })
}

pub(crate) fn encode_view(view: ViewId) -> wire::Settled {
    wire::Settled { map: Some(encode_map(view.map)), statuses: view.statuses }
}

fn decode_left(left: wire::TransferLeft) -> Result<(SessionId, Attachment), BadItem> {
    let wire::TransferLeft { session: id, attachment } = left;
    Ok((session(&id)?, Attachment(attachment)))
}

fn encode_left((session, attachment): &(SessionId, Attachment)) -> wire::TransferLeft {
    wire::TransferLeft { session: encode_session(session), attachment: attachment.0 }
}

pub(super) fn decode_wanted(wanted: wire::Wanted) -> Result<(Topic, ViewId), BadItem> {
    let wire::Wanted { topic, view } = wanted;
    Ok((decode_topic(topic)?, decode_view(view.ok_or(BadItem("wanted"))?)?))
}

pub(super) fn encode_wanted(topic: &Topic, view: ViewId) -> wire::Wanted {
    wire::Wanted { topic: encode_topic(topic), view: Some(encode_view(view)) }
}

fn decode_standing(standing: wire::Standing) -> Result<Standing, BadItem> {
    let wire::Standing { position, first, last_time_ms, handed } = standing;
    let position = decode_position(position.ok_or(BadItem("standing"))?);
    Ok(Standing { position, first, last_time_ms, handed })
}

fn encode_standing(standing: &Standing) -> wire::Standing {
    let Standing { position, first, last_time_ms, handed } = standing;
    wire::Standing {
        position: Some(encode_position(position)),
        first: *first,
        last_time_ms: *last_time_ms,
        handed: *handed,
    }
}

fn decode_publication(publication: wire::Publication) -> Result<Publication, BadItem> {
    let wire::Publication { offset, time_ms, from, session: id, sequence, key } = publication;
    let (from, session, key) = (user(&from)?, session(&id)?, key.map(Arc::from));
    Ok(Publication { offset, time_ms, from, session, sequence, key })
}

fn encode_publication(publication: &Publication) -> wire::Publication {
    let Publication { offset, time_ms, from, session, sequence, key } = publication;
    wire::Publication {
        offset: *offset,
        time_ms: *time_ms,
        from: from.as_str().to_owned(),
        session: encode_session(session),
        sequence: *sequence,
        key: key.as_deref().map(str::to_owned),
    }
}

fn decode_answered(answered: wire::Answered) -> Result<Answered, BadItem> {
    let wire::Answered { session: id, sequence, user: name, key, ephemeral, answer } = answered;
    let by = match key {
        None => KnownBy::Sequence { session: session(&id)?, sequence },
        Some(key) => KnownBy::Key { user: user(&name)?, key: key.into(), ephemeral },
    };
    let answer = match answer.ok_or(BadItem("answered"))? {
        wire::answered::Answer::Published(position) => {
            FirstAnswer::Published(decode_position(position))
        }
        wire::answered::Answer::SentOn(wire::EphemeralSent {}) => FirstAnswer::Ephemeral,
        wire::answered::Answer::Sent(status) => FirstAnswer::Sent(decode_status(status)?),
    };
    Ok(Answered { by, answer })
}

fn encode_answered(Answered { by, answer }: &Answered) -> wire::Answered {
    let answer = match answer {
        FirstAnswer::Published(position) => {
            wire::answered::Answer::Published(encode_position(position))
        }
        FirstAnswer::Ephemeral => wire::answered::Answer::SentOn(wire::EphemeralSent {}),
        FirstAnswer::Sent(status) => wire::answered::Answer::Sent(encode_status(*status).into()),
    };
    let mut answered = wire::Answered { answer: Some(answer), ..wire::Answered::default() };
    match by {
        KnownBy::Sequence { session, sequence } => {
            answered.session = encode_session(session);
            answered.sequence = *sequence;
        }
        KnownBy::Key { user, key, ephemeral } => {
            answered.user = user.as_str().to_owned();
            answered.key = Some(key.to_string());
            answered.ephemeral = *ephemeral;
        }
    }
    answered
}
