//! Socket.IO clients whose shard restarts, or whose trunk breaks, while their router keeps them.

use std::time::Duration;

use trunkline_config::ShardKey;
use trunkline_config::events::{
    Args, EventAction, EventRule, Message, Pattern, Root, Template, Text,
};
use trunkline_core::{Action, ApiCall, Body, CoreSettings, Dialect};

use super::rules::{call, rule, with};
use super::sockets::{stamp, welcome};
use super::town::{Town, seconds};
use crate::harness::ClientId;
use crate::simulation::room_topic;

fn town() -> Town {
    town_with(|_| {})
}

/// A town whose routers keep connections, and whose stores outlive their shards.
fn town_with(change: impl FnOnce(&mut CoreSettings)) -> Town {
    let mut town = Town::with(change);
    town.world.plan.hold = true;
    town.world.plan.durable = true;
    town
}

/// What may happen to a client's shard.
const LOSSES: [fn(&mut Town, ClientId); 2] = [restart, cut];

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

fn says(emit: &str) -> Message {
    let first = Template::Text(Text::reference(Root::Argument(0)));
    let args = Args::Listed(vec![first]);
    Message { emit: Some(emit.to_owned()), args, key: None, ephemeral: false, echo: true }
}

fn broadcast(event: &str) -> EventRule {
    rule(event, EventAction::Broadcast { message: says("said") })
}

/// The acknowledgements that a client has had, and what it has heard besides.
fn acknowledgements(town: &mut Town, client: ClientId) -> (Vec<String>, Vec<String>) {
    town.packets(client).into_iter().partition(|packet| packet.starts_with("43"))
}

#[test]
fn a_socket_hears_what_was_said_while_its_shard_was_away_and_nothing_twice() {
    for lose in LOSSES {
        let mut town = town();
        let alice = town.socket("alice");
        let room = town.room_away_from(town.home_of(alice));
        let bob = town.come_near("bob", &room);
        town.emit(alice, &format!("[\"join\",\"{room}\"]"));
        town.join(bob, &room);
        town.publish(bob, &room, "before");
        assert_eq!(town.events(alice).last().map(String::as_str), Some("e before"));
        let home = town.home_of(alice);
        town.world.cut_trunk((0, home), seconds(2));
        town.publish(bob, &room, "while you were away");
        town.wait(seconds(3));
        lose(&mut town, alice);
        town.publish(bob, &room, "and now");
        assert_eq!(town.events(alice), ["e while you were away", "e and now"]);
        assert_eq!(town.closed_with(alice), None);
        assert!(!town.hears_of(bob).contains(&"left alice".to_owned()));
    }
}

#[test]
fn a_publish_that_was_kept_and_not_acknowledged_is_acknowledged_once() {
    for lose in LOSSES {
        let mut town = town();
        let alice = town.socket("alice");
        town.emit(alice, "[\"join\",\"lobby\"]");
        town.packets(alice);
        town.slow_log(400);
        town.packet(alice, "29[\"message\",\"lobby\",\"hi\"]");
        town.wait(Duration::from_millis(500));
        lose(&mut town, alice);
        town.wait(seconds(2));
        let (answers, heard) = acknowledgements(&mut town, alice);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0].starts_with("439[{\"type\":\"ok\",\"room\":\"lobby\""), "{answers:?}");
        assert_eq!(heard.len(), 1, "{heard:?}");
    }
}

#[test]
fn half_of_a_packet_is_said_again_from_its_text() {
    for lose in LOSSES {
        let mut town = town();
        let alice = town.socket("alice");
        town.emit(alice, "[\"join\",\"lobby\"]");
        town.packets(alice);
        let place = "{\"_placeholder\":true,\"num\":0}";
        town.packet(alice, &format!("51-9[\"message\",\"lobby\",{place}]"));
        let before = town.settled(alice);
        lose(&mut town, alice);
        assert_eq!(town.settled(alice), before, "a text waits for its attachments");
        town.world.attach(alice, b"bytes");
        town.wait(seconds(0));
        let (answers, heard) = acknowledgements(&mut town, alice);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(heard[0].starts_with("451-[\"message\""), "{heard:?}");
        assert_eq!(heard[1], "bytes");
        assert_eq!(town.settled(alice), before + 2);
    }
}

#[test]
fn each_namespace_goes_on_where_it_was() {
    for lose in LOSSES {
        let mut town = town_with(|settings| settings.namespaces = vec![Pattern::any()]);
        let alice = town.socket("alice");
        town.packet(alice, "0/a,");
        town.packet(alice, "2/a,1[\"join\",\"lobby\"]");
        town.packet(alice, "22[\"join\",\"attic\"]");
        let bob = town.socket("bob");
        town.packet(bob, "0/a,");
        town.packet(bob, "2/a,1[\"join\",\"lobby\"]");
        town.packet(bob, "22[\"join\",\"attic\"]");
        town.packet(bob, "2[\"private\",\"alice\",\"first\"]");
        town.packets(alice);
        lose(&mut town, alice);
        town.wait(seconds(2));
        town.packet(bob, "2/a,3[\"message\",\"lobby\",\"in a\"]");
        town.packet(bob, "24[\"message\",\"attic\",\"in the main one\"]");
        town.packet(bob, "2[\"private\",\"alice\",\"second\"]");
        let heard = town.packets(alice);
        let with = |text: &str| heard.iter().filter(|packet| packet.contains(text)).count();
        assert_eq!(
            [with("\"in a\""), with("\"in the main one\""), with("second"), with("first")],
            [1, 1, 2, 0],
            "private messages are heard in both: {heard:?}"
        );
    }
}

#[test]
fn a_room_that_was_left_stays_left() {
    for lose in LOSSES {
        let mut town = town();
        let alice = town.socket("alice");
        for room in ["lobby", "attic"] {
            town.emit(alice, &format!("[\"join\",\"{room}\"]"));
        }
        town.emit(alice, "[\"leave\",\"lobby\"]");
        lose(&mut town, alice);
        let bob = town.member("bob", &["lobby", "attic"]);
        town.packets(alice);
        town.publish(bob, "lobby", "not for alice");
        town.publish(bob, "attic", "for alice");
        assert_eq!(town.events(alice), ["e for alice"]);
    }
}

#[test]
fn who_has_left_its_namespace_is_not_in_it_again() {
    for lose in LOSSES {
        let mut town = town_with(with(vec![broadcast("all")]));
        let (alice, bob) = (town.socket("alice"), town.socket("bob"));
        town.slow_log(300);
        // Said, and left before it is kept.
        town.packet(alice, "2[\"all\",\"goodbye\"]");
        town.packet(alice, "1");
        lose(&mut town, alice);
        town.wait(seconds(2));
        assert_eq!(town.events(bob), ["said goodbye"]);
        assert_eq!(town.settled(alice), 3);
        assert_eq!(town.packets(alice), [] as [&str; 0]);
        town.packet(alice, "0");
        town.wait(seconds(1));
        assert!(town.packets(alice)[0].starts_with("40{"), "it may come back");
    }
}

#[test]
fn a_connect_that_was_not_answered_is_answered_and_its_rules_are_done_once() {
    for lose in LOSSES {
        let mut town = town_with(with(vec![broadcast("connect")]));
        let bob = town.socket("bob");
        town.packets(bob);
        let alice = town.plug_in("alice");
        town.slow_log(300);
        town.packet(alice, "0");
        lose(&mut town, alice);
        town.wait(seconds(3));
        let welcomed = town.packets(alice).iter().filter(|it| it.starts_with("40{")).count();
        assert_eq!(welcomed, 1);
        assert_eq!(town.closed_with(alice), None);
        assert_eq!(town.events(bob), ["said null"]);
        lose(&mut town, alice);
        let again = town.packets(alice).iter().filter(|it| it.starts_with("40{")).count();
        assert_eq!(again, 0, "it stays the same session");
    }
}

#[test]
fn an_application_that_was_asked_is_asked_again_by_the_same_name_and_its_client_answered_once() {
    for lose in LOSSES {
        let mut town = town_with(with(vec![rule("say", call())]));
        let alice = town.socket("alice");
        town.packet(alice, "25[\"say\",\"hi\"]");
        let (shard, first) = town.calls.pop().expect("it is asked");
        lose(&mut town, alice);
        let (_, second) = town.calls.pop().expect("it is asked again");
        assert_eq!(first.id, second.id);
        // The answer to the first may still come.
        town.world.answer_call(shard, first.ticket, Ok(r#"{"ack":["first"]}"#));
        town.world.answer_call(shard, second.ticket, Ok(r#"{"ack":["second"]}"#));
        town.wait(seconds(1));
        let (answers, _) = acknowledgements(&mut town, alice);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(town.settled(alice), 2);
    }
}

#[test]
fn what_a_client_was_told_on_the_way_is_not_told_again() {
    for lose in LOSSES {
        let reply = EventAction::Reply { emit: Some("heard".to_owned()), args: Args::Rest };
        let mut town = town_with(with(vec![rule("all", reply), broadcast("all")]));
        let alice = town.socket("alice");
        town.slow_log(400);
        town.packet(alice, "25[\"all\",\"hi\"]");
        assert_eq!(town.events(alice), ["heard hi"]);
        lose(&mut town, alice);
        town.wait(seconds(2));
        let (answers, heard) = acknowledgements(&mut town, alice);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(heard.len(), 1, "the broadcast alone: {heard:?}");
    }
}

#[test]
fn who_polled_is_kept_from_the_change_on() {
    for lose in LOSSES {
        let mut town = town();
        let polling = town.socket("alice");
        town.emit(polling, "[\"join\",\"lobby\"]");
        let alice = town.world.change_connection(polling);
        town.wait(seconds(0));
        lose(&mut town, alice);
        let bob = town.member("bob", &["lobby"]);
        town.publish(bob, "lobby", "hi");
        assert_eq!(town.events(alice).last().map(String::as_str), Some("e hi"));
        assert_eq!(town.emit(alice, "[\"message\",\"lobby\",\"me too\"]")["type"], "ok");
        assert_eq!(town.closed_with(alice), None);
    }
}

#[test]
fn who_was_kept_recovers_by_what_it_has_heard_from_this_process() {
    for (lose, knows_older) in LOSSES.into_iter().zip([false, true]) {
        for hears_more in [true, false] {
            let mut town = town();
            let alice = town.plug_in("alice");
            town.packet(alice, "0");
            let pid = welcome(&town.packets(alice)[0], "pid");
            town.emit(alice, "[\"join\",\"lobby\"]");
            let bob = town.member("bob", &["lobby"]);
            town.publish(bob, "lobby", "one");
            let mut last = stamp(town.packets(alice).last().expect("a message"));
            lose(&mut town, alice);
            if hears_more {
                town.publish(bob, "lobby", "two");
                last = stamp(town.packets(alice).last().expect("a message"));
            }
            town.leave(alice);
            town.publish(bob, "lobby", "three");
            let again = town.come_back("alice", &ShardKey::User("alice"), &pid, &last);
            town.wait(seconds(1));
            let heard = town.packets(again);
            // A process remembers its own stamps, and the newest says that all was heard.
            let recovers = hears_more || knows_older;
            assert_eq!(welcome(&heard[0], "pid") == pid, recovers);
            let missed = heard.iter().filter(|packet| packet.contains("three")).count();
            assert_eq!(missed, usize::from(recovers), "{heard:?}");
        }
    }
}

#[test]
fn who_comes_back_elsewhere_leaves_the_connection_that_was_kept() {
    let mut town = town();
    let alice = town.plug_in("alice");
    town.packet(alice, "0");
    let pid = welcome(&town.packets(alice)[0], "pid");
    town.packet(alice, "27[\"join\",\"lobby\"]");
    let home = town.home_of(alice);
    let bob = town.member("bob", &["lobby"]);
    town.publish(bob, "lobby", "one");
    let last = stamp(town.packets(alice).last().expect("a message"));
    town.world.cut_trunk((0, home), seconds(2));
    let guest = town.guest("alice", &ShardKey::User("alice"), |guest| {
        guest.dialect = Dialect::SocketIo;
    });
    let other = town.enter(1, guest);
    town.packet(other, &format!("0{{\"pid\":\"{pid}\",\"offset\":\"{last}\"}}"));
    town.wait(seconds(3));
    assert_eq!(welcome(&town.packets(other)[0], "pid"), pid);
    assert_eq!(town.closed_with(alice), Some(1012));
    town.publish(bob, "lobby", "two");
    assert_eq!(town.events(other), ["e two"]);
}

#[test]
fn an_answer_to_what_the_process_before_has_asked_is_no_answer_to_anything() {
    let mut town = town();
    let alice = town.socket("alice");
    town.emit(alice, "[\"join\",\"lobby\"]");
    let asked = |town: &mut Town, number: u64| {
        let body = Body::from_json_array("ready?", "[]").expect("a body");
        let action = Action::Gather { body, timeout: seconds(5) };
        let request = ApiCall::Topic(room_topic("lobby"), action);
        let home = town.owner_of_room("lobby");
        town.world.ask(0, home, number, request);
        town.wait(Duration::ZERO);
        let packet = town.packets(alice).pop().expect("it is asked");
        packet[2..packet.find('[').expect("an array")].to_owned()
    };
    let first = asked(&mut town, 1);
    restart(&mut town, alice);
    let second = asked(&mut town, 2);
    town.answers.clear();
    town.packet(alice, &format!("3{first}[\"late\"]"));
    assert!(town.answers.is_empty(), "{first} is not {second}");
    town.packet(alice, &format!("3{second}[\"yes\"]"));
    assert_eq!(town.answers.len(), 1);
}
