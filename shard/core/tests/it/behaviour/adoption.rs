//! A router keeps its connections while their shard is away, and attaches them again: what its
//! clients notice of that.

use std::time::Duration;

use serde_json::json;

use super::town::{Town, publish, seconds, send};
use crate::harness::ClientId;

/// A town whose routers keep connections, and whose stores outlive their shards.
fn town() -> Town {
    let mut town = Town::new();
    town.world.plan.hold = true;
    town.world.plan.durable = true;
    town
}

/// The shard of a client ends, and another process takes its place.
fn restart(town: &mut Town, client: ClientId) {
    let home = town.home_of(client);
    assert!(town.world.crash(home, seconds(1)), "it runs");
    town.wait(seconds(3));
}

/// A client's trunk breaks and is made again. Its shard lives on.
fn cut(town: &mut Town, client: ClientId) {
    let home = town.home_of(client);
    assert!(town.world.cut_trunk((0, home), seconds(1)), "it is whole");
    town.wait(seconds(3));
}

#[test]
fn who_is_in_a_room_hears_nothing_of_its_shards_restart_but_what_was_said_meanwhile() {
    for crashes in [true, false] {
        let mut town = town();
        let alice = town.come("alice");
        let home = town.home_of(alice);
        let room = town.room_away_from(home);
        let bob = town.come_near("bob", &room);
        for client in [bob, alice] {
            assert_eq!(town.join(client, &room)["type"], "ok");
        }
        town.hears(alice);
        town.hears(bob);
        let lost = match crashes {
            true => town.world.crash(home, seconds(2)),
            false => town.world.cut_trunk((0, home), seconds(2)),
        };
        assert!(lost);
        town.wait(seconds(1));
        assert_eq!(town.publish(bob, &room, "while you were away")["type"], "ok");
        town.wait(seconds(3));
        town.publish(bob, &room, "and now");
        assert_eq!(town.hears_of(alice), ["message while you were away", "message and now"]);
        assert_eq!(town.hears_of(bob).len(), 2, "nobody left or came");
        assert_eq!(town.closed_with(alice), None);
    }
}

#[test]
fn a_publish_that_was_kept_and_not_answered_is_answered_with_its_first_place() {
    let mut town = town();
    let alice = town.come_near("alice", "lobby");
    town.join(alice, "lobby");
    town.hears(alice);
    town.slow_log(400);
    let id = town.begin(alice, publish("lobby", "hi"));
    // It is in the store, and the shard doesn't know yet.
    town.wait(Duration::from_millis(500));
    assert_eq!(town.answer(alice, id), None);
    restart(&mut town, alice);
    let answer = town.answer(alice, id).expect("it is answered");
    assert_eq!((&answer["type"], &answer["offset"]), (&json!("ok"), &json!(1)));
    assert_eq!(town.hears_of(alice), ["message hi"]);
}

#[test]
fn what_is_said_while_the_shard_is_away_is_done_when_it_is_back() {
    for lose in [restart, cut] {
        let mut town = town();
        let alice = town.member("alice", &["lobby"]);
        let home = town.home_of(alice);
        town.world.cut_trunk((0, home), seconds(1));
        let id = town.begin(alice, publish("lobby", "hi"));
        assert_eq!(town.answer(alice, id), None);
        town.wait(seconds(3));
        assert_eq!(town.answer(alice, id).expect("an answer")["type"], "ok");
        lose(&mut town, alice);
        let id = town.begin(alice, json!({"type": "ping"}));
        assert_eq!(town.answer(alice, id).expect("an answer")["type"], "ok");
    }
}

#[test]
fn messages_that_are_sent_again_cost_nothing_of_the_rate() {
    let mut town = Town::with(|settings| (settings.publish_rate, settings.publish_burst) = (1, 3));
    town.world.plan.hold = true;
    let alice = town.member("alice", &["lobby"]);
    let home = town.home_of(alice);
    town.world.cut_trunk((0, home), seconds(1));
    let ids: Vec<u64> = (0..5).map(|_| town.begin(alice, publish("lobby", "hi"))).collect();
    town.wait(seconds(3));
    for id in ids {
        assert_eq!(town.answer(alice, id).expect("an answer")["type"], "ok");
    }
}

#[test]
fn private_messages_go_on_where_they_were() {
    for lose in [restart, cut] {
        let mut town = town();
        let alice = town.come("alice");
        let room = town.room_away_from(town.home_of(alice));
        let bob = town.come_near("bob", &room);
        town.send(bob, "alice", "before");
        assert_eq!(town.hears_of(alice), ["welcome", "private before"]);
        lose(&mut town, alice);
        assert_eq!(town.send(bob, "alice", "after")["status"], "delivered");
        assert_eq!(town.hears_of(alice), ["private after"]);
    }
}

#[test]
fn a_room_that_was_left_stays_left() {
    for lose in [restart, cut] {
        let mut town = town();
        let alice = town.member("alice", &["lobby", "attic"]);
        town.ask(alice, json!({"type": "leave", "room": "lobby"}));
        lose(&mut town, alice);
        let bob = town.member("bob", &["lobby", "attic"]);
        town.publish(bob, "lobby", "not for alice");
        town.publish(bob, "attic", "for alice");
        let heard = town.hears_of(alice);
        assert_eq!(heard.last().map(String::as_str), Some("message for alice"), "{heard:?}");
        assert!(!heard.contains(&"message not for alice".to_owned()), "{heard:?}");
    }
}

#[test]
fn a_session_whose_token_has_ended_is_asked_to_come_back() {
    let mut town = town();
    let end = town.world.wall_ms() + 1500;
    let alice = town.come_as("alice", |guest| {
        guest.authenticated = true;
        guest.identity.expires_ms = Some(end);
    });
    let home = town.home_of(alice);
    assert!(town.world.crash(home, seconds(2)));
    town.wait(seconds(3));
    assert_eq!(town.closed_with(alice), Some(1012));
}

#[test]
fn a_message_to_oneself_is_kept_once_though_the_trunk_breaks() {
    let mut town = town();
    let alice = town.come("alice");
    town.slow_log(400);
    let id = town.begin(alice, send("alice", "note"));
    town.wait(Duration::from_millis(500));
    cut(&mut town, alice);
    town.wait(seconds(2));
    assert_eq!(town.answer(alice, id).expect("an answer")["type"], "ok");
    assert_eq!(town.hears_of(alice), ["welcome", "private note"]);
}

#[test]
fn a_room_that_was_joined_without_a_number_is_gone_on_in() {
    for lose in [restart, cut] {
        let mut town = town();
        let alice = town.come("alice");
        town.say(alice, &json!({"type": "join", "room": "lobby"}));
        town.hears(alice);
        lose(&mut town, alice);
        let bob = town.come("bob");
        for round in ["one", "two"] {
            town.say(bob, &json!({"type": "join", "room": "lobby"}));
            town.say(bob, &publish("lobby", round));
            town.say(bob, &json!({"type": "leave", "room": "lobby"}));
        }
        let heard = town.hears_of(alice);
        let messages = heard.iter().filter(|it| it.starts_with("message"));
        assert_eq!(messages.collect::<Vec<_>>(), ["message one", "message two"]);
    }
}

#[test]
fn a_token_that_was_renewed_stays_renewed() {
    for lose in [restart, cut] {
        let mut town = town();
        let end = town.world.wall_ms() + 1500;
        let alice = town.come_as("alice", |guest| {
            guest.authenticated = true;
            guest.identity.expires_ms = Some(end);
        });
        let token = format!("alice@{}", end + 600_000);
        assert_eq!(town.ask(alice, json!({"type": "auth", "token": token}))["type"], "ok");
        town.wait(seconds(2));
        lose(&mut town, alice);
        assert_eq!(town.closed_with(alice), None);
        assert_eq!(town.ask(alice, json!({"type": "ping"}))["type"], "ok");
    }
}

#[test]
fn a_connection_whose_trunk_breaks_again_and_again_goes_on() {
    let mut town = town();
    let alice = town.member("alice", &["lobby", "attic"]);
    let home = town.home_of(alice);
    for _ in 0..5 {
        town.world.cut_trunk((0, home), Duration::ZERO);
        town.wait(Duration::from_millis(1));
    }
    town.wait(seconds(1));
    let bob = town.member("bob", &["lobby", "attic"]);
    town.hears(alice);
    for room in ["lobby", "attic"] {
        town.publish(bob, room, room);
    }
    assert_eq!(town.hears_of(alice), ["message lobby", "message attic"]);
}
