//! What routers ask, and what they are answered.

use trunkline_core::{Arguments, Epoch, Position, SendStatus, UserId, UserPresence};

use super::*;
use trunkline_proto::api::Message;

const TRUNK: TrunkId = TrunkId(7);

fn message(args: &str) -> Option<Message> {
    Some(Message {
        event: "note".to_owned(),
        args: args.to_owned(),
        from: "alice".to_owned(),
        key: "k".to_owned(),
        ..Message::default()
    })
}

fn read(what: wire::api_call::What) -> Result<Asked, BadItem> {
    decode_api(TRUNK, wire::ApiCall { request: 5, session: vec![9; 24].into(), what: Some(what) })
}

fn core(what: wire::api_call::What) -> (Member, ApiCall) {
    match read(what).expect("sense") {
        Asked::Core(Input::Api { trunk: TRUNK, call: ApiCallId(5), member, request }) => {
            (member, request)
        }
        other => panic!("not for the core: {other:?}"),
    }
}

fn publish(change: impl FnOnce(&mut Message)) -> wire::api_call::What {
    let mut message = message("[1,2]");
    message.as_mut().map(change);
    let (namespace, room) = ("/".to_owned(), "lobby".to_owned());
    wire::api_call::What::Publish(api::PublishRequest { namespace, room, message })
}

fn send(to: &str) -> wire::api_call::What {
    wire::api_call::What::Send(api::SendRequest { to: to.to_owned(), message: message("[]") })
}

fn answer(reply: Reply) -> wire::api_answer::What {
    let (item, size) = encode_answer(ApiCallId(5), Ok(reply));
    assert_eq!(size, item.encoded_len());
    match item.item {
        Some(wire::down::Item::Api(wire::ApiAnswer { request: 5, what: Some(what) })) => what,
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn a_publish_is_for_its_rooms_owner() {
    let (member, request) = core(publish(|_| {}));
    assert_eq!((member.user.as_str(), member.session), ("alice", SessionId([9; 24])));
    let ApiCall::Topic(topic, action) = request else { panic!("no topic") };
    assert_eq!(topic, room_topic("/", "lobby").unwrap());
    let Action::Publish { body, key, ephemeral: false, echo: true } = action else {
        panic!("no publish")
    };
    assert_eq!((body.arguments.json(), body.arguments.count()), ("1,2", 2));
    assert_eq!(key.as_deref(), Some("k"));
}

#[test]
fn a_message_that_waits_for_acknowledgements_gathers_them() {
    let (_, request) = core(publish(|message| message.ack_timeout_ms = 5000));
    let ApiCall::Topic(_, Action::Gather { timeout, .. }) = request else { panic!("no gather") };
    assert_eq!(timeout, Duration::from_secs(5));
}

#[test]
fn a_message_is_for_a_users_inbox_or_for_a_session() {
    let (_, request) = core(send("bob"));
    let ApiCall::Topic(topic, Action::Publish { .. }) = request else { panic!("no inbox") };
    assert_eq!(topic, Topic::Inbox(UserId::parse("bob").unwrap()));
    let id = SessionId([3; 24]);
    let (_, request) = core(send(&id.to_string()));
    assert!(matches!(request, ApiCall::Session { to, .. } if to == id));
    assert_eq!(read(send("~short")).err(), Some(BadItem("session")));
}

#[test]
fn who_only_reads_or_disconnects_is_the_server() {
    let (namespace, room) = ("/".to_owned(), "lobby".to_owned());
    let presence = api::PresenceRequest { namespace, room, after: "al".to_owned(), limit: 3 };
    let (member, request) = core(wire::api_call::What::Presence(presence));
    assert_eq!(member.user.as_str(), "server");
    let after = UserId::parse("al").ok();
    let expected = Action::Presence { after, limit: 3 };
    assert_eq!(request, ApiCall::Topic(room_topic("/", "lobby").unwrap(), expected));
    let disconnect = api::DisconnectRequest { user: "bob".to_owned() };
    let (_, request) = core(wire::api_call::What::Disconnect(disconnect));
    let topic = Topic::Inbox(UserId::parse("bob").unwrap());
    assert_eq!(request, ApiCall::Topic(topic, Action::Disconnect));
}

#[test]
fn arguments_that_make_no_sense_are_answered_and_cut_no_trunk() {
    for args in ["{}", "[1", r#"[{"$base64":"!"}]"#] {
        let what = publish(|message| message.args = args.to_owned());
        let Ok(Asked::Answered((item, _))) = read(what) else { panic!("taken: {args}") };
        assert!(format!("{item:?}").contains("bad_request"), "{item:?}");
    }
}

#[test]
fn what_a_router_must_not_send_is_noticed() {
    let (namespace, room) = ("/".to_owned(), String::new());
    let empty = api::PublishRequest { namespace, room, message: message("[]") };
    assert!(read(wire::api_call::What::Publish(empty)).is_err());
    assert!(read(publish(|message| message.from = "~x".to_owned())).is_err());
    let call = wire::ApiCall { request: 1, session: vec![1].into(), what: Some(send("bob")) };
    assert!(decode_api(TRUNK, call).is_err());
    assert!(decode_api(TRUNK, wire::ApiCall::default()).is_err());
}

#[test]
fn binary_travels_beside_the_arguments_and_comes_back() {
    let args = r#"[{"a":{"$base64":"AAE="}},{"$base64":""}]"#;
    let (_, request) = core(publish(|message| message.args = args.to_owned()));
    let ApiCall::Topic(_, Action::Publish { body, .. }) = request else { panic!("no publish") };
    assert_eq!(body.attachments, [&[0, 1][..], &[]]);
    assert!(body.arguments.json().contains(r#""_placeholder":true"#));
    let record = Record {
        offset: 5,
        time_ms: 6,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([1; 24]),
        sequence: 1,
        key: None,
        echo: true,
        body,
    };
    let records = vec![Arc::new(record)];
    let wire::api_answer::What::History(reply) =
        answer(Reply::History { epoch: Epoch::new("9k2f"), records })
    else {
        panic!("no history")
    };
    let kept = &reply.messages[0];
    assert_eq!((kept.offset, kept.time_ms, kept.args.as_str()), (5, 6, args));
}

#[test]
fn every_answer_has_its_place() {
    use wire::api_answer::What;
    let position = Position { epoch: Epoch::new("9k2f"), offset: 3 };
    let expected = api::PublishReply { epoch: "9k2f".to_owned(), offset: 3, ..Default::default() };
    assert_eq!(answer(Reply::Published(position)), What::Publish(expected));
    assert_eq!(answer(Reply::Ephemeral), What::Publish(api::PublishReply::default()));
    let responses = vec![(Arguments::new("1,2", 2), Vec::new())];
    let acknowledgements =
        Some(api::Acknowledgements { responses: vec!["[1,2]".to_owned()], asked: 2 });
    let expected = api::PublishReply { acknowledgements, ..Default::default() };
    let gathered = Reply::Gathered(Gathered { responses, asked: 2 });
    assert_eq!(answer(gathered), What::Publish(expected));
    let status = "queued".to_owned();
    assert_eq!(answer(Reply::Sent(SendStatus::Queued)), What::Send(api::SendReply { status }));
    let users = vec![UserPresence { user: UserId::parse("bob").unwrap(), connections: 2 }];
    let What::Presence(reply) = answer(Reply::Presence { users, sure: true }) else {
        panic!("no presence")
    };
    assert!(reply.sure && reply.users[0].user == "bob");
    let expected = api::DisconnectReply { connections: 4 };
    assert_eq!(answer(Reply::Disconnected(4)), What::Disconnect(expected));
    assert!(matches!(answer(Reply::Left), What::Error(error) if error.code == "internal"));
}
