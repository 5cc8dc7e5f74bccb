//! Tokens end, and are renewed.

use serde_json::json;

use super::town::{Town, seconds};
use crate::harness::ClientId;

/// A town with alice, whose token ends in a minute.
fn for_a_minute() -> (Town, ClientId) {
    let mut town = Town::new();
    let until = town.world.wall_ms() + 60_000;
    let alice = town.come_as("alice", |guest| {
        guest.authenticated = true;
        guest.identity.expires_ms = Some(until);
    });
    (town, alice)
}

#[test]
fn a_connection_ends_with_its_token() {
    let (mut town, alice) = for_a_minute();
    town.wait(seconds(59));
    assert_eq!(town.closed_with(alice), None);
    town.wait(seconds(1));
    assert_eq!(town.closed_with(alice), Some(4001));
}

#[test]
fn a_renewed_token_lasts_until_its_own_end() {
    let (mut town, alice) = for_a_minute();
    let until = town.world.wall_ms() + 100_000;
    let renew = json!({"type": "auth", "token": format!("alice@{until}")});
    assert_eq!(town.ask(alice, renew)["type"], "ok");
    town.wait(seconds(99));
    assert_eq!(town.closed_with(alice), None);
    town.wait(seconds(1));
    assert_eq!(town.closed_with(alice), Some(4001));
}

#[test]
fn a_token_of_somebody_else_renews_nothing() {
    let (mut town, alice) = for_a_minute();
    for token in ["bob", "", "~"] {
        let answer = town.ask(alice, json!({"type": "auth", "token": token}));
        assert_eq!(answer["code"], "forbidden", "{token:?}");
    }
    town.wait(seconds(60));
    assert_eq!(town.closed_with(alice), Some(4001));
}

#[test]
fn in_open_mode_there_is_no_token_to_renew() {
    let mut town = Town::new();
    let alice = town.come("alice");
    let answer = town.ask(alice, json!({"type": "auth", "token": "alice"}));
    assert_eq!(answer["code"], "bad_request");
}
