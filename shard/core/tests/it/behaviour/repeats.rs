//! Repeats are recognised, and answered like the first.

use serde_json::{Value, json};

use super::town::{Town, publish, seconds, send};

fn keyed(data: &str) -> Value {
    let mut text = publish("lobby", data);
    text["key"] = "k".into();
    text
}

#[test]
fn a_repeated_key_is_answered_with_the_first_place_and_not_delivered() {
    let mut town = Town::new();
    let [alice, bob] = ["alice", "bob"].map(|user| town.member(user, &["lobby"]));
    assert_eq!(town.ask(alice, keyed("first"))["offset"], 1);
    town.wait(seconds(299));
    assert_eq!(town.ask(alice, keyed("again"))["offset"], 1);
    assert_eq!(town.hears_of(bob), ["message first"]);
    town.wait(seconds(1));
    assert_eq!(town.ask(alice, keyed("another"))["offset"], 2);
}

#[test]
fn a_key_is_the_users_whatever_the_connection() {
    let mut town = Town::new();
    let [first, second] = ["alice", "alice"].map(|user| town.member(user, &["lobby"]));
    let bob = town.member("bob", &["lobby"]);
    assert_eq!(town.ask(first, keyed("hi"))["offset"], 1);
    town.leave(first);
    assert_eq!(town.ask(second, keyed("hi"))["offset"], 1);
    assert_eq!(town.ask(bob, keyed("hi"))["offset"], 2, "bob's key is another");
}

#[test]
fn a_key_of_what_is_not_kept_says_nothing_of_what_is() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let mut typing = keyed("typing");
    typing["ephemeral"] = true.into();
    assert!(town.ask(alice, typing)["offset"].is_null());
    assert_eq!(town.ask(alice, keyed("kept"))["offset"], 1);
}

#[test]
fn a_key_is_the_rooms() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby", "attic"]);
    town.ask(alice, keyed("hi"));
    let mut text = keyed("hi");
    text["room"] = "attic".into();
    assert_eq!(town.ask(alice, text)["offset"], 1);
    assert_eq!(town.hears_of(alice), ["message hi", "message hi"]);
}

#[test]
fn a_repeat_of_what_is_under_way_waits_for_its_answer() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    town.slow_log(100);
    let both = ["first", "again"].map(|data| town.begin(alice, keyed(data)));
    town.wait(seconds(1));
    let answers = both.map(|id| town.answer(alice, id).expect("an answer")["offset"].clone());
    assert_eq!(answers, [1, 1]);
    assert_eq!(town.hears_of(alice), ["message first"]);
}

#[test]
fn a_repeated_private_message_is_answered_with_the_first_status() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let mut text = send("bob", "hi");
    text["key"] = "k".into();
    assert_eq!(town.ask(alice, text.clone())["status"], "queued");
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome", "private hi"]);
    assert_eq!(town.ask(alice, text)["status"], "queued");
    assert!(town.hears(bob).is_empty());
}

#[test]
fn a_message_that_a_router_sends_again_is_done_once() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let text = publish("lobby", "hi");
    let sequence = town.say(alice, &text);
    let trunk = town.world.trunk_of(alice).unwrap();
    town.world.repeat(alice, trunk, sequence, &text.to_string());
    town.wait(seconds(1));
    assert_eq!(town.hears_of(alice), ["message hi"]);
}

#[test]
fn keys_are_bounded() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    for (key, code) in [("", "bad_request"), (&*"k".repeat(129), "too_large")] {
        let mut text = publish("lobby", "hi");
        text["key"] = key.into();
        assert_eq!(town.ask(alice, text)["code"], code);
    }
    let mut text = publish("lobby", "hi");
    text["key"] = json!("k".repeat(128));
    assert_eq!(town.ask(alice, text)["type"], "ok");
}
