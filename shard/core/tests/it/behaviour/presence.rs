//! Who is there, and who is said to have come and gone.

use serde_json::{Value, json};

use super::town::{Town, seconds};
use crate::harness::ClientId;

fn presence(town: &mut Town, client: ClientId) -> Value {
    town.ask(client, json!({"type": "presence", "room": "lobby"}))
}

#[test]
fn a_user_comes_with_the_first_connection_and_goes_with_the_last() {
    let mut town = Town::new();
    let alice = town.member("alice", &["lobby"]);
    let [first, second] = ["bob", "bob"].map(|user| town.member(user, &["lobby"]));
    assert_eq!(town.hears_of(alice), ["joined bob"]);
    town.leave(first);
    assert!(town.hears(alice).is_empty());
    town.ask(second, json!({"type": "leave", "room": "lobby"}));
    assert_eq!(town.hears_of(alice), ["left bob"]);
}

#[test]
fn nobody_is_told_of_itself() {
    let mut town = Town::new();
    let alice = town.come("alice");
    town.join(alice, "lobby");
    town.member("alice", &["lobby"]);
    assert_eq!(town.hears_of(alice), ["welcome"]);
}

#[test]
fn presence_counts_connections_and_is_paged_by_user() {
    let mut town = Town::new();
    for user in ["carol", "alice", "bob", "bob"] {
        town.member(user, &["lobby"]);
    }
    let dave = town.come("dave");
    let page = town.ask(dave, json!({"type": "presence", "room": "lobby", "limit": 2}));
    let users = json!([{"user": "alice", "connections": 1}, {"user": "bob", "connections": 2}]);
    assert_eq!((&page["users"], &page["sure"]), (&users, &json!(true)));
    let next = json!({"type": "presence", "room": "lobby", "limit": 2, "after": "bob"});
    assert_eq!(town.ask(dave, next)["users"], json!([{"user": "carol", "connections": 1}]));
}

#[test]
fn a_large_room_announces_nobody_and_still_knows_everybody() {
    let mut town = Town::with(|settings| settings.announce_up_to = 2);
    let [alice, _, carol] = ["alice", "bob", "carol"].map(|user| town.member(user, &["lobby"]));
    assert_eq!(town.hears_of(alice), ["joined bob"]);
    assert_eq!(presence(&mut town, alice)["users"].as_array().unwrap().len(), 3);
    town.leave(carol);
    assert!(town.hears(alice).is_empty());
    assert_eq!(presence(&mut town, alice)["users"].as_array().unwrap().len(), 2);
}

#[test]
fn behind_a_broken_trunk_a_member_stays_until_the_grace_is_over() {
    let mut town = Town::new();
    let alice = town.come_elsewhere("alice");
    town.join(alice, "lobby");
    let bob = town.member("bob", &["lobby"]);
    town.hears(alice);
    let home = town.home_of(bob);
    town.world.cut_trunk((0, home), seconds(1));
    town.wait(seconds(9));
    assert_eq!(town.closed_with(bob), Some(1012));
    let answer = presence(&mut town, alice);
    assert_eq!((&answer["sure"], answer["users"].as_array().unwrap().len()), (&json!(false), 2));
    assert!(town.hears(alice).is_empty());
    town.wait(seconds(1));
    assert_eq!(town.hears_of(alice), ["left bob"]);
    let answer = presence(&mut town, alice);
    assert_eq!((&answer["sure"], answer["users"].as_array().unwrap().len()), (&json!(true), 1));
}

#[test]
fn who_comes_back_within_the_grace_has_not_left() {
    let mut town = Town::new();
    let alice = town.come_elsewhere("alice");
    town.join(alice, "lobby");
    let bob = town.member("bob", &["lobby"]);
    town.hears(alice);
    let home = town.home_of(bob);
    town.world.cut_trunk((0, home), seconds(1));
    town.wait(seconds(5));
    town.member("bob", &["lobby"]);
    town.wait(seconds(60));
    assert!(town.hears(alice).is_empty());
    assert_eq!(presence(&mut town, alice)["users"][1], json!({"user": "bob", "connections": 1}));
}

#[test]
fn after_a_restart_presence_is_unsure_until_everybody_had_time_to_come() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let room = town.room_away_from(town.home_of(alice));
    town.join(alice, &room);
    town.world.crash(town.owner_of_room(&room), seconds(1));
    town.wait(seconds(2));
    let ask = json!({"type": "presence", "room": room});
    let answer = town.ask(alice, ask.clone());
    assert_eq!(answer["users"], json!([{"user": "alice", "connections": 1}]));
    assert_eq!(answer["sure"], false);
    town.wait(seconds(10));
    assert_eq!(town.ask(alice, ask)["sure"], true);
}
