//! A Socket.IO client comes back (connection state recovery).

use trunkline_config::ShardKey;

use super::apart::{ALICE, Apart};
use super::sockets::{stamp, welcome};
use super::town::{Town, seconds};
use crate::harness::{ClientId, Plan};

/// A client that has been in the lobby, and what it needs to come back.
struct Left {
    sid: String,
    pid: String,
    stamp: String,
}

/// `alice`, placed by `key`, hears one message in the lobby and is cut off.
fn leave_after_one(town: &mut Town, key: &ShardKey<'_>, bob: ClientId) -> Left {
    let alice = town.plug_in_as("alice", key, |_| {});
    town.packet(alice, "0");
    let welcomed = town.packets(alice);
    town.emit(alice, "[\"join\",\"lobby\"]");
    town.emit(bob, "[\"message\",\"lobby\",\"1\"]");
    let heard = town.packets(alice);
    town.leave(alice);
    Left {
        sid: welcome(&welcomed[0], "sid"),
        pid: welcome(&welcomed[0], "pid"),
        stamp: stamp(heard.last().expect("a message")),
    }
}

fn come_back(town: &mut Town, key: &ShardKey<'_>, left: &Left) -> ClientId {
    town.come_back("alice", key, &left.pid, &left.stamp)
}

fn member(town: &mut Town, user: &str) -> ClientId {
    let client = town.socket(user);
    town.emit(client, "[\"join\",\"lobby\"]");
    client
}

#[test]
fn who_comes_back_has_its_id_its_rooms_and_what_it_missed_in_order_and_once() {
    let mut town = Town::new();
    let bob = member(&mut town, "bob");
    let key = ShardKey::User("alice");
    let left = leave_after_one(&mut town, &key, bob);
    for text in ["2", "3"] {
        town.emit(bob, &format!("[\"message\",\"lobby\",\"{text}\"]"));
        town.emit(bob, &format!("[\"private\",\"alice\",\"p{text}\"]"));
        town.wait(seconds(1));
    }
    let alice = come_back(&mut town, &key, &left);
    let heard = town.packets(alice);
    assert_eq!(welcome(&heard[0], "sid"), left.sid);
    assert_eq!(welcome(&heard[0], "pid"), left.pid);
    let texts: Vec<&str> = heard[1..].iter().map(|it| it.split('"').nth(3).unwrap()).collect();
    assert_eq!(texts, ["2", "p2", "3", "p3"]);
    town.emit(bob, "[\"message\",\"lobby\",\"4\"]");
    assert_eq!(town.events(alice), ["message 4"]);
    assert_eq!(town.emit(alice, "[\"message\",\"lobby\",\"5\"]")["type"], "ok");
}

#[test]
fn who_is_cut_off_again_half_way_gets_the_rest() {
    let mut town = Town::new();
    let bob = member(&mut town, "bob");
    let key = ShardKey::User("alice");
    let mut left = leave_after_one(&mut town, &key, bob);
    for text in ["2", "3", "4"] {
        town.emit(bob, &format!("[\"message\",\"lobby\",\"{text}\"]"));
    }
    let alice = come_back(&mut town, &key, &left);
    let heard = town.packets(alice);
    town.leave(alice);
    // Of what was sent, all up to the first missed message has reached it.
    left.stamp = stamp(&heard[1]);
    let alice = come_back(&mut town, &key, &left);
    let heard = town.packets(alice);
    assert_eq!(welcome(&heard[0], "pid"), left.pid);
    let texts: Vec<&str> = heard[1..].iter().map(|it| it.split('"').nth(3).unwrap()).collect();
    assert_eq!(texts, ["3", "4"]);
}

#[test]
fn who_is_placed_by_chance_comes_back_to_another_shard_and_is_found_by_its_id() {
    let mut town = Town::new();
    let bob = member(&mut town, "bob");
    let far: Vec<ShardKey<'_>> = (0..8).map(ShardKey::Anonymous).collect();
    let left = leave_after_one(&mut town, &far[0], bob);
    for key in &far[1..] {
        town.emit(bob, "[\"message\",\"lobby\",\"missed\"]");
        let alice = come_back(&mut town, key, &left);
        let heard = town.packets(alice);
        assert_eq!(welcome(&heard[0], "sid"), left.sid, "{key}");
        assert!(heard.len() > 1, "what it missed follows");
        let sent = town.emit(bob, &format!("[\"private\",\"{}\",\"you\"]", left.sid));
        assert_eq!(sent["status"], "delivered");
        assert_eq!(town.events(alice), ["private you"]);
        town.leave(alice);
    }
}

#[test]
fn who_was_last_with_another_shard_than_its_id_names_is_offline_once_it_has_gone() {
    let mut town = Town::new();
    let bob = member(&mut town, "bob");
    let far: Vec<ShardKey<'_>> = (0..8).map(ShardKey::Anonymous).collect();
    let left = leave_after_one(&mut town, &far[0], bob);
    for key in &far {
        let alice = come_back(&mut town, key, &left);
        assert_eq!(welcome(&town.packets(alice)[0], "sid"), left.sid, "{key}");
        town.leave(alice);
        let sent = town.emit(bob, &format!("[\"private\",\"{}\",\"you\"]", left.sid));
        assert_eq!(sent["status"], "offline", "{key}");
    }
}

/// Alice, whom her router holds when her shard goes, has heard one message of bob's.
fn apart() -> Apart {
    let mut plan = Plan::calm(3);
    (plan.hold, plan.durable) = (true, true);
    let mut apart = Apart::of(plan);
    apart.town.publish(apart.bob, &apart.room, "1");
    apart
}

#[test]
fn a_shard_that_remembers_who_was_elsewhere_since_gives_back_nothing_old() {
    for back_to_first in [true, false] {
        let Apart { mut town, alice, bob, home, room, pid } = apart();
        assert_eq!(town.events(alice).last().map(String::as_str), Some("e 1"));
        town.world.away(&[home]);
        town.wait(seconds(3));
        assert_ne!(town.home_of(alice), home);
        town.publish(bob, &room, "2");
        let stamp = stamp(town.packets(alice).last().expect("a message"));
        town.leave(alice);
        if back_to_first {
            town.world.away(&[]);
            town.wait(seconds(3));
        }
        town.publish(bob, &room, "3");
        let alice = town.come_back("alice", &ALICE, &pid, &stamp);
        town.wait(seconds(1));
        assert_eq!(town.home_of(alice) == home, back_to_first);
        let heard = town.packets(alice);
        assert_eq!(welcome(&heard[0], "pid"), pid, "it is found where it was last");
        let texts: Vec<&str> = heard[1..].iter().map(|it| it.split('"').nth(3).unwrap()).collect();
        assert_eq!(texts, ["3"], "and has it all once");
    }
}

#[test]
fn who_has_not_read_what_another_shard_gave_it_meanwhile_does_not_recover_without_it() {
    let Apart { mut town, alice, bob, home, room, pid } = apart();
    let stamp = stamp(town.packets(alice).last().expect("a message"));
    town.world.away(&[home]);
    town.wait(seconds(3));
    town.publish(bob, &room, "2");
    assert_eq!(town.events(alice), ["e 2"]);
    town.world.away(&[]);
    town.wait(seconds(3));
    assert_eq!(town.home_of(alice), home, "it is back, and has heard nothing there since");
    town.leave(alice);
    let alice = town.come_back("alice", &ALICE, &pid, &stamp);
    town.wait(seconds(1));
    assert_ne!(welcome(&town.packets(alice)[0], "pid"), pid);
}

#[test]
fn who_has_left_by_another_shard_since_does_not_come_back_as_an_earlier_one_remembers_it() {
    let mut plan = Plan::calm(3);
    (plan.hold, plan.durable) = (true, true);
    let mut town = Town::of(plan);
    let bob = member(&mut town, "bob");
    let key = ShardKey::User("alice");
    let alice = town.plug_in_as("alice", &key, |_| {});
    let home = town.home_of(alice);
    town.packet(alice, "0");
    let pid = welcome(&town.packets(alice)[0], "pid");
    town.emit(alice, "[\"join\",\"lobby\"]");
    town.emit(bob, "[\"message\",\"lobby\",\"1\"]");
    let stamp = stamp(town.packets(alice).last().expect("a message"));
    town.world.away(&[home]);
    town.wait(seconds(3));
    town.packet(alice, "1");
    town.leave(alice);
    town.world.away(&[]);
    town.wait(seconds(3));
    for _ in 0..2 {
        let alice = town.come_back("alice", &key, &pid, &stamp);
        town.wait(seconds(1));
        assert_ne!(welcome(&town.packets(alice)[0], "pid"), pid);
        town.leave(alice);
    }
}

#[test]
fn who_comes_back_too_late_or_with_a_made_up_id_begins_anew() {
    let mut town = Town::new();
    let bob = member(&mut town, "bob");
    let key = ShardKey::User("alice");
    let mut left = leave_after_one(&mut town, &key, bob);
    town.wait(seconds(121));
    let alice = come_back(&mut town, &key, &left);
    assert_ne!(welcome(&town.packets(alice)[0], "pid"), left.pid);
    left.pid = format!("~{}", "A".repeat(32));
    let alice = come_back(&mut town, &key, &left);
    assert_ne!(welcome(&town.packets(alice)[0], "pid"), left.pid);
}

#[test]
fn a_session_can_not_be_taken_over_by_another_user() {
    let mut town = Town::new();
    let bob = member(&mut town, "bob");
    let left = leave_after_one(&mut town, &ShardKey::User("alice"), bob);
    let eve = town.plug_in_as("eve", &ShardKey::User("alice"), |guest| guest.authenticated = true);
    town.packet(eve, &format!("0{{\"pid\":\"{}\",\"offset\":\"{}\"}}", left.pid, left.stamp));
    assert_ne!(welcome(&town.packets(eve)[0], "pid"), left.pid);
}

#[test]
fn what_is_gone_from_the_history_makes_it_begin_anew() {
    let mut town = Town::with(|settings| settings.history.messages = 2);
    let bob = member(&mut town, "bob");
    let key = ShardKey::User("alice");
    let left = leave_after_one(&mut town, &key, bob);
    for text in ["2", "3", "4", "5"] {
        town.emit(bob, &format!("[\"message\",\"lobby\",\"{text}\"]"));
    }
    let alice = come_back(&mut town, &key, &left);
    let heard = town.packets(alice);
    assert_ne!(welcome(&heard[0], "pid"), left.pid);
    assert_eq!(heard.len(), 1, "and is told nothing of what there is");
    town.emit(bob, "[\"message\",\"lobby\",\"6\"]");
    assert!(town.events(alice).is_empty(), "it is in no room");
}

#[test]
fn where_it_is_switched_off_nothing_is_stamped() {
    let mut town = Town::with(|settings| settings.recovery = None);
    let bob = town.plug_in("bob");
    town.packet(bob, "0");
    assert!(!town.packets(bob)[0].contains("pid"));
    town.emit(bob, "[\"join\",\"lobby\"]");
    town.emit(bob, "[\"message\",\"lobby\",\"1\"]");
    assert!(town.packets(bob)[0].ends_with("}]"));
}
