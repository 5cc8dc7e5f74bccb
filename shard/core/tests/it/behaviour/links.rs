//! Broken links between shards.

use serde_json::json;

use super::town::{Town, publish, seconds};
use crate::harness::ClientId;

/// A town with two in a room that alice's shard doesn't own, and bob's does.
fn apart() -> (Town, ClientId, ClientId, String) {
    let mut town = Town::new();
    let alice = town.come("alice");
    let room = town.room_away_from(town.home_of(alice));
    let bob = town.come_near("bob", &room);
    for client in [alice, bob] {
        town.join(client, &room);
    }
    for client in [alice, bob] {
        town.hears(client);
    }
    (town, alice, bob, room)
}

#[test]
fn a_request_over_a_broken_link_is_unavailable_at_once() {
    let (mut town, alice, _, room) = apart();
    town.cut_off(alice, &room, seconds(5));
    assert_eq!(town.publish(alice, &room, "hi")["code"], "unavailable");
    assert_eq!(town.join(alice, &room)["code"], "unavailable");
}

#[test]
fn what_is_on_its_way_when_the_link_breaks_is_unavailable() {
    let (mut town, alice, _, room) = apart();
    town.world.plan.link = 100..=100;
    let id = town.begin(alice, publish(&room, "hi"));
    town.cut_off(alice, &room, seconds(5));
    assert_eq!(town.answer(alice, id).unwrap()["code"], "unavailable");
}

#[test]
fn an_owner_that_doesnt_answer_is_unavailable_after_a_while() {
    let (mut town, alice, _, room) = apart();
    town.world.plan.link = 60_000..=60_000;
    let id = town.begin(alice, publish(&room, "hi"));
    town.wait(seconds(9));
    assert!(town.answer(alice, id).is_none());
    town.wait(seconds(1));
    assert_eq!(town.answer(alice, id).unwrap()["code"], "unavailable");
    assert_eq!(town.settled(alice), 2);
}

#[test]
fn leaving_over_a_broken_link_is_ok_and_counts() {
    let (mut town, alice, bob, room) = apart();
    town.cut_off(alice, &room, seconds(2));
    assert_eq!(town.ask(alice, json!({"type": "leave", "room": room}))["type"], "ok");
    town.wait(seconds(20));
    assert_eq!(town.hears_of(bob), ["left alice"]);
}

#[test]
fn a_link_that_is_back_brings_what_was_missed() {
    let (mut town, alice, bob, room) = apart();
    town.publish(bob, &room, "before");
    town.cut_off(alice, &room, seconds(2));
    town.publish(bob, &room, "meanwhile");
    assert_eq!(town.hears_of(alice), ["message before"]);
    town.wait(seconds(3));
    town.publish(bob, &room, "after");
    assert_eq!(town.hears_of(alice), ["message meanwhile", "message after"]);
    assert!(!town.hears_of(bob).iter().any(|it| it.contains("alice")), "nobody has left");
}

#[test]
fn what_was_missed_comes_when_the_log_can_be_read_again() {
    let (mut town, alice, bob, room) = apart();
    town.cut_off(alice, &room, seconds(2));
    // More than the owner has at hand: the rest must be read.
    for number in 1..=150 {
        town.publish(bob, &room, &number.to_string());
    }
    town.world.plan.log_failure = 1.0;
    town.wait(seconds(4));
    assert!(town.hears(alice).is_empty());
    town.world.plan.log_failure = 0.0;
    town.wait(seconds(2));
    let offsets = town.hears(alice).into_iter().map(|it| it["offset"].as_u64().unwrap());
    assert!(offsets.eq(1..=150));
    assert!(!town.hears_of(bob).iter().any(|it| it.contains("alice")), "nobody has left");
}

#[test]
fn who_is_away_for_longer_than_the_grace_has_left_and_comes_again() {
    let (mut town, alice, bob, room) = apart();
    town.cut_off(alice, &room, seconds(12));
    town.wait(seconds(9));
    let ask = json!({"type": "presence", "room": room});
    assert_eq!(town.ask(bob, ask.clone())["sure"], false);
    town.wait(seconds(2));
    assert_eq!(town.hears_of(bob), ["left alice"]);
    town.wait(seconds(2));
    assert_eq!(town.hears_of(bob), ["joined alice"]);
    assert_eq!(town.ask(bob, ask)["sure"], true);
    assert!(town.hears(alice).is_empty(), "alice is not told of itself");
}

#[test]
fn an_owner_that_has_lost_its_memory_begins_another_history_after_a_gap() {
    let (mut town, alice, bob, room) = apart();
    town.publish(bob, &room, "before");
    town.world.crash(town.owner_of_room(&room), seconds(1));
    town.wait(seconds(2));
    assert_eq!(town.closed_with(bob), Some(1012));
    let heard = town.hears(alice);
    assert_eq!((&heard[1]["type"], &heard[1]["offset"]), (&json!("gap"), &json!(0)));
    assert_ne!(heard[0]["epoch"], heard[1]["epoch"]);
    town.publish(alice, &room, "after");
    assert_eq!(town.hears(alice)[0]["offset"], 1);
}

#[test]
fn an_answer_to_a_process_that_has_died_reaches_nobody_else() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let room = town.room_away_from(town.home_of(alice));
    let home = town.home_of(alice);
    town.join(alice, &room);
    town.slow_log(3000);
    for number in 0..4 {
        town.begin(alice, publish(&room, &number.to_string()));
    }
    town.slow_log(0);
    town.world.crash(home, seconds(1));
    town.wait(seconds(2));
    // The new process counts its requests from the start, as the old one did: the answers to the
    // publishes from before are yet to come, and carry the numbers of these.
    let again = town.member("alice", &[&room]);
    let ids = ["new", "newer"].map(|data| town.begin(again, publish(&room, data)));
    town.wait(seconds(20));
    let offsets = ids.map(|id| town.answer(again, id).expect("an answer")["offset"].clone());
    assert_eq!(offsets, [5, 6]);
}
