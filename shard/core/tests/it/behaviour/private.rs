//! Private messages: to users and to sessions.

use serde_json::{Value, json};

use super::town::{Town, seconds, send};
use crate::harness::ClientId;

#[test]
fn every_connection_of_a_user_gets_a_private_message_wherever_it_is() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let rooms = ["lobby", "attic", "garden", "kitchen"];
    let bobs = rooms.map(|room| town.come_near("bob", room));
    for bob in bobs {
        town.hears(bob);
    }
    assert_eq!(town.send(alice, "bob", "hi")["status"], "delivered");
    for bob in bobs {
        assert_eq!(town.hears_of(bob), ["private hi"]);
    }
    assert_eq!(town.hears_of(alice), ["welcome"]);
}

#[test]
fn no_shard_that_is_busy_wakes_up_for_what_was_answered_long_ago() {
    let mut town = Town::new();
    let alice = town.come("alice");
    town.come("bob");
    let before = town.world.ticks;
    // For longer than anybody waits for an answer, or for a message to be handed over.
    for number in 0..60 {
        assert_eq!(town.send(alice, "bob", &number.to_string())["status"], "delivered");
        town.wait(seconds(1) / 2);
    }
    assert_eq!(town.world.ticks, before);
}

#[test]
fn what_is_queued_comes_in_order_and_once() {
    let mut town = Town::new();
    let alice = town.come("alice");
    for data in ["1", "2", "3"] {
        assert_eq!(town.send(alice, "bob", data)["status"], "queued");
    }
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome", "private 1", "private 2", "private 3"]);
    town.leave(bob);
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome"]);
}

#[test]
fn an_inbox_is_resumed_after_a_position_even_if_it_was_handed_over() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let bob = town.come("bob");
    for data in ["1", "2", "3"] {
        assert_eq!(town.send(alice, "bob", data)["status"], "delivered");
    }
    let first = &town.hears(bob)[1];
    let epoch = trunkline_core::Epoch::new(first["epoch"].as_str().unwrap());
    let offset = first["offset"].as_u64().unwrap();
    town.leave(bob);
    let after = trunkline_core::Position { epoch, offset };
    let bob = town.come_as("bob", |guest| guest.inbox_after = Some(after));
    assert_eq!(town.hears_of(bob), ["welcome", "private 2", "private 3"]);
}

#[test]
fn an_ephemeral_message_to_nobody_is_offline() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let mut text = send("bob", "typing");
    text["ephemeral"] = true.into();
    assert_eq!(town.ask(alice, text.clone())["status"], "offline");
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome"]);
    assert_eq!(town.ask(alice, text)["status"], "delivered");
    assert_eq!(town.hears_of(bob), ["private typing"]);
}

#[test]
fn a_message_to_a_session_goes_to_it_alone() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let [first, second] = ["lobby", "attic"].map(|room| town.come_near("bob", room));
    let session = town.session(first);
    town.hears(first);
    town.hears(second);
    let ok = town.send(alice, &session, "hi");
    assert_eq!((&ok["status"], &ok["to"]), (&json!("delivered"), &json!(session)));
    assert_eq!(town.hears_of(first), ["private hi"]);
    assert!(town.hears(second).is_empty());
    town.leave(first);
    assert_eq!(town.send(alice, &session, "hi")["status"], "offline");
}

#[test]
fn a_full_inbox_takes_nothing_more() {
    let mut town = Town::with(|settings| settings.inbox_messages = 2);
    let alice = town.come("alice");
    let statuses: Vec<_> =
        ["1", "2", "3"].map(|data| town.send(alice, "bob", data)["status"].clone()).into();
    assert_eq!(statuses, ["queued", "queued", "offline"]);
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome", "private 1", "private 2"]);
    assert_eq!(town.send(alice, "bob", "4")["status"], "delivered");
}

#[test]
fn what_has_waited_for_too_long_is_gone() {
    let mut town = Town::with(|settings| settings.inbox_age = seconds(60));
    let alice = town.come("alice");
    town.send(alice, "bob", "old");
    town.wait(seconds(40));
    town.send(alice, "bob", "new");
    town.wait(seconds(40));
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome", "private new"]);
}

#[test]
fn what_finds_no_room_in_an_out_queue_stays_queued() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let bob = town.come("bob");
    town.world.plan.no_room = 1.0;
    assert_eq!(town.send(alice, "bob", "hi")["status"], "queued");
    assert_eq!(town.closed_with(bob), Some(1013));
    town.world.plan.no_room = 0.0;
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome", "private hi"]);
}

/// Alice sends to bob, whose router takes so many seconds to be reached. Gives bob, and what
/// alice is told after the deadline.
fn through_a_slow_trunk(town: &mut Town, latency: u64) -> (ClientId, Value) {
    let bob = town.come("bob");
    let alice = town.come_elsewhere("alice");
    let mut text = send("bob", "hi");
    text["id"] = 1.into();
    town.world.say(alice, &text.to_string());
    town.world.plan.trunk = latency * 1000..=latency * 1000;
    town.wait(seconds(1));
    town.world.plan.trunk = 0..=0;
    assert!(town.answer(alice, 1).is_none());
    town.wait(seconds(5));
    let answer = town.answer(alice, 1).expect("the deadline has passed");
    town.wait(seconds(latency));
    assert_eq!(town.hears_of(bob), ["welcome", "private hi"]);
    (bob, answer)
}

#[test]
fn a_router_that_doesnt_answer_is_waited_for_no_longer_than_the_deadline() {
    let mut town = Town::new();
    let (_, answer) = through_a_slow_trunk(&mut town, 60);
    assert_eq!(answer["status"], "queued");
}

#[test]
fn a_receipt_that_comes_late_spares_the_next_connection_the_message() {
    let mut town = Town::new();
    let (bob, answer) = through_a_slow_trunk(&mut town, 7);
    assert_eq!(answer["status"], "queued");
    town.leave(bob);
    let bob = town.come("bob");
    assert_eq!(town.hears_of(bob), ["welcome"]);
}

#[test]
fn an_inbox_out_of_reach_is_opened_when_its_link_is_back() {
    let mut town = Town::new();
    let name = town.user_away_from(town.owner_of_room("lobby"));
    let (home, owner) = (town.owner_of_room("lobby"), town.owner_of_inbox(&name));
    town.world.cut_link(home, owner, seconds(2));
    town.wait(seconds(1));
    let client = town.come_near(&name, "lobby");
    town.wait(seconds(2));
    let alice = town.come("alice");
    assert_eq!(town.send(alice, &name, "hi")["status"], "delivered");
    assert_eq!(town.hears_of(client), ["welcome", "private hi"]);
}

#[test]
fn a_repeated_key_to_a_session_is_delivered_once() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let bob = town.come("bob");
    let session = town.hears(bob)[0]["session"].as_str().unwrap().to_owned();
    let mut text = send(&session, "once");
    text["key"] = "k".into();
    for _ in 0..3 {
        assert_eq!(town.ask(alice, text.clone())["status"], "delivered");
    }
    assert_eq!(town.hears_of(bob), ["private once"]);
}

#[test]
fn what_reached_nobody_may_be_sent_again_with_its_key() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let mut text = send("bob", "typing");
    text["ephemeral"] = true.into();
    text["key"] = "k".into();
    assert_eq!(town.ask(alice, text.clone())["status"], "offline");
    let bob = town.come("bob");
    assert_eq!(town.ask(alice, text.clone())["status"], "delivered");
    assert_eq!(town.ask(alice, text)["status"], "delivered");
    assert_eq!(town.hears_of(bob), ["welcome", "private typing"]);
}
