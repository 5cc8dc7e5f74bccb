//! Events by rules that the application has written, and the application itself.

use serde_json::{Value, json};
use trunkline_config::events::{
    Args, EventAction, EventRule, EventRules, Message, Pattern, Reference, Root, Template, Text,
};
use trunkline_core::{CallFailure, CoreSettings};

use super::town::Town;

pub(super) fn rule(name: &str, action: EventAction) -> EventRule {
    EventRule { name: name.to_owned(), namespace: Pattern::any(), action, ack: None }
}

fn message(emit: &str, args: Args) -> Message {
    Message { emit: Some(emit.to_owned()), args, key: None, ephemeral: false, echo: true }
}

fn field(key: &str) -> Reference {
    Reference { root: Root::Argument(0), path: vec![key.to_owned()] }
}

pub(super) fn call() -> EventAction {
    EventAction::Call { url: None, timeout: None, retries: None }
}

pub(super) fn with(own: Vec<EventRule>) -> impl FnOnce(&mut CoreSettings) {
    move |settings| settings.events = EventRules { own, ..EventRules::default() }.into()
}

#[test]
fn a_private_rule_picks_the_receiver_and_makes_the_data() {
    let data = Template::Table(vec![
        ("senderId".to_owned(), Template::Text(Text::reference(Root::User))),
        ("message".to_owned(), Template::Reference(field("message"))),
    ]);
    let to = Text(vec![trunkline_config::events::Piece::Reference(field("recipientId"))]);
    let message = message("receive-message", Args::Listed(vec![data]));
    let mut town =
        Town::with(with(vec![rule("send-message", EventAction::Private { to, message })]));
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    let sent = town.emit(alice, "[\"send-message\",{\"recipientId\":\"bob\",\"message\":[1, 2]}]");
    assert_eq!(sent, json!({"type": "ok", "to": "bob", "status": "delivered"}));
    let heard = town.packets(bob);
    let event =
        "42[\"receive-message\",{\"senderId\":\"alice\",\"message\":[1, 2]},{\"from\":\"alice\"";
    assert!(heard[0].starts_with(event), "{heard:?}");
    let refused = town.emit(alice, "[\"send-message\",{\"message\":1}]");
    assert_eq!(refused["code"], "bad_request");
}

#[test]
fn comings_and_goings_are_told_to_everyone_by_rules() {
    let told = |emit| EventAction::Broadcast {
        message: Message {
            echo: false,
            ..message(emit, Args::Listed(vec![Template::Text(Text::reference(Root::User))]))
        },
    };
    let rules = vec![rule("connect", told("user joined")), rule("disconnect", told("user left"))];
    let mut town = Town::with(with(rules));
    let alice = town.socket("alice");
    let bob = town.socket("bob");
    assert_eq!(town.events(alice), ["user joined bob"]);
    town.leave(bob);
    assert_eq!(town.events(alice), ["user left bob"]);
}

#[test]
fn several_rules_of_an_event_are_carried_out_in_order_and_one_acknowledges() {
    let room = || Text::reference(Root::Argument(0));
    let hello = EventAction::Publish { room: room(), message: message("hello", Args::Rest) };
    let reply = EventAction::Reply {
        emit: None,
        args: Args::Listed(vec![Template::Flag(true), Template::Integer(7)]),
    };
    let rules = vec![
        rule("enter", EventAction::Join { room: room() }),
        rule("enter", hello.clone()),
        rule("enter", hello),
        rule("enter", reply),
    ];
    let mut town = Town::with(with(rules));
    let alice = town.socket("alice");
    town.packet(alice, "23[\"enter\",\"lobby\",\"hi\"]");
    let heard = town.packets(alice);
    assert_eq!(heard[0], "433[true,7]");
    assert_eq!(heard.iter().filter(|it| it.starts_with("42[\"hello\",\"hi\"")).count(), 2);
    assert_eq!(town.settled(alice), 2);
}

#[test]
fn an_answer_may_end_in_a_text_without_harm_to_recovery() {
    let reply = EventAction::Reply {
        emit: Some("pong".to_owned()),
        args: Args::Listed(vec![Template::Text(Text::reference(Root::User))]),
    };
    let mut town = Town::with(with(vec![rule("ping", reply)]));
    let alice = town.socket("alice");
    town.packet(alice, "2[\"ping\"]");
    let heard = town.packets(alice);
    assert!(heard[0].starts_with("42[\"pong\",\"alice\",\"") && heard[0].ends_with(".0\"]"));
}

#[test]
fn the_application_is_asked_and_its_answer_is_carried_out() {
    let publish = EventAction::Publish {
        room: Text::reference(Root::Argument(0)),
        message: message("said", Args::Rest),
    };
    let mut town = Town::with(with(vec![rule("say", call()), rule("say", publish)]));
    let alice = town.socket("alice");
    town.emit(alice, "[\"join\",\"lobby\"]");
    town.packet(alice, "25[\"say\",\"lobby\",\"rude\"]");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["event"], "say");
    assert_eq!(body["user"], "alice");
    assert_eq!(body["args"], json!(["lobby", "rude"]));
    assert_eq!(body["id"], asked.id.as_str());
    assert!(town.packets(alice).is_empty(), "nothing is done before the answer");
    let answer = r#"{"rewrite":{"args":["lobby","polite"]},"ack":[{"ok":true}],
        "do":[{"do":"private","to":"alice","emit":"noted","args":[1]},{"do":"dance"}]}"#;
    town.world.answer_call(shard, asked.ticket, Ok(answer));
    town.wait(super::town::seconds(0));
    let heard = town.packets(alice);
    assert_eq!(heard[0], "435[{\"ok\":true}]");
    assert!(heard.iter().any(|it| it.starts_with("42[\"noted\",1,")), "{heard:?}");
    assert!(heard.iter().any(|it| it.starts_with("42[\"said\",\"polite\",")), "{heard:?}");
    assert!(heard.iter().any(|it| it.contains("\"code\":\"internal\"")), "{heard:?}");
    assert_eq!(town.settled(alice), 3);
}

#[test]
fn the_application_may_reject_or_be_away() {
    let mut town = Town::with(with(vec![rule("say", call())]));
    let alice = town.socket("alice");
    let cases = [
        (Ok(r#"{"reject":{"message":"not today"}}"#), "forbidden"),
        (Ok("nonsense"), "internal"),
        (Err(CallFailure::Refused), "forbidden"),
        (Err(CallFailure::Unavailable), "unavailable"),
    ];
    for (answer, code) in cases {
        town.packet(alice, "25[\"say\",1]");
        let (shard, asked) = town.calls.pop().expect("it is asked");
        town.world.answer_call(shard, asked.ticket, answer);
        town.wait(super::town::seconds(0));
        assert!(town.packets(alice)[0].contains(&format!("\"code\":\"{code}\"")), "{code}");
    }
    assert_eq!(town.settled(alice), 5);
    // What the application adds is told, with an acknowledgement and without.
    let error = r#"{"type":"error","code":"forbidden","message":"no","data":{"turn":"bob"}}"#;
    for (said, heard) in [
        ("25[\"say\",1]", format!("435[{error}]")),
        ("2[\"say\",1]", format!("42[\"error\",{error}]")),
    ] {
        town.packet(alice, said);
        let (shard, asked) = town.calls.pop().expect("it is asked");
        let answer = Ok(r#"{"reject":{"message":"no","data":{"turn":"bob"}}}"#);
        town.world.answer_call(shard, asked.ticket, answer);
        town.wait(super::town::seconds(0));
        assert_eq!(town.packets(alice), [heard]);
    }
}

#[test]
fn the_application_may_turn_a_client_away_at_the_door() {
    let mut town = Town::with(with(vec![rule("connect", call())]));
    let alice = town.plug_in("alice");
    town.packet(alice, "0{\"password\":\"x\"}");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["auth"], json!({"password": "x"}));
    assert!(town.packets(alice).is_empty());
    let answer = Ok(r#"{"reject":{"message":"who are you","data":{"why":1}}}"#);
    town.world.answer_call(shard, asked.ticket, answer);
    town.wait(super::town::seconds(0));
    assert_eq!(town.packets(alice), ["44{\"message\":\"who are you\",\"data\":{\"why\":1}}"]);
    town.packet(alice, "0{\"password\":\"y\"}");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    town.world.answer_call(shard, asked.ticket, Ok(r#"{"do":[{"do":"join","room":"lobby"}]}"#));
    town.wait(super::town::seconds(0));
    assert!(town.packets(alice)[0].starts_with("40{"));
    assert_eq!(town.emit(alice, "[\"message\",\"lobby\",1]")["type"], "ok");
}
