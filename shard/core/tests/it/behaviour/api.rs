//! What servers of the application ask: acknowledgements of everyone in a room, and the end of a
//! user's connections.

use std::time::Duration;

use trunkline_core::{Action, ApiCall, ApiCallId, Body, Gathered, Reply, RoomId, Topic, UserId};

use super::town::{Town, seconds};
use crate::simulation::{inbox_topic, room_topic};

fn body() -> Body {
    Body::from_json_array("vote", "[\"tea?\"]").unwrap()
}

fn gather(town: &mut Town, room: &str) {
    let topic = room_topic(room);
    let action = Action::Gather { body: body(), timeout: Duration::from_secs(5) };
    let owner = town.owner_of_room(room);
    town.world.ask(0, owner, 1, ApiCall::Topic(topic, action));
    town.wait(seconds(0));
}

fn answer(town: &mut Town) -> Gathered {
    match town.answers.pop() {
        Some((ApiCallId(1), Ok(Reply::Gathered(gathered)))) => gathered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_socketio_client_of_a_room_is_asked_and_their_answers_come_together() {
    let mut town = Town::new();
    let sockets = ["alice", "bob", "carol"].map(|user| town.socket(user));
    let dora = town.member("dora", &["lobby"]);
    for socket in sockets {
        town.emit(socket, "[\"join\",\"lobby\"]");
    }
    for socket in sockets {
        town.packets(socket);
    }
    town.hears(dora);
    gather(&mut town, "lobby");
    for (socket, vote) in sockets.into_iter().zip(["yes", "no", "yes"]) {
        let asked = town.packets(socket).pop().expect("it is asked");
        assert!(town.answers.is_empty(), "not all have answered");
        let number = &asked[2..asked.find('[').expect("an event")];
        town.packet(socket, &format!("3{number}[\"{vote}\"]"));
        town.packet(socket, &format!("3{number}[\"again\"]"));
    }
    assert_eq!(town.hears_of(dora), ["ephemeral tea?"]);
    let Gathered { responses, asked } = answer(&mut town);
    assert_eq!(asked, 3);
    let mut votes: Vec<String> = responses.iter().map(|(it, _)| it.json().to_owned()).collect();
    votes.sort();
    assert_eq!(votes, ["\"no\"", "\"yes\"", "\"yes\""]);
}

#[test]
fn who_does_not_answer_in_time_or_has_gone_is_not_waited_for() {
    let mut town = Town::new();
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    for socket in [alice, bob] {
        town.emit(socket, "[\"join\",\"lobby\"]");
    }
    gather(&mut town, "lobby");
    town.leave(alice);
    assert!(town.answers.is_empty());
    town.wait(seconds(8));
    assert_eq!(answer(&mut town), Gathered { responses: Vec::new(), asked: 2 });
    gather(&mut town, "attic");
    assert_eq!(answer(&mut town), Gathered::default());
}

#[test]
fn all_connections_of_a_user_are_ended_wherever_they_are() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    let others = ["lobby", "attic", "garden"].map(|room| town.come_near("alice", room));
    let bob = town.socket("bob");
    let owner = town.owner_of_inbox("alice");
    town.world.ask(0, owner, 2, ApiCall::Topic(inbox_topic("alice"), Action::Disconnect));
    town.wait(seconds(0));
    assert!(matches!(town.answers.pop(), Some((_, Ok(Reply::Disconnected(4))))));
    assert_eq!(town.packets(alice).last().map(String::as_str), Some("41"));
    for client in others.into_iter().chain([alice]) {
        assert_eq!(town.closed_with(client), Some(1000));
    }
    assert_eq!(town.closed_with(bob), None);
}

#[test]
fn a_server_publishes_without_being_a_member_and_broadcasts_to_everyone() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    let publish = Action::Publish { body: body(), key: None, ephemeral: false, echo: true };
    let everyone = match room_topic("x") {
        Topic::Room(namespace, _) => Topic::Room(namespace, RoomId::everyone()),
        Topic::Inbox(_) => unreachable!("a room"),
    };
    let owner = crate::harness::core_of(&town.world, &everyone);
    town.world.ask(1, owner, 3, ApiCall::Topic(everyone, publish.clone()));
    town.wait(seconds(0));
    assert_eq!(town.events(alice), ["vote tea?"]);
    assert!(matches!(town.answers.pop(), Some((_, Ok(Reply::Published(_))))));
    let owner = town.owner_of_inbox("alice");
    let inbox = Topic::Inbox(UserId::parse("alice").unwrap());
    town.world.ask(1, owner, 4, ApiCall::Topic(inbox, publish));
    town.wait(seconds(0));
    assert_eq!(town.events(alice), ["vote tea?"]);
}
