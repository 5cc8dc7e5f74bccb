//! What a Socket.IO session leaves behind when it ends, and what it finds when it comes back.

use trunkline_config::ShardKey;
use trunkline_config::events::{
    Args, EventAction, EventRule, Message, Pattern, Root, Template, Text,
};
use trunkline_core::{Action, ApiCall, Topic, UserId};

use super::rules::{call, rule, with};
use super::sockets::{stamp, welcome};
use super::town::{Town, publish, seconds};
use crate::harness::ClientId;

/// `user` connects to `/`; its `sid` and `pid`.
fn arrive(town: &mut Town, user: &str) -> (ClientId, String, String) {
    let client = town.plug_in(user);
    town.packet(client, "0");
    let welcomed = town.packets(client);
    (client, welcome(&welcomed[0], "sid"), welcome(&welcomed[0], "pid"))
}

/// `user` comes back with a `pid` and an offset; nothing is taken of what it hears.
fn again(town: &mut Town, user: &str, pid: &str, offset: &str) -> ClientId {
    town.come_back(user, &ShardKey::User(user), pid, offset)
}

#[test]
fn what_a_session_has_asked_is_settled_though_it_leaves_its_namespace() {
    let mut town = Town::with(|settings| settings.namespaces = vec![Pattern::any()]);
    let alice = town.plug_in("alice");
    town.packet(alice, "0");
    town.packet(alice, "0/a,");
    town.packet(alice, "2/a,1[\"join\",\"lobby\"]");
    town.slow_log(500);
    town.world.say(alice, "2/a,2[\"message\",\"lobby\",\"hi\"]");
    town.world.say(alice, "1/a,");
    town.wait(seconds(30));
    town.packet(alice, "21[\"presence\",\"*\"]");
    assert_eq!(town.settled(alice), 6);
}

#[test]
fn what_waits_for_the_application_is_settled_though_its_session_leaves() {
    let mut town = Town::with(with(vec![rule("say", call())]));
    let alice = town.plug_in("alice");
    town.packet(alice, "0");
    town.packet(alice, "2[\"say\"]");
    town.packet(alice, "1");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    town.world.answer_call(shard, asked.ticket, Ok("{}"));
    town.wait(seconds(1));
    assert_eq!(town.settled(alice), 3);
}

#[test]
fn what_was_said_before_a_refusal_is_settled() {
    let mut town = Town::with(with(vec![rule("connect", call())]));
    let alice = town.plug_in("alice");
    town.packet(alice, "0");
    town.packet(alice, "2[\"message\",\"lobby\",1]");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    let answer = Ok(r#"{"reject":{"message":"no"}}"#);
    town.world.answer_call(shard, asked.ticket, answer);
    town.wait(seconds(1));
    assert_eq!(town.settled(alice), 2);
}

#[test]
fn a_connect_that_is_taken_back_before_the_welcome_is_settled() {
    let mut town = Town::with(with(vec![rule("connect", call())]));
    let alice = town.plug_in("alice");
    town.packet(alice, "0");
    town.packet(alice, "1");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    town.world.answer_call(shard, asked.ticket, Ok("{}"));
    town.wait(seconds(1));
    assert_eq!(town.settled(alice), 2);
}

#[test]
fn who_comes_back_does_not_hear_what_it_said_itself_without_echo() {
    let shout = EventAction::Publish {
        room: Text::reference(Root::Argument(0)),
        message: Message {
            emit: Some("shouted".to_owned()),
            args: Args::Rest,
            key: None,
            ephemeral: false,
            echo: false,
        },
    };
    let mut town = Town::with(with(vec![rule("shout", shout)]));
    let bob = town.socket("bob");
    town.emit(bob, "[\"join\",\"lobby\"]");
    let (alice, _, pid) = arrive(&mut town, "alice");
    town.emit(alice, "[\"join\",\"lobby\"]");
    town.emit(bob, "[\"message\",\"lobby\",\"1\"]");
    let offset = stamp(town.packets(alice).last().expect("a message"));
    town.emit(alice, "[\"shout\",\"lobby\",\"mine\"]");
    assert!(town.events(alice).is_empty(), "no echo");
    town.leave(alice);
    let alice = again(&mut town, "alice", &pid, &offset);
    assert_eq!(town.events(alice), [""; 0]);
}

#[test]
fn nothing_stays_of_sessions_that_have_come_back_and_gone() {
    let mut town = Town::new();
    let (mut alice, _, pid) = arrive(&mut town, "alice");
    let home = town.home_of(alice);
    for _ in 0..3 {
        town.leave(alice);
        alice = again(&mut town, "alice", &pid, "");
        assert_eq!(welcome(&town.packets(alice)[0], "pid"), pid);
    }
    town.leave(alice);
    town.wait(seconds(1000));
    let inside = town.world.inside(home);
    assert!(inside.contains("privates: {},"), "{}", part(&inside, "privates: "));
}

fn part<'a>(inside: &'a str, from: &str) -> &'a str {
    let at = inside.find(from).expect("it is there");
    &inside[at..(at + 300).min(inside.len())]
}

#[test]
fn no_alias_stays_of_a_session_that_has_wandered() {
    let mut town = Town::new();
    let far: Vec<ShardKey<'_>> = (0..8).map(ShardKey::Anonymous).collect();
    let alice = town.plug_in_as("alice", &far[0], |_| {});
    town.packet(alice, "0");
    let pid = welcome(&town.packets(alice)[0], "pid");
    town.leave(alice);
    for key in &far[1..] {
        let alice = town.come_back("alice", key, &pid, "");
        assert_eq!(welcome(&town.packets(alice)[0], "pid"), pid);
        town.leave(alice);
    }
    let alice = town.come_back("alice", &far[0], &pid, "");
    assert_eq!(welcome(&town.packets(alice)[0], "pid"), pid);
    town.leave(alice);
    town.wait(seconds(1000));
    for shard in 0..3 {
        let inside = town.world.inside(shard);
        assert!(inside.contains("aliases: {},"), "{}", part(&inside, "aliases: "));
    }
}

#[test]
fn an_answer_to_the_session_as_it_was_is_not_taken_for_one_as_it_is() {
    let mut town = Town::new();
    let (alice, _, pid) = arrive(&mut town, "alice");
    let room = town.room_away_from(town.home_of(alice));
    let owner = town.owner_of_room(&room);
    // Bob is at the room's owner: what he says arrives there at once.
    let bob = town.come_near("bob", &room);
    assert_eq!(town.home_of(bob), owner);
    assert_eq!(town.join(bob, &room)["type"], "ok");
    town.emit(alice, &format!("[\"join\",\"{room}\"]"));
    town.say(bob, &publish(&room, "1"));
    let offset = stamp(town.packets(alice).last().expect("a message"));
    town.world.plan.link = 100..=100;
    let ms = std::time::Duration::from_millis;
    // Again, and its answer takes a while.
    town.packet(alice, &format!("2[\"join\",\"{room}\"]"));
    town.leave(alice);
    town.wait(ms(110));
    // The owner has let it in again and forgotten it.
    town.say(bob, &publish(&room, "2"));
    let alice = again(&mut town, "alice", &pid, &offset);
    town.wait(ms(150));
    town.wait(ms(2000));
    town.say(bob, &publish(&room, "3"));
    town.wait(ms(2000));
    assert_eq!(town.events(alice), ["e 2", "e 3"]);
}

fn home_of_key(town: &mut Town, key: &ShardKey<'_>) -> usize {
    let guest = town.guest("nobody", key, |_| {});
    town.world.home_of(&guest.session)
}

#[test]
fn an_event_without_arguments_is_not_taken_for_a_stamp() {
    let reply = EventAction::Reply { emit: Some("pong".to_owned()), args: Args::Listed(vec![]) };
    let mut town = Town::with(with(vec![rule("ping", reply)]));
    let alice = town.socket("alice");
    town.packet(alice, "2[\"ping\"]");
    // socket.io-client takes the last element of the array for the offset if it is a string.
    assert_eq!(town.packets(alice), ["42[\"pong\",\"11.0\"]"]);
}

#[test]
fn who_is_cut_off_before_the_welcome_may_come_back_once_more() {
    let mut town = Town::new();
    let (alice, _, pid) = arrive(&mut town, "alice");
    let room = town.room_away_from(town.home_of(alice));
    let bob = town.socket("bob");
    for client in [alice, bob] {
        town.emit(client, &format!("[\"join\",\"{room}\"]"));
    }
    town.emit(bob, &format!("[\"message\",\"{room}\",\"1\"]"));
    let offset = stamp(town.packets(alice).last().expect("a message"));
    town.leave(alice);
    town.world.plan.link = 100..=100;
    let alice = again(&mut town, "alice", &pid, &offset);
    assert!(town.packets(alice).is_empty(), "its rooms have not let it in");
    town.leave(alice);
    town.wait(seconds(1));
    let alice = again(&mut town, "alice", &pid, &offset);
    town.wait(seconds(1));
    assert_eq!(welcome(&town.packets(alice)[0], "pid"), pid);
}

#[test]
fn a_grace_is_counted_from_its_own_break() {
    let mut town = Town::new();
    let bob = town.socket("bob");
    town.emit(bob, "[\"join\",\"lobby\"]");
    let (alice, _, pid) = arrive(&mut town, "alice");
    town.emit(alice, "[\"join\",\"lobby\"]");
    let home = town.home_of(alice);
    assert_ne!(home, town.home_of(bob));
    assert!(town.world.cut_trunk((0, home), seconds(1)));
    town.wait(seconds(2));
    let _alice = again(&mut town, "alice", &pid, "");
    town.wait(seconds(6));
    assert!(town.world.cut_trunk((0, home), seconds(60)));
    town.packets(bob);
    town.wait(seconds(5));
    assert_eq!(town.events(bob), [""; 0], "five seconds of ten are over");
}

#[test]
fn nothing_stays_of_an_old_token() {
    let mut town = Town::with(|settings| settings.tokens = true);
    let key = ShardKey::Anonymous(7);
    let alice = town.plug_in_as("guest-1", &key, |_| {});
    let home = town.home_of(alice);
    town.packet(alice, "0{\"token\":\"carol@4000000000000\"}");
    assert!(town.packets(alice)[0].starts_with("40{"));
    town.leave(alice);
    town.wait(seconds(1000));
    let inside = town.world.inside(home);
    assert!(inside.contains("expiries: {}"), "{}", part(&inside, "expiries: "));
}

#[test]
fn nothing_is_said_to_a_client_before_its_welcome() {
    let mut town = Town::new();
    let (alice, sid, pid) = arrive(&mut town, "alice");
    let room = town.room_away_from(town.home_of(alice));
    let bob = town.come("bob-near");
    town.emit(alice, &format!("[\"join\",\"{room}\"]"));
    town.leave(alice);
    town.world.plan.link = 100..=100;
    let alice = again(&mut town, "alice", &pid, "");
    town.say(bob, &super::town::send(&sid, "psst"));
    town.wait(seconds(2));
    let heard = town.packets(alice);
    assert!(heard[0].starts_with("40{"), "{heard:?}");
}

#[test]
fn what_the_application_wants_done_when_a_client_has_gone_is_done() {
    let mut town = Town::with(with(vec![rule("disconnect", call())]));
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    town.leave(alice);
    let (shard, asked) = town.calls.pop().expect("it is asked");
    let answer = Ok(r#"{"do":[{"do":"broadcast","emit":"bye","args":["alice"]}]}"#);
    town.world.answer_call(shard, asked.ticket, answer);
    town.wait(seconds(1));
    assert_eq!(town.events(bob), ["bye alice"]);
}

#[test]
fn rules_behind_a_call_are_carried_out_when_a_client_has_gone() {
    let bye = EventAction::Broadcast {
        message: Message {
            emit: Some("bye".to_owned()),
            args: Args::Listed(vec![Template::Text(Text::reference(Root::User))]),
            key: None,
            ephemeral: false,
            echo: true,
        },
    };
    let mut town = Town::with(with(vec![rule("disconnect", call()), rule("disconnect", bye)]));
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    town.leave(alice);
    let (shard, asked) = town.calls.pop().expect("it is asked");
    town.world.answer_call(shard, asked.ticket, Ok("{}"));
    town.wait(seconds(1));
    assert_eq!(town.events(bob), ["bye alice"]);
}

#[test]
fn a_call_of_the_connection_before_answers_nothing_on_the_next() {
    let mut town = Town::with(with(vec![rule("say", call())]));
    let (alice, _, pid) = arrive(&mut town, "alice");
    town.packet(alice, "25[\"say\"]");
    let (shard, asked) = town.calls.pop().expect("it is asked");
    town.leave(alice);
    let alice = again(&mut town, "alice", &pid, "");
    assert_eq!(welcome(&town.packets(alice)[0], "pid"), pid);
    // The same number, of another event; a new client of the page begins to count anew.
    town.packet(alice, "25[\"say\"]");
    town.world.answer_call(shard, asked.ticket, Ok(r#"{"ack":["old"]}"#));
    town.wait(seconds(1));
    assert_eq!(town.packets(alice), [""; 0]);
    assert_eq!(town.settled(alice), 1, "the second is under way");
}

#[test]
fn one_connection_has_not_any_number_of_sessions() {
    let mut town = Town::with(|settings| settings.namespaces = vec![Pattern("/game-*".to_owned())]);
    let alice = town.plug_in("alice");
    for n in 0..5000 {
        town.packet(alice, &format!("0/game-{n},"));
    }
    let welcomed = town.packets(alice).iter().filter(|it| it.starts_with("40/")).count();
    assert!(welcomed < 1000, "{welcomed} sessions on one connection");
}

#[test]
fn who_begins_to_come_back_by_another_shard_and_does_not_leaves_no_ghost() {
    let mut town = Town::new();
    let ms = std::time::Duration::from_millis;
    let key_of = |town: &mut Town, shard: usize| {
        (0..).map(ShardKey::Anonymous).find(|key| home_of_key(town, key) == shard).unwrap()
    };
    let room = "lobby";
    let owner = town.owner_of_room(room);
    let (first, second) = ((owner + 1) % 3, (owner + 2) % 3);
    let (near, far) = (key_of(&mut town, first), key_of(&mut town, second));
    let bob = town.come_near("bob", room);
    town.join(bob, room);
    let large = "x".repeat(100_000);
    for _ in 0..30 {
        let alice = town.plug_in_as("alice", &near, |_| {});
        town.packet(alice, "0");
        let pid = welcome(&town.packets(alice)[0], "pid");
        town.emit(alice, "[\"join\",\"lobby\"]");
        town.say(bob, &publish(room, "1"));
        let offset = stamp(town.packets(alice).last().expect("a message"));
        for _ in 0..3 {
            town.say(bob, &publish(room, &large));
            town.wait(seconds(1));
        }
        // The old connection is still believed to live.
        town.world.plan.link = 0..=300;
        town.slow_log(2000);
        let back = town.come_back("alice", &far, &pid, &offset);
        town.wait(ms(1000));
        assert!(town.world.cut_link(second, owner, seconds(1)));
        town.wait(ms(100));
        town.leave(back);
        town.world.plan.link = 0..=0;
        town.slow_log(0);
        town.wait(seconds(300));
        town.hears(bob);
        let present = town.ask(bob, serde_json::json!({"type": "presence", "room": room}));
        assert_eq!(present["users"].as_array().map(Vec::len), Some(1), "{present}");
    }
}

#[test]
fn an_answer_of_the_application_may_name_many_actions() {
    // Five calls, each answered with 64 publishes, and then one more event.
    let say = EventAction::Publish {
        room: Text(vec![trunkline_config::events::Piece::Literal("lobby".to_owned())]),
        message: Message {
            emit: Some("more".to_owned()),
            args: Args::Listed(vec![Template::Integer(1)]),
            key: None,
            ephemeral: false,
            echo: true,
        },
    };
    let mut rules: Vec<EventRule> = (0..5).map(|_| rule("go", call())).collect();
    rules.push(rule("more", say));
    let mut town = Town::with(with(rules));
    let alice = town.socket("alice");
    town.emit(alice, "[\"join\",\"lobby\"]");
    town.packet(alice, "2[\"go\"]");
    let action = r#"{"do":"publish","room":"lobby","emit":"x","args":[]}"#;
    let answer: &'static str =
        Box::leak(format!("{{\"do\":[{}]}}", vec![action; 64].join(",")).into_boxed_str());
    for _ in 0..5 {
        let (shard, asked) = town.calls.pop().expect("it is asked");
        town.world.answer_call(shard, asked.ticket, Ok(answer));
        town.wait(seconds(0));
    }
    town.packets(alice);
    town.packet(alice, "25[\"more\"]");
    let heard = town.packets(alice);
    assert!(heard.iter().any(|it| it.starts_with("42[\"more\",1")), "{heard:?}");
}

#[test]
fn whom_the_application_has_sent_away_begins_anew() {
    let mut town = Town::new();
    let (alice, _, pid) = arrive(&mut town, "alice");
    let inbox = Topic::Inbox(UserId::parse("alice").unwrap());
    let owner = town.owner_of_inbox("alice");
    town.world.ask(0, owner, 2, ApiCall::Topic(inbox, Action::Disconnect));
    town.wait(seconds(1));
    assert_eq!(town.closed_with(alice), Some(1000));
    let alice = again(&mut town, "alice", &pid, "");
    assert_ne!(welcome(&town.packets(alice)[0], "pid"), pid);
}

/// Whether alice recovers who has missed 0.8 MB in each of so many rooms.
fn recovers_from(rooms: usize) -> bool {
    let mut town = Town::new();
    let rooms = &["attic", "lobby", "yard"][..rooms];
    let (alice, _, pid) = arrive(&mut town, "alice");
    let bob = town.socket("bob");
    for (client, room) in rooms.iter().flat_map(|room| [(alice, room), (bob, room)]) {
        town.emit(client, &format!("[\"join\",\"{room}\"]"));
    }
    town.leave(alice);
    let large = "x".repeat(100_000);
    for room in rooms.iter().flat_map(|room| [room; 8]) {
        town.emit(bob, &format!("[\"message\",\"{room}\",\"{large}\"]"));
    }
    let alice = again(&mut town, "alice", &pid, "");
    welcome(&town.packets(alice)[0], "pid") == pid
}

#[test]
fn who_has_missed_more_than_a_welcome_carries_begins_anew() {
    assert!(recovers_from(2));
    assert!(!recovers_from(3));
}
