//! Shards without a store of their own that have lost sight of each other for longer than they wait.

use std::time::Duration;

use serde_json::json;

use super::town::{Town, publish, seconds};
use crate::harness::{ClientId, Plan};
use crate::simulation::{inbox_topic, room_topic};

/// Two shards, of which the first has what is the second's again, and doesn't reach it for longer than
/// that one waits.
fn cut_off(town: &mut Town, old: usize, new: usize) {
    assert_ne!(old, new);
    assert!(town.world.cut_link(old, new, seconds(5)));
    town.world.away(&[]);
    town.wait(seconds(4));
}

#[test]
fn a_memory_that_was_taken_for_dead_and_can_be_reached_gives_what_it_has_before_it_begins_anew() {
    let mut town = Town::of(Plan::calm(3));
    let new = town.owner_of_room("lobby");
    town.world.away(&[new]);
    town.wait(Duration::ZERO);
    let (old, alice) = (town.owner_of_room("lobby"), town.come_near("alice", "lobby"));
    town.join(alice, "lobby");
    town.publish(alice, "lobby", "one");
    town.hears(alice);
    cut_off(&mut town, old, new);
    town.wait(seconds(10));
    assert_eq!(town.world.holders(&room_topic("lobby")), [new]);
    assert!(town.hears_of(alice).is_empty(), "nothing is lost, and nothing comes again");
    assert_eq!(town.publish(alice, "lobby", "two")["offset"], 2);
}

#[test]
fn an_inbox_that_has_begun_anew_doesnt_hand_over_again_what_it_is_given_then() {
    let mut town = Town::of(Plan::calm(3));
    let new = town.owner_of_inbox("alice");
    town.world.away(&[new]);
    town.wait(Duration::ZERO);
    let (old, alice) = (town.owner_of_inbox("alice"), town.come("alice"));
    let near = (0..).map(|n| format!("near-{n}")).find(|it| town.owner_of_inbox(it) == old);
    let near = town.come(&near.expect("somebody is near"));
    for text in ["one", "two"] {
        assert_eq!(town.send(near, "alice", text)["status"], "delivered");
    }
    town.hears(alice);
    cut_off(&mut town, old, new);
    // Others go on without it.
    let far = (0..).map(|n| format!("far-{n}")).find(|it| town.owner_of_inbox(it) == new);
    let far = town.come(&far.expect("somebody is far"));
    assert_eq!(town.send(far, "alice", "anew")["status"], "queued");
    town.wait(seconds(10));
    assert_eq!(town.hears_of(alice), ["private anew"]);
    assert_eq!(town.world.holders(&inbox_topic("alice")), [new]);
    town.send(far, "alice", "three");
    assert_eq!(town.hears_of(alice), ["private three"]);
}

#[test]
fn what_a_dead_memory_may_have_been_given_is_gone_on_from_by_nobody() {
    let mut plan = Plan::calm(3);
    plan.link = 5..=5;
    let mut town = Town::of(plan);
    let old = town.owner_of_room("lobby");
    let alice = town.come_near("alice", "lobby");
    let join = town.begin(alice, json!({"type": "join", "room": "lobby"}));
    let said = town.begin(alice, publish("lobby", "one"));
    town.wait(seconds(1));
    let [joined, said] = [join, said].map(|id| town.answer(alice, id).expect("it is answered"));
    assert_eq!((&joined["type"], &said["offset"]), (&json!("ok"), &json!(1)));
    town.hears(alice);
    town.world.away(&[old]);
    let new = town.owner_of_room("lobby");
    // It has been given the room, and its word that it has it is on its way.
    while town.world.holders(&room_topic("lobby")) != [old.min(new), old.max(new)] {
        town.wait(Duration::from_millis(1));
    }
    assert!(town.world.cut_link(old, new, seconds(600)));
    town.world.away(&[]);
    town.wait(seconds(4));
    let two = town.begin(alice, publish("lobby", "two"));
    town.wait(seconds(1));
    let two = town.answer(alice, two).expect("it is answered");
    assert_eq!(two["offset"], 1);
    assert_ne!(two["epoch"], said["epoch"]);
    assert_eq!(town.hears_of(alice), ["gap", "message two"]);
}

#[test]
fn a_room_that_went_to_who_is_out_of_reach_before_it_was_opened_is_opened_when_it_is_back() {
    let mut town = Town::of(Plan::calm(3));
    let new = town.owner_of_room("lobby");
    town.world.away(&[new]);
    town.wait(Duration::ZERO);
    let old = town.owner_of_room("lobby");
    let other = (0..).map(|n| format!("other-{n}"));
    let mut other = other.filter(|it| ![old, new].contains(&town.owner_of_inbox(it)));
    let other = other.next().expect("somebody is at the third");
    let alice = town.come(&other);
    assert!(town.world.cut_link(old, new, seconds(600)));
    town.world.away(&[]);
    town.wait(seconds(1));
    town.begin(alice, json!({"type": "join", "room": "lobby"}));
    town.wait(seconds(1));
    town.world.away(&[new]);
    town.wait(seconds(4));
    town.world.away(&[]);
    town.wait(seconds(30));
    let said = town.begin(alice, publish("lobby", "one"));
    town.wait(seconds(1));
    assert_eq!(town.answer(alice, said).expect("it is answered")["offset"], 1);
}

/// A room at a shard, `old`, whose it is while another, `new`, is away. Both are back, but don't see each other.
/// Somebody is in it whose home is `old`, and somebody whose home is the third.
fn owner_out_of_reach() -> (Town, [usize; 2], [ClientId; 2]) {
    let mut town = Town::of(Plan::calm(3));
    let new = town.owner_of_room("lobby");
    let users: Vec<String> = (0..50).map(|n| format!("user-{n}")).collect();
    let owners: Vec<usize> = users.iter().map(|user| town.owner_of_inbox(user)).collect();
    let of = |shard| owners.iter().position(|it| *it == shard).expect("somebody is there");
    town.world.away(&[new]);
    town.wait(Duration::ZERO);
    let old = town.owner_of_room("lobby");
    let [alice, bob] = [old, 3 - old - new].map(|shard| town.come(&users[of(shard)]));
    for member in [alice, bob] {
        town.join(member, "lobby");
    }
    assert!(town.world.cut_link(old, new, seconds(600)));
    town.world.away(&[]);
    town.wait(Duration::ZERO);
    (town, [old, new], [alice, bob])
}

#[test]
fn who_went_while_their_room_was_anothers_that_cant_be_reached_has_left_when_it_is_back() {
    let (mut town, [old, new], [_alice, bob]) = owner_out_of_reach();
    assert!(town.world.cut_trunk((0, old), seconds(600)));
    // Her shard tells the room's new owner in vain that she has left.
    town.wait(seconds(15));
    town.world.away(&[new]);
    town.wait(seconds(30));
    let there = town.ask(bob, json!({"type": "presence", "room": "lobby"}));
    assert_eq!(there["users"].as_array().map(Vec::len), Some(1), "{there}");
    assert_eq!(there["sure"], true);
}

#[test]
fn who_is_the_last_to_go_while_their_room_is_anothers_that_cant_be_reached_has_left() {
    let (mut town, [old, new], [alice, bob]) = owner_out_of_reach();
    let home = 3 - old - new;
    assert!(town.world.cut_link(home, new, seconds(600)));
    town.wait(Duration::ZERO);
    let left = town.ask(bob, json!({"type": "leave", "room": "lobby"}));
    assert_eq!(left["type"], "ok");
    town.world.away(&[new]);
    town.wait(seconds(30));
    let there = town.ask(alice, json!({"type": "presence", "room": "lobby"}));
    assert_eq!(there["users"].as_array().map(Vec::len), Some(1), "{there}");
}
