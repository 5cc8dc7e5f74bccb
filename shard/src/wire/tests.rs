//! What one shard says is what another hears.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use trunkline_config::{Directory, MapId, ViewId};
use trunkline_core::{
    Action, Adoption, Answer, Answered, Arguments, Attachment, Body, Comes, ConnectionId, Delivery,
    Dialect, Epoch, FirstAnswer, Frame, FrameKind, GroupId, HandoverId, Input, Joined, KnownBy,
    Member, Namespace, News, Output, PeerMessage, Position, Publication, Record, Refusal, Reply,
    RequestId, RoomId, SendStatus, SessionId, ShardIndex, SlotPosition, Standing, Topic,
    TransferPart, TrunkId, UserId, UserPresence,
};
use trunkline_proto::{peer, trunk};

use crate::engine::Said;

use super::{Sorted, decode_peer, decode_up, encode_down, encode_peer, sort_up};

/// Two shards, of numbers 0 and 1.
fn directory() -> Directory {
    let mut directory = Directory::default();
    directory.number("a");
    directory.number("b");
    directory
}

fn room() -> Topic {
    Topic::Room(Namespace::parse("/game").unwrap(), RoomId::parse("lobby").unwrap())
}

fn alice() -> UserId {
    UserId::parse("alice").unwrap()
}

fn member() -> Member {
    Member { session: SessionId([7; 24]), user: alice(), attachment: Attachment(3) }
}

fn body() -> Body {
    Body {
        event: Arc::from("note"),
        arguments: Arguments::new("1, {\"a\":[]}", 2),
        attachments: vec![Bytes::from_static(b"\0\xff")],
    }
}

fn record() -> Arc<Record> {
    Arc::new(Record {
        offset: 58,
        time_ms: 1_790_000_000_000,
        from: alice(),
        session: SessionId([7; 24]),
        sequence: 3,
        key: Some(Arc::from("k")),
        echo: false,
        body: body(),
    })
}

fn position() -> Position {
    Position { epoch: Epoch::new("9k2f"), offset: 58 }
}

fn requests() -> Vec<PeerMessage> {
    let actions = vec![
        Action::Join { after: None },
        Action::Join { after: Some(position()) },
        Action::Leave,
        Action::Publish { body: body(), key: None, ephemeral: true, echo: false },
        Action::Publish { body: body(), key: Some(Arc::from("k")), ephemeral: false, echo: true },
        Action::History { after: Some(0), before: None, limit: 1000 },
        Action::Presence { after: Some(alice()), limit: 10 },
    ];
    let request = |action| PeerMessage::Request {
        request: RequestId(4),
        member: member(),
        sequence: 9,
        topic: room(),
        action,
    };
    actions.into_iter().map(request).collect()
}

fn replies() -> Vec<PeerMessage> {
    let joined = Joined {
        position: position(),
        members: 3,
        recovered: Some(false),
        gap: Some(0),
        missed: vec![record()],
        handover: Some(HandoverId(2)),
    };
    let presence =
        Reply::Presence { users: vec![UserPresence { user: alice(), connections: 2 }], sure: true };
    let results = vec![
        Ok(Reply::Joined(joined)),
        Ok(Reply::Left),
        Ok(Reply::Published(position())),
        Ok(Reply::Ephemeral),
        Ok(Reply::Sent(SendStatus::Delivered)),
        Ok(Reply::Sent(SendStatus::Queued)),
        Ok(Reply::Sent(SendStatus::Offline)),
        Ok(Reply::History { epoch: Epoch::new("e"), records: vec![record()] }),
        Ok(presence),
        Err(Refusal::NotJoined),
        Err(Refusal::Superseded),
        Err(Refusal::Unavailable),
    ];
    let reply = |result| PeerMessage::Reply { request: RequestId(4), result };
    results.into_iter().map(reply).collect()
}

fn deliveries() -> Vec<PeerMessage> {
    let deliveries = vec![
        Delivery::Record { epoch: Epoch::new("e"), record: record(), handover: None },
        Delivery::Ephemeral {
            from: alice(),
            except: Some(SessionId([7; 24])),
            body: body(),
            handover: Some(HandoverId(2)),
        },
        Delivery::Ephemeral { from: alice(), except: None, body: body(), handover: None },
        Delivery::UserJoined(alice()),
        Delivery::UserLeft(alice()),
    ];
    let deliver = |delivery| PeerMessage::Deliver { topic: Topic::Inbox(alice()), delivery };
    deliveries.into_iter().map(deliver).collect()
}

fn answered() -> Vec<Answered> {
    let session = SessionId([7; 24]);
    let key = |ephemeral| KnownBy::Key { user: member().user, key: Arc::from("k"), ephemeral };
    [
        (KnownBy::Sequence { session, sequence: 4 }, FirstAnswer::Published(position())),
        (key(true), FirstAnswer::Ephemeral),
        (key(false), FirstAnswer::Sent(SendStatus::Queued)),
    ]
    .map(|(by, answer)| Answered { by, answer })
    .into()
}

fn others() -> Vec<PeerMessage> {
    let (session, attachment) = (SessionId([7; 24]), Attachment(5));
    let view = ViewId { map: MapId { version: 3, digest: 7 }, statuses: 11 };
    vec![
        PeerMessage::Whisper {
            request: RequestId(4),
            member: member(),
            sequence: 9,
            to: SessionId([8; 24]),
            body: body(),
            key: Some(Arc::from("k")),
            ephemeral: true,
        },
        PeerMessage::Claim { topic: room(), after: position(), members: vec![member()] },
        PeerMessage::Forget { topic: room(), session, attachment },
        PeerMessage::Suspend { topic: room(), session, attachment },
        PeerMessage::Parted { topic: room() },
        PeerMessage::Transferred { topic: room() },
        PeerMessage::NotTaken { topic: room() },
        PeerMessage::Want { topic: room(), view },
        PeerMessage::Lacks { topic: room(), view },
        PeerMessage::Settled { view },
        PeerMessage::Doubt { lasts: Duration::from_millis(9001) },
        PeerMessage::Transfer { topic: room(), part: Box::default() },
        PeerMessage::Transfer {
            topic: room(),
            part: Box::new(TransferPart {
                standing: Some(Standing {
                    position: position(),
                    first: 3,
                    last_time_ms: 1_790_000_000_000,
                    handed: 2,
                }),
                members: vec![(member(), ShardIndex(1))],
                left: vec![(session, attachment)],
                news: vec![
                    News { home: ShardIndex(1), user: member().user, came: true },
                    News { home: ShardIndex(0), user: member().user, came: false },
                ],
                records: vec![record()],
                publications: vec![Publication::of(&record())],
                answers: answered(),
                deed: Some(Bytes::from_static(b"deed")),
                last: true,
                doubt: Duration::from_millis(9001),
            }),
        },
        PeerMessage::Handed { topic: room(), handover: HandoverId(2), passed: true },
        PeerMessage::Claimed {
            topic: room(),
            epoch: Epoch::new("e"),
            gap: Some(3),
            missed: vec![record()],
            last: 58,
            handover: None,
        },
    ]
}

#[test]
fn every_message_of_a_link_is_heard_as_it_was_said() {
    for message in [requests(), replies(), deliveries(), others()].concat() {
        let bytes = encode_peer(message.clone(), &directory()).encode_to_vec();
        let item = peer::PeerItem::decode(bytes.as_slice()).unwrap();
        assert_eq!(decode_peer(item, &directory()), Ok(message));
    }
}

#[test]
fn what_a_router_returns_with_a_connection_is_heard() {
    let attach = trunk::Attach {
        connection: 5,
        session: vec![7; 24].into(),
        dialect: trunk::Dialect::Native.into(),
        namespace: "/".to_owned(),
        user: "alice".to_owned(),
        checkpoint: Bytes::from_static(b"state"),
        positions: vec![Bytes::from_static(b"here"), Bytes::from_static(b"there")],
        slots: vec![trunk::SlotPosition { slot: 1, position: Bytes::from_static(b"last") }],
        settled: 41,
        attachment: 3,
        ..Default::default()
    };
    let attached = |attach: &trunk::Attach| {
        let item = Some(trunk::up::Item::Attach(attach.clone()));
        match decode_up(TrunkId(1), trunk::Up { item }).unwrap() {
            Input::Attach { attach, .. } => {
                assert_eq!(attach.attachment, 3);
                match attach.comes {
                    Comes::Again(adoption) => Some(adoption),
                    Comes::Anew(_) => None,
                }
            }
            other => panic!("{other:?}"),
        }
    };
    let adoption = Adoption {
        state: Bytes::from_static(b"state"),
        positions: vec![Bytes::from_static(b"here"), Bytes::from_static(b"there")],
        slots: vec![SlotPosition { slot: 1, position: Bytes::from_static(b"last") }],
        settled: 41,
    };
    assert_eq!(attached(&attach), Some(Box::new(adoption.clone())));
    // Of a session that has polled the router doesn't know who speaks.
    let nobody = trunk::Attach { user: String::new(), namespace: String::new(), ..attach.clone() };
    assert_eq!(attached(&nobody), Some(Box::new(adoption)));
    let new = trunk::Attach { checkpoint: Bytes::new(), ..attach };
    assert_eq!(attached(&new), None, "without a checkpoint it is a new connection");
}

#[test]
fn what_a_message_was_answered_before_is_heard() {
    for answered in [0, 0b101] {
        let message = trunk::ClientMessage { connection: 5, answered, ..Default::default() };
        let item = Some(trunk::up::Item::Message(message));
        let Ok(Input::Message { answered: heard, .. }) = decode_up(TrunkId(1), trunk::Up { item })
        else {
            panic!()
        };
        assert_eq!(heard, answered);
    }
}

/// What a router hears of an output.
fn heard(output: Output) -> trunk::down::Item {
    let (trunk, (down, _)) = encode_down(output).expect("it is for a router");
    assert_eq!(trunk, TrunkId(1));
    down.item.expect("an item")
}

#[test]
fn a_router_hears_what_its_connections_have_had() {
    use trunk::down::Item;
    let place = Bytes::from_static(b"place");
    let (trunk, connection, group) = (TrunkId(1), ConnectionId(5), GroupId(3));
    let frame = Frame { kind: FrameKind::Live, dialect: Dialect::Native, parts: Vec::new() };
    let send = |position, answers| {
        let (connections, frame, receipt) = (vec![connection], frame.clone(), None);
        let send = Output::Send { trunk, connections, frame, receipt, position, answers };
        let Item::Send(send) = heard(send) else { panic!() };
        (send.position.map(|it| (it.slot, it.position)), (send.answers, send.part))
    };
    let slot = SlotPosition { slot: 1, position: place.clone() };
    let answer = Answer { message: 7, part: 3 };
    assert_eq!(send(Some(slot), Some(answer)), (Some((1, place.clone())), (7, 3)));
    assert_eq!(send(None, None), (None, (0, 0)));
    let fan = |position| {
        let Item::Fan(fan) =
            heard(Output::Fan { trunk, group, frame: frame.clone(), except: None, position })
        else {
            panic!()
        };
        fan.position
    };
    assert_eq!(fan(Some(place.clone())), place);
    assert!(fan(None).is_empty());
    let entered =
        Output::Group { trunk, group, connection, member: true, position: Some(place.clone()) };
    let Item::Group(change) = heard(entered) else { panic!() };
    assert_eq!((change.member, change.position), (true, place));
    let (session, state) = (SessionId([7; 24]), Bytes::from_static(b"state"));
    let given = Output::Checkpoint { trunk, connection, session, state: state.clone() };
    let Item::Checkpoint(given) = heard(given) else { panic!() };
    assert_eq!((given.connection, given.state), (5, state));
}

#[test]
fn a_connection_that_moves_to_another_shard_is_not_one_that_has_gone() {
    for moved in [false, true] {
        let detach = trunk::Detach { connection: 5, moved };
        let up = trunk::Up { item: Some(trunk::up::Item::Detach(detach)) };
        let Ok(Sorted::Engine(Said::Detach { moved: heard, .. })) = sort_up(TrunkId(1), up) else {
            panic!("a detach is the engine's to hear of");
        };
        assert_eq!(heard, moved);
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_link_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(item) = peer::PeerItem::decode(bytes.as_slice()) {
            let _ = decode_peer(item, &directory());
        }
    }

    #[test]
    fn a_damaged_message_of_a_link_is_read_or_refused(
        number in 0_usize..64,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let messages = [requests(), replies(), deliveries(), others()].concat();
        let mut bytes = encode_peer(messages[number % messages.len()].clone(), &directory()).encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(item) = peer::PeerItem::decode(bytes.as_slice()) {
            let _ = decode_peer(item, &directory());
        }
    }

    #[test]
    fn no_bytes_of_a_trunk_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(up) = trunk::Up::decode(bytes.as_slice())
            && let Ok(Sorted::Core(up)) = sort_up(TrunkId(1), up)
        {
            let _ = decode_up(TrunkId(1), up);
        }
    }
}
