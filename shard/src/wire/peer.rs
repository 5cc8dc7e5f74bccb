//! Messages of links.

use std::sync::Arc;
use std::time::Duration;

use trunkline_config::Directory;
use trunkline_core::{
    Action, Attachment, Delivery, Epoch, GatherId, HandoverId, Namespace, PeerMessage, RequestId,
    SessionId, Topic,
};
use trunkline_proto::peer as wire;

use super::BadItem;
use super::peer_reply::{decode_gathered, decode_reply, encode_gathered, encode_reply};
use super::topic::{
    decode_body, decode_member, decode_position, decode_record, decode_records, decode_topic,
    encode_body, encode_member, encode_position, encode_record, encode_records, encode_session,
    encode_topic, session, user,
};
use super::transfer::{
    decode_part, decode_view, decode_wanted, encode_part, encode_view, encode_wanted,
};

/// Reads a link's item; hellos and what is said of shards are read elsewhere.
pub(crate) fn decode_peer(
    item: wire::PeerItem,
    shards: &Directory,
) -> Result<PeerMessage, BadItem> {
    use wire::peer_item::Item;
    Ok(match item.item.ok_or(BadItem("link item"))? {
        Item::Hello(_) => return Err(BadItem("second hello")),
        Item::Status(_) => return Err(BadItem("status")),
        Item::Engine(_) => return Err(BadItem("session that polls")),
        Item::Request(request) => decode_request(request)?,
        Item::Whisper(wire::Whisper { request, member, sequence, to, body, key, ephemeral }) => {
            PeerMessage::Whisper {
                request: RequestId(request),
                member: decode_member(member)?,
                sequence,
                to: session(&to)?,
                body: decode_body(body)?,
                key: key.map(Arc::from),
                ephemeral,
            }
        }
        Item::Claim(wire::Claim { topic, after, members }) => PeerMessage::Claim {
            topic: decode_topic(topic)?,
            after: decode_position(after.ok_or(BadItem("claim"))?),
            members: members
                .into_iter()
                .map(|member| decode_member(Some(member)))
                .collect::<Result<_, _>>()?,
        },
        Item::Forget(membership) => {
            let (topic, session, attachment) = decode_membership(membership)?;
            PeerMessage::Forget { topic, session, attachment }
        }
        Item::Suspend(membership) => {
            let (topic, session, attachment) = decode_membership(membership)?;
            PeerMessage::Suspend { topic, session, attachment }
        }
        Item::Handed(wire::Handed { topic, handover, passed }) => PeerMessage::Handed {
            topic: decode_topic(topic)?,
            handover: HandoverId(handover),
            passed,
        },
        Item::Answers(wire::Answers { topic, gather, gathered }) => PeerMessage::Answers {
            topic: decode_topic(topic)?,
            gather: GatherId(gather),
            gathered: decode_gathered(gathered.ok_or(BadItem("answers"))?),
        },
        Item::Recall(wire::Recall { request, private_id, namespace, offset }) => {
            PeerMessage::Recall {
                request: RequestId(request),
                private_id: session(&private_id)?,
                namespace: Namespace::parse(&namespace).map_err(|_| BadItem("namespace"))?,
                offset: offset.map(Arc::from),
            }
        }
        Item::Moved(wire::Moved { session: id, attachment, private_id }) => {
            let (private_id, attachment) = (session(&private_id)?, attachment.map(Attachment));
            PeerMessage::Moved { session: session(&id)?, private_id, attachment }
        }
        Item::Reply(reply) => decode_reply(reply)?,
        Item::Deliver(deliver) => decode_deliver(deliver)?,
        Item::Claimed(wire::Claimed { topic, epoch, gap, missed, last, handover }) => {
            PeerMessage::Claimed {
                topic: decode_topic(topic)?,
                epoch: Epoch::new(&epoch),
                gap,
                missed: decode_records(missed)?,
                last,
                handover: decode_handover(handover),
            }
        }
        Item::Parted(topic) => PeerMessage::Parted { topic: decode_topic(Some(topic))? },
        Item::Transfer(mut transfer) => {
            let topic = decode_topic(transfer.topic.take())?;
            PeerMessage::Transfer { topic, part: Box::new(decode_part(transfer, shards)?) }
        }
        Item::Transferred(topic) => PeerMessage::Transferred { topic: decode_topic(Some(topic))? },
        Item::NotTaken(topic) => PeerMessage::NotTaken { topic: decode_topic(Some(topic))? },
        Item::Want(wanted) => {
            let (topic, view) = decode_wanted(wanted)?;
            PeerMessage::Want { topic, view }
        }
        Item::Lacks(wanted) => {
            let (topic, view) = decode_wanted(wanted)?;
            PeerMessage::Lacks { topic, view }
        }
        Item::Settled(settled) => PeerMessage::Settled { view: decode_view(settled)? },
        Item::Doubt(wire::Doubt { lasts_ms }) => {
            PeerMessage::Doubt { lasts: Duration::from_millis(lasts_ms) }
        }
    })
}

/// Writes a link's item.
pub(crate) fn encode_peer(message: PeerMessage, shards: &Directory) -> wire::PeerItem {
    use wire::peer_item::Item;
    let item = match message {
        PeerMessage::Request { request, member, sequence, topic, action } => {
            Item::Request(wire::Request {
                request: request.0,
                member: Some(encode_member(&member)),
                sequence,
                topic: encode_topic(&topic),
                action: Some(encode_action(action)),
            })
        }
        PeerMessage::Whisper { request, member, sequence, to, body, key, ephemeral } => {
            Item::Whisper(wire::Whisper {
                request: request.0,
                member: Some(encode_member(&member)),
                sequence,
                to: encode_session(&to),
                body: encode_body(&body),
                key: key.as_deref().map(str::to_owned),
                ephemeral,
            })
        }
        PeerMessage::Claim { topic, after, members } => Item::Claim(wire::Claim {
            topic: encode_topic(&topic),
            after: Some(encode_position(&after)),
            members: members.iter().map(encode_member).collect(),
        }),
        PeerMessage::Forget { topic, session, attachment } => {
            Item::Forget(encode_membership(&topic, &session, attachment))
        }
        PeerMessage::Suspend { topic, session, attachment } => {
            Item::Suspend(encode_membership(&topic, &session, attachment))
        }
        PeerMessage::Handed { topic, handover, passed } => {
            Item::Handed(wire::Handed { topic: encode_topic(&topic), handover: handover.0, passed })
        }
        PeerMessage::Answers { topic, gather, gathered } => Item::Answers(wire::Answers {
            topic: encode_topic(&topic),
            gather: gather.0,
            gathered: Some(encode_gathered(gathered)),
        }),
        PeerMessage::Recall { request, private_id, namespace, offset } => {
            Item::Recall(wire::Recall {
                request: request.0,
                private_id: encode_session(&private_id),
                namespace: namespace.as_str().to_owned(),
                offset: offset.as_deref().map(str::to_owned),
            })
        }
        PeerMessage::Moved { session, private_id, attachment } => {
            let attachment = attachment.map(|it| it.0);
            let (session, private_id) = (encode_session(&session), encode_session(&private_id));
            Item::Moved(wire::Moved { session, attachment, private_id })
        }
        PeerMessage::Reply { request, result } => Item::Reply(encode_reply(request, result)),
        PeerMessage::Deliver { topic, delivery } => Item::Deliver(encode_deliver(&topic, delivery)),
        PeerMessage::Claimed { topic, epoch, gap, missed, last, handover } => {
            Item::Claimed(wire::Claimed {
                topic: encode_topic(&topic),
                epoch: epoch.as_str().to_owned(),
                gap,
                missed: encode_records(&missed),
                last,
                handover: encode_handover(handover),
            })
        }
        PeerMessage::Parted { topic } => Item::Parted(encode_named(&topic)),
        PeerMessage::Transfer { topic, part } => {
            Item::Transfer(encode_part(encode_topic(&topic), &part, shards))
        }
        PeerMessage::Transferred { topic } => Item::Transferred(encode_named(&topic)),
        PeerMessage::NotTaken { topic } => Item::NotTaken(encode_named(&topic)),
        PeerMessage::Want { topic, view } => Item::Want(encode_wanted(&topic, view)),
        PeerMessage::Lacks { topic, view } => Item::Lacks(encode_wanted(&topic, view)),
        PeerMessage::Settled { view } => Item::Settled(encode_view(view)),
        PeerMessage::Doubt { lasts } => {
            let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            Item::Doubt(wire::Doubt { lasts_ms })
        }
    };
    wire::PeerItem { item: Some(item) }
}

fn encode_named(topic: &Topic) -> wire::Topic {
    encode_topic(topic).unwrap_or_default()
}

/// About how many bytes an item takes on the wire, for the bounds of its queue.
pub(crate) fn peer_size(item: &wire::PeerItem) -> usize {
    prost::Message::encoded_len(item)
}

fn decode_membership(
    membership: wire::Membership,
) -> Result<(Topic, SessionId, Attachment), BadItem> {
    let wire::Membership { topic, session: id, attachment } = membership;
    Ok((decode_topic(topic)?, session(&id)?, Attachment(attachment)))
}

fn encode_membership(
    topic: &Topic,
    session: &SessionId,
    Attachment(attachment): Attachment,
) -> wire::Membership {
    let (topic, session) = (encode_topic(topic), encode_session(session));
    wire::Membership { topic, session, attachment }
}

fn decode_request(request: wire::Request) -> Result<PeerMessage, BadItem> {
    use wire::request::Action as Kind;
    let wire::Request { request, member, sequence, topic, action } = request;
    let action = match action.ok_or(BadItem("request"))? {
        Kind::Join(wire::Join { after }) => Action::Join { after: after.map(decode_position) },
        Kind::Leave(wire::Leave {}) => Action::Leave,
        Kind::Publish(wire::Publish { body, key, ephemeral, echo }) => {
            Action::Publish { body: decode_body(body)?, key: key.map(Arc::from), ephemeral, echo }
        }
        Kind::Disconnect(wire::Disconnect {}) => Action::Disconnect,
        Kind::Gather(wire::Gather { body, timeout_ms }) => {
            Action::Gather { body: decode_body(body)?, timeout: decode_timeout(timeout_ms) }
        }
        Kind::History(wire::History { after, before, limit }) => {
            Action::History { after, before, limit: limit as usize }
        }
        Kind::Presence(wire::Presence { after, limit }) => Action::Presence {
            after: after.as_deref().map(user).transpose()?,
            limit: limit as usize,
        },
    };
    Ok(PeerMessage::Request {
        request: RequestId(request),
        member: decode_member(member)?,
        sequence,
        topic: decode_topic(topic)?,
        action,
    })
}

fn encode_action(action: Action) -> wire::request::Action {
    use wire::request::Action as Kind;
    // The protocol's limits on pages are far below 2^32.
    let count = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    match action {
        Action::Join { after } => {
            Kind::Join(wire::Join { after: after.as_ref().map(encode_position) })
        }
        Action::Leave => Kind::Leave(wire::Leave {}),
        Action::Publish { body, key, ephemeral, echo } => Kind::Publish(wire::Publish {
            body: encode_body(&body),
            key: key.as_deref().map(str::to_owned),
            ephemeral,
            echo,
        }),
        Action::Disconnect => Kind::Disconnect(wire::Disconnect {}),
        Action::Gather { body, timeout } => {
            let timeout_ms = encode_timeout(timeout);
            Kind::Gather(wire::Gather { body: encode_body(&body), timeout_ms })
        }
        Action::History { after, before, limit } => {
            Kind::History(wire::History { after, before, limit: count(limit) })
        }
        Action::Presence { after, limit } => Kind::Presence(wire::Presence {
            after: after.map(|user| user.as_str().to_owned()),
            limit: count(limit),
        }),
    }
}

fn decode_deliver(deliver: wire::Deliver) -> Result<PeerMessage, BadItem> {
    use wire::deliver::Delivery as Kind;
    let wire::Deliver { topic, handover, delivery } = deliver;
    let handover = decode_handover(handover);
    let delivery = match delivery.ok_or(BadItem("delivery"))? {
        Kind::Record(wire::KeptMessage { epoch, record }) => Delivery::Record {
            epoch: Epoch::new(&epoch),
            record: decode_record(record.ok_or(BadItem("delivery"))?)?,
            handover,
        },
        Kind::Ephemeral(wire::EphemeralMessage { from, except, body }) => Delivery::Ephemeral {
            from: user(&from)?,
            except: if except.is_empty() { None } else { Some(session(&except)?) },
            body: decode_body(body)?,
            handover,
        },
        Kind::Disconnect(wire::Disconnect {}) => Delivery::Disconnect,
        Kind::Gather(wire::GatherMessage { gather, from, body, timeout_ms }) => Delivery::Gather {
            gather: GatherId(gather),
            from: user(&from)?,
            body: decode_body(body)?,
            timeout: decode_timeout(timeout_ms),
        },
        Kind::UserJoined(name) => Delivery::UserJoined(user(&name)?),
        Kind::UserLeft(name) => Delivery::UserLeft(user(&name)?),
    };
    Ok(PeerMessage::Deliver { topic: decode_topic(topic)?, delivery })
}

fn encode_deliver(topic: &Topic, delivery: Delivery) -> wire::Deliver {
    use wire::deliver::Delivery as Kind;
    let (handover, delivery) = match delivery {
        Delivery::Record { epoch, record, handover } => {
            let epoch = epoch.as_str().to_owned();
            let record = Some(encode_record(&record));
            (handover, Kind::Record(wire::KeptMessage { epoch, record }))
        }
        Delivery::Ephemeral { from, except, body, handover } => {
            let message = wire::EphemeralMessage {
                from: from.as_str().to_owned(),
                except: except.as_ref().map(encode_session).unwrap_or_default(),
                body: encode_body(&body),
            };
            (handover, Kind::Ephemeral(message))
        }
        Delivery::Disconnect => (None, Kind::Disconnect(wire::Disconnect {})),
        Delivery::Gather { gather, from, body, timeout } => {
            let message = wire::GatherMessage {
                gather: gather.0,
                from: from.as_str().to_owned(),
                body: encode_body(&body),
                timeout_ms: encode_timeout(timeout),
            };
            (None, Kind::Gather(message))
        }
        Delivery::UserJoined(user) => (None, Kind::UserJoined(user.as_str().to_owned())),
        Delivery::UserLeft(user) => (None, Kind::UserLeft(user.as_str().to_owned())),
    };
    wire::Deliver {
        topic: encode_topic(topic),
        handover: encode_handover(handover),
        delivery: Some(delivery),
    }
}

fn decode_timeout(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn encode_timeout(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn decode_handover(number: u64) -> Option<HandoverId> {
    (number != 0).then_some(HandoverId(number))
}

pub(super) fn encode_handover(handover: Option<HandoverId>) -> u64 {
    handover.map_or(0, |HandoverId(number)| number)
}
