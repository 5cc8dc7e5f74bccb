//! Topics and sessions go to other shards, and nobody notices.

use std::time::Duration;

use serde_json::json;

use super::town::{Town, publish, seconds};
use crate::harness::{ClientId, Plan};
use crate::simulation::{inbox_topic, room_topic};

/// A town in which routers keep and move connections.
fn town(change: impl FnOnce(&mut Plan)) -> Town {
    let mut plan = Plan::calm(3);
    plan.hold = true;
    change(&mut plan);
    Town::of(plan)
}

/// The shard that owns a room goes away; gives the one that owned it.
fn drain(town: &mut Town, room: &str) -> usize {
    let owner = town.owner_of_room(room);
    town.world.away(&[owner]);
    town.wait(Duration::ZERO);
    assert_ne!(town.owner_of_room(room), owner);
    owner
}

/// Members of a room who are with another shard than its owner, and one who is with the owner.
fn members(town: &mut Town) -> [ClientId; 2] {
    let owner = town.owner_of_room("lobby");
    let far =
        (0..).map(|n| format!("far-{n}")).find(|it| town.owner_of_inbox(it) != owner).unwrap();
    let near = (0..).map(|n| format!("near-{n}")).find(|it| town.owner_of_inbox(it) == owner);
    let members = [far, near.unwrap()].map(|user| town.member(&user, &["lobby"]));
    members.map(|member| {
        town.hears(member);
        member
    })
}

#[test]
fn a_room_moves_with_its_history_and_members_who_notice_nothing() {
    let mut town = town(|_| {});
    let [far, near] = members(&mut town);
    let first = town.publish(far, "lobby", "one");
    town.hears(near);
    town.hears(far);
    let old = drain(&mut town, "lobby");
    let second = town.publish(near, "lobby", "two");
    assert_eq!(first["epoch"], second["epoch"]);
    assert_eq!(second["offset"], 2);
    assert_eq!(town.hears_of(far), ["message two"]);
    assert_eq!(town.hears_of(near), ["message two"]);
    let history = town.ask(far, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
    let presence = town.ask(far, json!({"type": "presence", "room": "lobby"}));
    assert_eq!((presence["users"].as_array().unwrap().len(), &presence["sure"]), (2, &true.into()));
    assert_eq!(town.world.holders(&room_topic("lobby")), [town.owner_of_room("lobby")]);
    assert!(town.world.is_settled(old));
    town.wait(seconds(30));
    assert!(town.hears_of(far).is_empty(), "nobody is said to have come or gone");
    assert_eq!(town.world.gauges(old).topics, 0);
}

#[test]
fn a_key_is_known_where_its_room_has_gone() {
    let mut town = town(|_| {});
    let [far, _] = members(&mut town);
    let mut text = publish("lobby", "once");
    text["key"] = "k".into();
    let first = town.ask(far, text.clone());
    drain(&mut town, "lobby");
    let again = town.ask(far, text);
    assert_eq!((&first["epoch"], &first["offset"]), (&again["epoch"], &again["offset"]));
}

#[test]
fn what_one_client_says_keeps_its_order_while_the_room_moves() {
    let mut town = town(|_| {});
    let [far, _] = members(&mut town);
    town.slow_log(50);
    for data in ["a", "b"] {
        town.say(far, &publish("lobby", data));
    }
    let owner = town.owner_of_room("lobby");
    town.world.away(&[owner]);
    for data in ["c", "d"] {
        town.say(far, &publish("lobby", data));
    }
    town.wait(seconds(5));
    assert_eq!(town.hears_of(far), ["message a", "message b", "message c", "message d"]);
}

#[test]
fn order_is_kept_when_a_home_knows_before_the_owners() {
    let mut town = town(|_| {});
    let [far, _] = members(&mut town);
    town.world.plan.link = 5..=5;
    let (owner, home) = (town.owner_of_room("lobby"), town.home_of(far));
    town.world.away_for(&[home], &[owner]);
    for data in ["a", "b", "c"] {
        town.say(far, &publish("lobby", data));
        town.wait(Duration::from_millis(3));
    }
    let others: Vec<usize> = (0..3).filter(|shard| *shard != home).collect();
    town.world.away_for(&others, &[owner]);
    town.wait(seconds(2));
    assert_eq!(town.hears_of(far), ["message a", "message b", "message c"]);
}

#[test]
fn who_joins_and_leaves_while_a_room_moves_is_announced_once() {
    let mut town = town(|_| {});
    let [far, near] = members(&mut town);
    town.slow_log(50);
    town.say(far, &publish("lobby", "slow"));
    let owner = town.owner_of_room("lobby");
    town.world.away(&[owner]);
    let carol = town.come("carol");
    town.begin(carol, json!({"type": "join", "room": "lobby"}));
    town.begin(near, json!({"type": "leave", "room": "lobby"}));
    town.wait(seconds(30));
    let heard = town.hears_of(far);
    let news: Vec<_> = heard.iter().filter(|it| !it.starts_with("message")).collect();
    assert_eq!(news.len(), 2, "{heard:?}");
    assert!(news.contains(&&"joined carol".to_owned()), "{heard:?}");
}

#[test]
fn a_room_at_rest_moves_too() {
    let mut town = town(|_| {});
    let [far, near] = members(&mut town);
    town.publish(far, "lobby", "kept");
    town.leave(far);
    town.leave(near);
    town.wait(seconds(1000));
    let old = town.owner_of_room("lobby");
    assert_eq!(town.world.gauges(old).topics, 0, "it is at rest");
    drain(&mut town, "lobby");
    let owner = town.owner_of_room("lobby");
    assert_eq!(town.world.holders(&room_topic("lobby")), [owner]);
    let alice = town.member("alice", &["lobby"]);
    let history = town.ask(alice, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"][0]["data"], "kept");
}

#[test]
fn what_waits_in_an_inbox_moves_with_it_and_is_handed_over_once() {
    let mut town = town(|_| {});
    let bob = town.come("bob");
    assert_eq!(town.send(bob, "alice", "hi")["status"], "queued");
    let owner = town.owner_of_inbox("alice");
    town.world.away(&[owner]);
    town.wait(Duration::ZERO);
    assert_eq!(town.world.holders(&inbox_topic("alice")), [town.owner_of_inbox("alice")]);
    let alice = town.come("alice");
    assert!(town.hears_of(alice).contains(&"private hi".to_owned()));
    town.world.away(&[]);
    town.wait(Duration::ZERO);
    let again = town.come("alice");
    assert_eq!(town.hears_of(again), ["welcome"]);
}

#[test]
fn a_session_moves_with_its_rooms_and_hears_no_welcome() {
    let mut town = town(|_| {});
    let [far, near] = members(&mut town);
    let home = town.home_of(far);
    town.world.away(&[home]);
    town.wait(Duration::ZERO);
    assert_ne!(town.home_of(far), home);
    assert_eq!(
        town.world.gauges(town.home_of(far)).sessions,
        1 + usize::from(town.home_of(far) == town.home_of(near))
    );
    town.publish(near, "lobby", "there?");
    assert_eq!(town.hears_of(far), ["message there?"]);
    town.wait(seconds(30));
    assert!(!town.hears_of(near).iter().any(|it| it.starts_with("left")));
    town.publish(far, "lobby", "yes");
    assert_eq!(town.hears_of(near), ["message yes"]);
}

#[test]
fn a_private_message_finds_a_session_that_its_router_has_not_moved() {
    let mut town = town(|_| {});
    let [far, near] = members(&mut town);
    let home = town.home_of(far);
    let to = town.session(far);
    town.world.away_for(&[0, 1, 2], &[home]);
    town.wait(Duration::ZERO);
    assert_eq!(town.send(near, &to, "psst")["status"], "delivered");
    assert_eq!(town.hears_of(far), ["private psst"]);
}

#[test]
fn a_room_moves_when_a_link_that_broke_in_the_midst_is_back() {
    let mut town = town(|_| {});
    let [far, _] = members(&mut town);
    town.publish(far, "lobby", "one");
    let old = town.owner_of_room("lobby");
    town.world.away_for(&[], &[old]);
    let new = town.owner_of_room("lobby");
    assert!(town.world.cut_link(old, new, seconds(2)));
    town.wait(Duration::ZERO);
    town.world.away(&[old]);
    town.say(far, &publish("lobby", "two"));
    town.wait(seconds(5));
    town.hears(far);
    let history = town.ask(far, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"][0]["data"], "one");
    assert!(town.world.is_settled(old));
}

#[test]
fn a_durable_owner_that_dies_in_the_midst_gives_its_rooms_away_when_it_is_back() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    town.publish(far, "lobby", "one");
    town.slow_log(50);
    let old = drain(&mut town, "lobby");
    assert!(town.world.crash(old, seconds(3)));
    town.wait(seconds(20));
    town.slow_log(0);
    town.hears(far);
    let history = town.ask(far, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"][0]["data"], "one");
    assert_eq!(town.world.holders(&room_topic("lobby")), [town.owner_of_room("lobby")]);
}

#[test]
fn a_new_owner_that_dies_in_the_midst_has_the_room_or_is_given_it_again() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    town.slow_log(20);
    town.say(far, &publish("lobby", "one"));
    town.wait(seconds(1));
    drain(&mut town, "lobby");
    town.wait(Duration::from_millis(90));
    let new = town.owner_of_room("lobby");
    assert!(town.world.crash(new, seconds(2)));
    town.wait(seconds(20));
    assert_eq!(town.world.holders(&room_topic("lobby")), [new]);
    assert!((0..3).all(|shard| town.world.is_settled(shard)));
}

#[test]
fn a_memory_that_is_gone_is_not_waited_for() {
    let mut town = town(|_| {});
    let [far, _] = members(&mut town);
    town.publish(far, "lobby", "one");
    town.hears(far);
    let old = town.owner_of_room("lobby");
    assert!(town.world.crash(old, seconds(60)));
    town.world.away(&[old]);
    town.wait(seconds(5));
    assert!(town.hears_of(far).contains(&"gap".to_owned()));
    assert_eq!(town.publish(far, "lobby", "two")["offset"], 1);
}

/// A room that nobody was in yet, of one shard.
fn new_room(town: &Town, owner: usize) -> String {
    (0..).map(|n| format!("new-{n}")).find(|room| town.owner_of_room(room) == owner).unwrap()
}

#[test]
fn who_went_away_with_nothing_is_not_waited_for_when_it_is_in_no_map_any_more() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    let room = new_room(&town, town.owner_of_room("lobby"));
    let old = drain(&mut town, "lobby");
    town.wait(seconds(1));
    assert!(town.world.crash(old, seconds(600)));
    town.wait(seconds(1));
    let rest: Vec<usize> = (0..3).filter(|shard| *shard != old).collect();
    town.world.new_map(&rest, &[old]);
    town.wait(Duration::ZERO);
    // A new process doesn't know any more where the room was.
    let owner = town.owner_of_room(&room);
    assert!(town.world.crash(owner, seconds(1)));
    town.wait(seconds(3));
    town.hears(far);
    assert_eq!(town.join(far, &room)["type"], "ok");
    assert_eq!(town.publish(far, &room, "one")["offset"], 1);
}

#[test]
fn who_has_said_that_it_has_nothing_is_not_waited_for_though_the_view_has_changed_by_then() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    let old = town.owner_of_room("lobby");
    let room = new_room(&town, old);
    town.world.plan.link = 5..=5;
    town.world.away(&[old]);
    while !town.world.is_settled(old) {
        town.wait(Duration::from_millis(1));
    }
    // It never hears of this, and what it has said last is still on its way.
    let rest: Vec<usize> = (0..3).filter(|shard| *shard != old).collect();
    let next = town.owner_of_room(&room);
    let other = rest.iter().copied().find(|shard| *shard != next).unwrap();
    town.world.away_for(&rest, &[old, other]);
    town.wait(Duration::from_millis(50));
    assert!(town.world.crash(old, seconds(600)));
    town.wait(seconds(1));
    let request = town.begin(far, json!({"type": "join", "room": room}));
    town.wait(seconds(1));
    assert_eq!(town.answer(far, request).unwrap()["type"], "ok");
}

#[test]
fn a_dead_shard_with_a_log_of_its_own_is_given_up_when_it_is_in_no_map_any_more() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    town.publish(far, "lobby", "one");
    town.hears(far);
    let old = town.owner_of_room("lobby");
    assert!(town.world.crash(old, seconds(600)));
    town.wait(seconds(1));
    let rest: Vec<usize> = (0..3).filter(|shard| *shard != old).collect();
    town.world.new_map(&rest, &[]);
    let request = town.begin(far, publish("lobby", "too early"));
    town.wait(seconds(20));
    assert_eq!(town.answer(far, request).unwrap()["code"], "unavailable");
    town.wait(seconds(20));
    assert_eq!(town.publish(far, "lobby", "two")["offset"], 2);
    assert_eq!(town.hears_of(far), ["gap", "message too early", "message two"]);
}

#[test]
fn who_is_in_the_map_again_has_what_it_had_where_nothing_was_said_without_it() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    town.publish(far, "lobby", "one");
    let old = town.owner_of_room("lobby");
    assert!(town.world.crash(old, seconds(60)));
    town.wait(seconds(1));
    let rest: Vec<usize> = (0..3).filter(|shard| *shard != old).collect();
    town.world.new_map(&rest, &[]);
    town.wait(seconds(40));
    town.hears(far);
    let history = town.ask(far, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"].as_array().unwrap().len(), 0, "it has begun anew");
    town.world.new_map(&[0, 1, 2], &[]);
    town.wait(seconds(40));
    town.hears(far);
    let history = town.ask(far, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"][0]["data"], "one");
}

#[test]
fn a_room_moves_without_being_opened_where_all_share_one_log() {
    let mut town = town(|plan| (plan.durable, plan.shared) = (true, true));
    let [far, near] = members(&mut town);
    let keyed = |data| {
        let mut text = publish("lobby", data);
        text["key"] = "k".into();
        text
    };
    let first = town.ask(far, keyed("one"));
    town.hears(far);
    town.hears(near);
    let before = town.world.writes(&room_topic("lobby"));
    drain(&mut town, "lobby");
    let second = town.publish(near, "lobby", "two");
    assert_eq!((&second["epoch"], &second["offset"]), (&first["epoch"], &2.into()));
    for member in [far, near] {
        assert_eq!(town.hears_of(member), ["message two"]);
    }
    assert_eq!(town.ask(far, keyed("again"))["offset"], 1, "the new owner knows of it");
    let history = town.ask(far, json!({"type": "history", "room": "lobby"}));
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
    assert_eq!(town.world.writes(&room_topic("lobby")), before + 1, "a publish, and no opening");
}

#[test]
fn who_was_passed_over_while_its_log_was_slow_tells_nobody_where_its_room_stood() {
    let mut town = town(|plan| (plan.durable, plan.shared) = (true, true));
    let [far, near] = members(&mut town);
    town.publish(far, "lobby", "one");
    let old = town.owner_of_room("lobby");
    // The next owner does not hear of the batch that is under way.
    for other in (0..3).filter(|shard| *shard != old) {
        assert!(town.world.cut_link(old, other, seconds(2)));
    }
    town.world.plan.log = 4000..=4000;
    let slow = town.begin(near, publish("lobby", "slow"));
    town.world.plan.log = 0..=0;
    town.world.away(&[old]);
    town.wait(seconds(1));
    town.publish(far, "lobby", "two");
    town.wait(seconds(2));
    town.world.away(&[]);
    town.wait(seconds(2));
    town.publish(far, "lobby", "three");
    for member in [far, near] {
        let answer = town.answer(member, slow);
        assert_eq!(answer.map(|it| it["offset"].clone()), (member == near).then(|| 2.into()));
        let all = ["message one", "message slow", "message two", "message three"];
        assert_eq!(town.hears_of(member), all);
    }
}

#[test]
fn a_dead_owner_is_followed_where_all_share_one_log() {
    let mut town = town(|plan| (plan.durable, plan.shared) = (true, true));
    let [far, _] = members(&mut town);
    town.publish(far, "lobby", "one");
    town.hears(far);
    let old = town.owner_of_room("lobby");
    assert!(town.world.crash(old, seconds(60)));
    // It takes longer to find it dead than links are waited for.
    town.wait(seconds(1));
    town.world.away(&[old]);
    town.wait(Duration::ZERO);
    assert_eq!(town.publish(far, "lobby", "two")["offset"], 2);
    assert_eq!(town.hears_of(far), ["message two"]);
}

#[test]
fn who_is_in_what_a_restarted_owner_has_given_away_is_as_unsure_as_it_was_there() {
    let mut town = town(|plan| plan.durable = true);
    let [far, _] = members(&mut town);
    let old = town.owner_of_room("lobby");
    let mut rooms = (0..).map(|n| format!("attic-{n}"));
    let attic = rooms.find(|room| town.owner_of_room(room) == old).unwrap();
    // One of them is at rest when it moves, and the other isn't.
    let rooms = ["lobby", &attic];
    town.join(far, &attic);
    for room in rooms {
        town.publish(far, room, "kept");
    }
    town.ask(far, json!({"type": "leave", "room": attic}));
    assert!(town.world.crash(old, seconds(1)));
    town.wait(seconds(2));
    drain(&mut town, "lobby");
    town.join(far, &attic);
    let sure = |town: &mut Town| {
        rooms.map(|room| {
            let presence = town.ask(far, json!({"type": "presence", "room": room}));
            presence["sure"].as_bool().unwrap()
        })
    };
    assert_eq!(sure(&mut town), [false, false]);
    town.wait(seconds(10));
    assert_eq!(sure(&mut town), [true, true]);
}
