//! What Socket.IO clients see: connecting, events and their default rules, acknowledgements,
//! namespaces, and the neighbours that speak natively.

use serde_json::json;
use trunkline_config::ShardKey;
use trunkline_config::events::Pattern;

use super::sockets::welcome;
use super::town::{Town, publish, seconds};

#[test]
fn a_client_is_welcomed_to_its_namespace_with_an_id_of_its_own() {
    let mut town = Town::new();
    let (alice, bob) = (town.plug_in("alice"), town.plug_in("alice"));
    assert!(town.packets(alice).is_empty(), "it must ask first");
    town.packet(alice, "0");
    town.packet(bob, "0{\"x\":1}");
    let (hers, his) = (town.packets(alice), town.packets(bob));
    assert!(hers[0].starts_with("40{\"sid\":\"~"), "{hers:?}");
    assert_ne!(welcome(&hers[0], "sid"), welcome(&his[0], "sid"));
    assert_ne!(welcome(&hers[0], "sid"), welcome(&hers[0], "pid"));
}

#[test]
fn only_allowed_namespaces_are_connected_to_and_each_has_rooms_of_its_own() {
    let mut town = Town::with(|settings| {
        settings.namespaces = vec![Pattern("/".to_owned()), Pattern("/game-*".to_owned())];
    });
    let alice = town.plug_in("alice");
    town.packet(alice, "0/game-1,");
    assert!(town.packets(alice)[0].starts_with("40/game-1,{"));
    town.packet(alice, "0/secret,");
    assert_eq!(town.packets(alice), ["44/secret,{\"message\":\"Invalid namespace\"}"]);
    town.packet(alice, "0");
    town.packets(alice);
    town.packet(alice, "2/game-1,1[\"join\",\"lobby\"]");
    assert!(town.packets(alice)[0].starts_with("43/game-1,1[{\"type\":\"ok\",\"room\":\"lobby\""));
    let refused = town.emit(alice, "[\"message\",\"lobby\",\"hi\"]");
    assert_eq!(refused["code"], "not_joined");
    town.packet(alice, "1/game-1,");
    town.packet(alice, "2[\"join\",\"lobby\"]");
    assert_eq!(town.closed_with(alice), None, "it has left one namespace without the other");
}

#[test]
fn a_room_message_is_acknowledged_and_then_heard_by_all_with_its_meta_and_stamp() {
    let mut town = Town::new();
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    for client in [alice, bob] {
        assert_eq!(town.emit(client, "[\"join\",\"lobby\"]")["type"], "ok");
    }
    town.packets(alice);
    town.packet(alice, "25[\"message\",\"lobby\",\"hi\",{\"n\": 1.50}]");
    let hers = town.packets(alice);
    assert!(hers[0].starts_with("435[{\"type\":\"ok\",\"room\":\"lobby\",\"epoch\":"), "{hers:?}");
    let event =
        "42[\"message\",\"hi\",{\"n\": 1.50},{\"room\":\"lobby\",\"from\":\"alice\",\"epoch\":";
    assert!(hers[1].starts_with(event) && hers[1].ends_with(".1\"]"), "{hers:?}");
    assert_eq!(town.packets(bob)[..].last().map(|it| it.starts_with(event)), Some(true));
}

#[test]
fn native_and_socketio_clients_share_rooms_and_private_messages() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    let bob = town.member("bob", &["lobby"]);
    town.emit(alice, "[\"join\",\"lobby\"]");
    assert_eq!(town.hears_of(bob), ["joined alice"]);
    town.emit(alice, "[\"message\",\"lobby\",\"from a socket\"]");
    assert_eq!(town.hears_of(bob), ["message from a socket"]);
    town.packets(alice);
    town.say(bob, &publish("lobby", "natively"));
    assert_eq!(town.events(alice), ["e natively"]);
    assert_eq!(town.emit(alice, "[\"private\",\"bob\",\"psst\"]")["status"], "delivered");
    assert_eq!(town.hears_of(bob), ["message natively", "private psst"]);
    assert_eq!(town.send(bob, "alice", "back")["status"], "delivered");
    assert_eq!(town.events(alice), ["e back"]);
    town.leave(alice);
    assert_eq!(town.hears_of(bob), ["left alice"]);
}

#[test]
fn binary_reaches_both_dialects_whole() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    let bob = town.member("bob", &["lobby"]);
    town.emit(alice, "[\"join\",\"lobby\"]");
    town.hears(bob);
    town.packets(alice);
    town.world.say(alice, "51-[\"message\",\"lobby\",{\"_placeholder\":true,\"num\":0}]");
    town.world.attach(alice, b"bytes");
    town.wait(seconds(0));
    let hers = town.packets(alice);
    assert!(hers[0].starts_with("451-[\"message\",{\"_placeholder\":true,\"num\":0},{\"room\""));
    assert_eq!(hers[1], "bytes");
    let his = town.hears(bob);
    assert_eq!(his[0]["data"], json!({"$base64": "Ynl0ZXM="}));
    town.packet(alice, "29[\"history\",\"lobby\"]");
    let history = town.packets(alice);
    assert!(history[0].contains("\"data\":{\"$base64\":\"Ynl0ZXM=\"}"), "{history:?}");
    let data = json!({"type": "publish", "room": "lobby", "event": "b", "data": his[0]["data"]});
    town.say(bob, &data);
    assert_eq!(town.packets(alice)[1], "bytes");
}

#[test]
fn typing_is_not_kept_and_not_heard_by_who_types() {
    let mut town = Town::new();
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    for client in [alice, bob] {
        town.emit(client, "[\"join\",\"lobby\"]");
    }
    town.packets(alice);
    town.packets(bob);
    assert_eq!(
        town.emit(alice, "[\"typing\",\"lobby\",true]"),
        json!({"type": "ok", "room": "lobby"})
    );
    assert!(town.packets(alice).is_empty());
    let heard = "42[\"typing\",true,{\"room\":\"lobby\",\"from\":\"alice\"}]";
    assert_eq!(town.packets(bob), [heard]);
}

#[test]
fn a_session_is_spoken_to_by_its_id() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    let bob = town.plug_in("bob");
    town.packet(bob, "0");
    let id = welcome(&town.packets(bob)[0], "sid");
    let sent = town.emit(alice, &format!("[\"private\",\"{id}\",\"you\"]"));
    assert_eq!(sent["status"], "delivered");
    assert_eq!(town.events(bob), ["private you"]);
}

#[test]
fn an_event_without_a_rule_is_an_error_and_counted() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    assert_eq!(town.emit(alice, "[\"dance\",1]")["code"], "unknown_type");
    town.packet(alice, "2[\"dance\",1]");
    assert!(town.packets(alice)[0].starts_with("42[\"error\",{\"type\":\"error\""));
    assert_eq!(town.unhandled, 2);
    assert_eq!(town.settled(alice), 3);
}

#[test]
fn what_the_reference_hangs_up_for_ends_the_connection() {
    for packets in [&["2[\"a\"]"][..], &["0", "0"], &["0", "9"], &["0", "1/x,"], &["0", "4{}"]] {
        let mut town = Town::new();
        let alice = town.plug_in("alice");
        for packet in packets {
            town.packet(alice, packet);
        }
        assert_eq!(town.closed_with(alice), Some(1008), "{packets:?}");
    }
}

#[test]
fn who_connects_to_no_namespace_is_sent_away() {
    let mut town = Town::new();
    let alice = town.plug_in("alice");
    let bob = town.socket("bob");
    town.wait(seconds(46));
    assert_eq!(town.closed_with(alice), Some(1000));
    assert_eq!(town.closed_with(bob), None);
}

#[test]
fn everyone_hears_nothing_of_others_coming_but_is_listed() {
    let mut town = Town::new();
    let alice = town.socket("alice");
    let _bob = town.socket("bob");
    assert!(town.packets(alice).is_empty());
    let present = town.emit(alice, "[\"presence\",\"*\"]");
    assert_eq!(present["users"].as_array().map(Vec::len), Some(2));
    for event in ["[\"message\",\"*\",1]", "[\"join\",\"*\"]", "[\"leave\",\"*\"]"] {
        assert_eq!(town.emit(alice, event)["code"], "forbidden", "{event}");
    }
}

#[test]
fn a_connection_may_change_under_a_session_that_hears_and_speaks_on() {
    let mut town = Town::new();
    let (alice, bob) = (town.socket("alice"), town.socket("bob"));
    for client in [alice, bob] {
        town.emit(client, "[\"join\",\"lobby\"]");
    }
    let moved = town.world.change_connection(alice);
    town.wait(seconds(0));
    town.emit(bob, "[\"message\",\"lobby\",\"1\"]");
    assert_eq!(town.events(moved), ["message 1"]);
    assert_eq!(town.emit(moved, "[\"message\",\"lobby\",\"2\"]")["type"], "ok");
    assert_eq!(town.events(moved), ["message 2"]);
    assert_eq!(town.settled(moved), 1);
    town.leave(moved);
    assert_eq!(
        town.events(bob).last().map(String::as_str),
        Some("left {\"room\":\"lobby\",\"user\":\"alice\"}")
    );
}

#[test]
fn a_token_in_the_auth_payload_says_who_speaks() {
    let mut town = Town::with(|settings| settings.tokens = true);
    let key = ShardKey::Anonymous(7);
    let stranger = town.plug_in_as("guest-1", &key, |_| {});
    town.packet(stranger, "0");
    let refused = town.packets(stranger);
    assert!(refused[0].starts_with("44{\"message\":\"not authenticated"), "{refused:?}");
    town.packet(stranger, "0{\"token\":\"carol\"}");
    assert!(town.packets(stranger)[0].starts_with("40{"));
    let present = town.emit(stranger, "[\"presence\",\"*\"]");
    assert_eq!(present["users"], json!([{"user": "carol", "connections": 1}]));
}
