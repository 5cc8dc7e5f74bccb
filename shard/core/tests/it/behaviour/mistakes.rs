//! What a client may not do, and what it is told then.

use serde_json::{Value, json};
use trunkline_core::{Rights, RoomRight};

use super::town::{Town, publish, send};

fn code(town: &mut Town, text: Value) -> String {
    let alice = town.come("alice");
    town.ask(alice, text)["code"].as_str().expect("an error").to_owned()
}

#[test]
fn every_mistake_has_its_code_and_the_connection_stays() {
    let mut town = Town::new();
    let long = "x".repeat(257);
    let cases = [
        ("bad_request", json!({"type": "join"})),
        ("bad_request", json!({"type": "join", "room": "a\u{7}b"})),
        ("unknown_type", json!({"type": "dance"})),
        ("too_large", json!({"type": "join", "room": long})),
        ("too_large", json!({"type": "send", "to": long, "event": "e", "data": 1})),
        ("not_joined", publish("lobby", "hi")),
        ("bad_request", send("", "hi")),
        ("bad_request", send("~nobody", "hi")),
        ("bad_request", json!({"type": "auth", "token": "alice"})),
    ];
    for (expected, text) in cases {
        assert_eq!(code(&mut town, text.clone()), expected, "{text}");
    }
}

#[test]
fn what_is_no_json_is_answered_and_settled() {
    let mut town = Town::new();
    let alice = town.come("alice");
    town.hears(alice);
    for text in ["", "nonsense", "[]", "{\"type\":", "{\"type\":\"ping\",\"id\":-1}"] {
        let sequence = town.world.say(alice, text);
        town.wait(std::time::Duration::ZERO);
        assert_eq!(town.hears_of(alice), ["error bad_request"], "{text}");
        assert_eq!(town.settled(alice), sequence);
    }
    assert_eq!(town.ask(alice, json!({"type": "ping"}))["type"], "ok");
}

#[test]
fn events_of_socket_io_itself_are_refused() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let reserved = [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ];
    for event in reserved {
        let text = json!({"type": "publish", "room": "lobby", "event": event, "data": 1});
        assert_eq!(town.ask(alice, text)["code"], "bad_request", "{event}");
        let text = json!({"type": "send", "to": "bob", "event": event, "data": 1});
        assert_eq!(town.ask(alice, text)["code"], "bad_request", "{event}");
    }
}

#[test]
fn a_token_without_the_right_is_forbidden_to() {
    let mut town = Town::new();
    let right = |pattern: &str, publish: bool| RoomRight {
        pattern: pattern.to_owned(),
        join: true,
        publish,
        history: false,
    };
    let rights = Rights(Some(vec![right("team-*", true), right("news", false)]));
    let alice = town.come_as("alice", |guest| guest.identity.rights = rights);
    assert_eq!(town.join(alice, "news")["type"], "ok");
    assert_eq!(town.publish(alice, "news", "hi")["code"], "forbidden");
    assert_eq!(town.join(alice, "lobby")["code"], "forbidden");
    let history = json!({"type": "history", "room": "news"});
    assert_eq!(town.ask(alice, history)["code"], "forbidden");
    let presence = json!({"type": "presence", "room": "lobby"});
    assert_eq!(town.ask(alice, presence)["code"], "forbidden");
    assert_eq!(town.publish(alice, "team-a", "hi")["offset"], 1, "named rooms need no join");
}

#[test]
fn who_publishes_too_fast_is_told_and_may_go_on_later() {
    let mut town = Town::with(|settings| (settings.publish_rate, settings.publish_burst) = (2, 3));
    let alice = town.member("alice", &["lobby"]);
    for _ in 0..3 {
        assert_eq!(town.publish(alice, "lobby", "hi")["type"], "ok");
    }
    assert_eq!(town.publish(alice, "lobby", "hi")["code"], "rate_limited");
    assert_eq!(town.send(alice, "bob", "hi")["code"], "rate_limited");
    town.wait(std::time::Duration::from_millis(500));
    assert_eq!(town.send(alice, "bob", "hi")["type"], "ok");
    assert_eq!(town.publish(alice, "lobby", "hi")["code"], "rate_limited");
}

#[test]
fn a_session_may_be_in_so_many_rooms() {
    let mut town = Town::with(|settings| settings.rooms_per_session = 2);
    let alice = town.member("alice", &["one", "two"]);
    assert_eq!(town.join(alice, "three")["code"], "too_many_rooms");
    assert_eq!(town.join(alice, "two")["type"], "ok", "one that it is in is no new one");
    town.ask(alice, json!({"type": "leave", "room": "one"}));
    assert_eq!(town.join(alice, "three")["type"], "ok");
}
