//! What is kept, and coming back to it.

use serde_json::{Value, json};

use super::town::{Town, seconds};
use crate::harness::ClientId;
use crate::simulation::room_topic;

/// A town in which alice has said "1" to "`count`" in the lobby, of which `kept` are kept.
fn town(kept: usize, count: u64) -> (Town, ClientId) {
    let mut town = Town::with(|settings| settings.history.messages = kept);
    let alice = town.member("alice", &["lobby"]);
    for number in 1..=count {
        town.publish(alice, "lobby", &number.to_string());
    }
    town.hears(alice);
    (town, alice)
}

fn offsets(answer: &Value) -> Vec<u64> {
    let messages = answer["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["offset"].as_u64().expect("an offset")).collect()
}

fn read(town: &mut Town, client: ClientId, mut bounds: Value) -> Vec<u64> {
    bounds["type"] = "history".into();
    bounds["room"] = "lobby".into();
    offsets(&town.ask(client, bounds))
}

/// Comes as bob, goes on after an offset, and gives all that it hears.
fn come_back(town: &mut Town, epoch: &str, offset: u64) -> Vec<Value> {
    let bob = town.come("bob");
    town.hears(bob);
    let after = json!({"epoch": epoch, "offset": offset});
    town.say(bob, &json!({"type": "join", "room": "lobby", "after": after, "id": 1}));
    town.hears(bob)
}

#[test]
fn history_is_bounded_on_both_sides_and_oldest_first() {
    let (mut town, alice) = town(1000, 6);
    assert_eq!(read(&mut town, alice, json!({})), [1, 2, 3, 4, 5, 6]);
    assert_eq!(read(&mut town, alice, json!({"after": 4})), [5, 6]);
    assert_eq!(read(&mut town, alice, json!({"before": 3})), [1, 2]);
    assert_eq!(read(&mut town, alice, json!({"after": 2, "before": 5})), [3, 4]);
    assert_eq!(read(&mut town, alice, json!({"after": 6})), [0; 0]);
}

#[test]
fn a_limit_gives_the_newest_before_and_the_oldest_after() {
    let (mut town, alice) = town(1000, 6);
    assert_eq!(read(&mut town, alice, json!({"limit": 2})), [5, 6]);
    assert_eq!(read(&mut town, alice, json!({"limit": 2, "before": 5})), [3, 4]);
    assert_eq!(read(&mut town, alice, json!({"limit": 2, "after": 1})), [2, 3]);
    assert_eq!(read(&mut town, alice, json!({"limit": 2, "after": 1, "before": 5})), [3, 4]);
}

#[test]
fn who_comes_back_gets_what_it_missed_then_ok() {
    let (mut town, alice) = town(1000, 3);
    let epoch = town.place(alice, "lobby").epoch.to_string();
    let heard = come_back(&mut town, &epoch, 1);
    assert_eq!(heard.iter().map(|it| it["offset"].clone()).collect::<Vec<_>>(), [2, 3, 3]);
    assert_eq!(heard[2]["recovered"], true);
}

#[test]
fn what_is_no_longer_at_hand_is_read_from_the_log() {
    let (mut town, alice) = town(1000, 300);
    let epoch = town.place(alice, "lobby").epoch.to_string();
    let heard = come_back(&mut town, &epoch, 10);
    assert_eq!(heard.len(), 291);
    assert_eq!(heard[0]["offset"], 11);
    assert_eq!(heard[290]["recovered"], true);
}

#[test]
fn a_join_that_reads_the_log_misses_nothing_that_is_published_meanwhile() {
    let (mut town, alice) = town(1000, 300);
    let epoch = town.place(alice, "lobby").epoch.to_string();
    let bob = town.come("bob");
    town.hears(bob);
    town.slow_log(100);
    let after = json!({"epoch": epoch, "offset": 10});
    town.say(bob, &json!({"type": "join", "room": "lobby", "after": after, "id": 1}));
    town.slow_log(0);
    town.publish(alice, "lobby", "meanwhile");
    town.wait(seconds(1));
    let heard = town.hears(bob);
    assert_eq!(heard[heard.len() - 2]["data"], "meanwhile");
    assert_eq!((&heard[291]["type"], &heard[291]["offset"]), (&json!("ok"), &json!(301)));
}

#[test]
fn what_was_dropped_is_a_gap() {
    let (mut town, alice) = town(2, 5);
    assert_eq!(town.readable(&room_topic("lobby")), 4);
    let epoch = town.place(alice, "lobby").epoch.to_string();
    let heard = come_back(&mut town, &epoch, 1);
    assert_eq!((&heard[0]["type"], &heard[0]["offset"]), (&json!("gap"), &json!(3)));
    assert_eq!(heard[1..3].iter().map(|it| it["offset"].clone()).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(heard[3]["recovered"], false);
}

#[test]
fn what_has_reached_its_age_is_a_gap() {
    let mut town = Town::with(|settings| settings.history.age = seconds(60));
    let alice = town.member("alice", &["lobby"]);
    town.publish(alice, "lobby", "old");
    town.wait(seconds(61));
    town.publish(alice, "lobby", "new");
    let epoch = town.place(alice, "lobby").epoch.to_string();
    let heard = come_back(&mut town, &epoch, 0);
    assert_eq!((&heard[0]["type"], &heard[0]["offset"]), (&json!("gap"), &json!(1)));
    assert_eq!(heard[1]["data"], "new");
}

#[test]
fn a_position_of_another_history_is_a_gap_and_all_there_is() {
    let (mut town, _) = town(1000, 2);
    let heard = come_back(&mut town, "elsewhere", 7);
    assert_eq!((&heard[0]["type"], &heard[0]["offset"]), (&json!("gap"), &json!(0)));
    assert_eq!(heard[1..3].iter().map(|it| it["data"].clone()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(heard[3]["recovered"], false);
}

#[test]
fn a_position_that_was_never_reached_is_a_gap_up_to_now() {
    let (mut town, alice) = town(1000, 2);
    let epoch = town.place(alice, "lobby").epoch.to_string();
    let heard = come_back(&mut town, &epoch, 7);
    assert_eq!((&heard[0]["type"], &heard[0]["offset"]), (&json!("gap"), &json!(2)));
    assert_eq!((&heard[1]["type"], &heard[1]["recovered"]), (&json!("ok"), &json!(false)));
}

#[test]
fn a_failed_append_is_answered_when_the_log_is_back() {
    let (mut town, alice) = town(1000, 1);
    town.world.plan.log_failure = 1.0;
    let late = town.begin(alice, super::town::publish("lobby", "late"));
    assert!(town.answer(alice, late).is_none());
    town.world.plan.log_failure = 0.0;
    town.wait(seconds(2));
    let answer = town.answer(alice, late).expect("an answer");
    let kept = answer["type"] == "ok";
    assert!(kept || answer["code"] == "unavailable", "{answer}");
    let next = if kept { 3 } else { 2 };
    assert_eq!(town.publish(alice, "lobby", "next")["offset"], next);
}

#[test]
fn history_that_cant_be_read_now_is_unavailable() {
    let (mut town, alice) = town(1000, 1);
    town.world.plan.log_failure = 1.0;
    let history = json!({"type": "history", "room": "lobby"});
    assert_eq!(town.ask(alice, history)["code"], "unavailable");
}
