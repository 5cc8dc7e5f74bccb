//! Joining, leaving, publishing.

use serde_json::json;

use super::town::{Town, publish, seconds};

#[test]
fn a_join_is_answered_with_the_newest_offset_and_who_is_there() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    town.publish(alice, "lobby", "hi");
    let bob = town.come("bob");
    let ok = town.join(bob, "lobby");
    assert_eq!((&ok["offset"], &ok["members"]), (&json!(1), &json!(2)));
    assert!(ok.get("recovered").is_none());
    assert_eq!(town.hears_of(bob), ["welcome"]);
}

#[test]
fn a_publish_is_acknowledged_before_its_echo() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let mut text = publish("lobby", "hi");
    text["id"] = 1.into();
    town.say(alice, &text);
    assert_eq!(town.hears_of(alice), ["ok", "message hi"]);
}

#[test]
fn everybody_in_a_room_hears_the_same_order_on_every_shard() {
    let mut town = Town::new();
    let users = ["alice", "bob", "carol", "dave", "erin", "user-1", "user-2", "user-3"];
    let members = users.map(|user| town.member(user, &["lobby"]));
    for member in members {
        town.hears(member);
    }
    for (number, member) in members.iter().enumerate() {
        town.publish(*member, "lobby", &number.to_string());
    }
    let homes = members.map(|member| town.home_of(member));
    assert!((0..3).all(|shard| homes.contains(&shard)), "{homes:?}");
    for member in members {
        let expected: Vec<_> = (0..8).map(|number| format!("message {number}")).collect();
        assert_eq!(town.hears_of(member), expected);
    }
}

#[test]
fn joining_twice_is_ok_and_nothing_is_heard_twice() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    assert_eq!(town.join(alice, "lobby")["members"], 1);
    town.publish(alice, "lobby", "hi");
    assert_eq!(town.hears_of(alice), ["message hi"]);
}

#[test]
fn who_has_left_hears_nothing_more() {
    let mut town = Town::new();
    let [alice, bob] = ["alice", "bob"].map(|user| town.member(user, &["lobby"]));
    assert_eq!(town.ask(bob, json!({"type": "leave", "room": "lobby"}))["room"], "lobby");
    town.hears(alice);
    town.publish(alice, "lobby", "hi");
    assert!(town.hears_of(bob).is_empty());
}

#[test]
fn a_room_that_was_not_joined_cant_be_left_published_to_or_read() {
    let mut town = Town::new();
    let alice = town.come("alice");
    for kind in ["leave", "publish", "history"] {
        let text = json!({"type": kind, "room": "lobby", "event": "e", "data": 1});
        assert_eq!(town.ask(alice, text)["code"], "not_joined", "{kind}");
    }
}

#[test]
fn an_ephemeral_message_has_no_place() {
    let mut town = Town::new();
    let [alice, bob] = ["alice", "bob"].map(|user| town.member(user, &["lobby"]));
    town.hears(alice);
    let mut typing = publish("lobby", "typing");
    typing["ephemeral"] = true.into();
    let ok = town.ask(alice, typing);
    assert!(ok.get("offset").is_none() && ok.get("epoch").is_none());
    assert_eq!(town.hears_of(bob), ["ephemeral typing"]);
    assert_eq!(town.publish(alice, "lobby", "hi")["offset"], 1);
}

#[test]
fn without_echo_only_the_sending_connection_is_spared() {
    let mut town = Town::new();
    let first = town.member("alice", &["lobby"]);
    let second = town.member("alice", &["lobby"]);
    for ephemeral in [false, true] {
        let mut text = publish("lobby", "hi");
        text["echo"] = false.into();
        text["ephemeral"] = ephemeral.into();
        town.ask(first, text);
        assert!(town.hears(first).is_empty());
        assert_eq!(town.hears(second).len(), 1);
    }
}

#[test]
fn arguments_arrive_as_they_were_sent() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let text = r#"{"type":"publish","room":"lobby","event":"e","args":[1.50, {"b":1,"a":[ ]}]}"#;
    town.world.say(alice, text);
    town.wait(seconds(0));
    assert_eq!(town.hears(alice)[0]["args"], json!([1.5, {"b": 1, "a": []}]));
}

#[test]
fn a_request_without_id_is_answered_only_by_an_error() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let quiet = json!({"type": "publish", "room": "lobby", "event": "e", "data": 1, "echo": false});
    town.say(alice, &quiet);
    assert!(town.hears(alice).is_empty());
    town.say(alice, &json!({"type": "leave", "room": "attic"}));
    assert_eq!(town.hears_of(alice), ["error not_joined"]);
}

#[test]
fn requests_that_dont_wait_for_each_other_leave_the_last_word() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let room = town.room_away_from(town.home_of(alice));
    town.world.plan.link = 10..=10;
    for kind in ["join", "leave", "join", "leave", "join"] {
        town.world.say(alice, &json!({"type": kind, "room": room, "id": 1}).to_string());
    }
    town.wait(seconds(1));
    assert_eq!(town.hears_of(alice), ["welcome", "ok", "ok", "ok", "ok", "ok"]);
    town.begin(alice, publish(&room, "hi"));
    town.wait(seconds(1));
    assert_eq!(town.hears_of(alice), ["ok", "message hi"]);
}

#[test]
fn messages_are_settled_in_their_order_while_one_room_is_stuck() {
    let mut town = Town::new();
    let alice = town.come("alice");
    town.join(alice, "lobby");
    town.join(alice, "attic");
    town.slow_log(1000);
    let stuck = town.begin(alice, publish("lobby", "late"));
    town.slow_log(0);
    let done = town.begin(alice, publish("attic", "soon"));
    assert!(town.answer(alice, done).is_some(), "one room holds up no other");
    assert_eq!(town.settled(alice), 2);
    assert!(town.answer(alice, stuck).is_none());
    town.wait(seconds(3));
    assert_eq!(town.answer(alice, stuck).unwrap()["offset"], 1);
    assert_eq!(town.settled(alice), 4);
}

#[test]
fn nothing_is_left_of_a_room_when_everybody_has_gone() {
    let mut town = Town::new();
    let [alice, bob] = ["alice", "bob"].map(|user| town.member(user, &["lobby"]));
    town.publish(alice, "lobby", "hi");
    town.leave(alice);
    town.leave(bob);
    town.wait(seconds(3600));
    for shard in 0..3 {
        assert_eq!(town.world.gauges(shard), trunkline_core::Gauges::default());
    }
}
