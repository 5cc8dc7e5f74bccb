//! A shard whose log an earlier process has written can't tell who was there: its peers may be as new
//! as it is.

use std::time::Duration;

use serde_json::json;
use trunkline_core::{
    Action, Attachment, CoreSettings, Delivery, Input, Member, PeerMessage, RequestId, SessionId,
    ShardIndex, UserId,
};

use super::attachments::{BEFORE, NOW, Owner};
use super::town::{Town, seconds};
use crate::harness::Plan;

/// Lets somebody in whom a home has from before; gives who is said to have come.
fn come(owner: &mut Owner, home: ShardIndex, user: &str, number: u8) -> Vec<String> {
    let session = SessionId([number; 24]);
    let user = UserId::parse(user).expect("a user");
    let member = Member { session, user, attachment: Attachment(1) };
    let (request, action) = (RequestId(u64::from(number)), Action::Join { after: None });
    let (topic, sequence) = (owner.room.clone(), 0);
    let asks = PeerMessage::Request { request, member, sequence, topic, action };
    let announced = |said| match said {
        PeerMessage::Deliver { delivery: Delivery::UserJoined(user), .. } => Some(user.to_string()),
        _ => None,
    };
    owner.hear(home, asks).into_iter().filter_map(announced).collect()
}

#[test]
fn nobody_is_said_to_have_come_as_long_as_those_may_come_back_whom_the_process_before_had() {
    let mut owner = Owner::new();
    owner.handle(Input::Succeeds);
    assert!(come(&mut owner, BEFORE, "bob", 7).is_empty());
    assert!(come(&mut owner, NOW, "carol", 8).is_empty());
    assert_eq!(owner.present(), (2, false));
    owner.now = owner.now + CoreSettings::default().grace;
    assert_eq!(owner.present(), (2, true));
    // Each of the two homes is told.
    assert_eq!(come(&mut owner, NOW, "dave", 9), ["dave", "dave"]);
}

#[test]
fn a_shard_with_a_new_log_says_at_once_who_comes() {
    let mut owner = Owner::new();
    assert!(come(&mut owner, BEFORE, "bob", 7).is_empty());
    assert_eq!(come(&mut owner, NOW, "carol", 8), ["carol"]);
    assert_eq!(owner.present(), (2, true));
}

#[test]
fn a_new_shard_doubts_as_long_as_any_does_whose_topics_may_have_been_its_own() {
    let (mut new, mut old) = (Owner::new(), Owner::new());
    let lasts = CoreSettings::default().grace;
    old.now = old.now + lasts;
    for (owner, said) in [(&mut new, vec![]), (&mut old, vec!["carol"])] {
        assert!(come(owner, BEFORE, "bob", 7).is_empty());
        owner.hear(BEFORE, PeerMessage::Doubt { lasts });
        assert_eq!(come(owner, NOW, "carol", 8), said);
    }
    new.now = new.now + lasts;
    assert_eq!(come(&mut new, NOW, "dave", 9), ["dave", "dave"]);
}

#[test]
fn nobody_is_said_to_have_come_to_what_was_a_new_process_s_until_it_went_away_with_nothing() {
    let mut plan = Plan::calm(3);
    plan.hold = true;
    let mut town = Town::of(plan);
    let old = town.owner_of_room("lobby");
    let users: Vec<String> = (0..99).map(|number| format!("user-{number}")).collect();
    let homes: Vec<usize> = users.iter().map(|user| town.owner_of_inbox(user)).collect();
    town.world.away_for(&[], &[old]);
    let new = town.owner_of_room("lobby");
    let third = 3 - old - new;
    let of = |home| &users[homes.iter().position(|it| *it == home).expect("somebody is there")];
    let [alice, bob] = [of(new), of(third)].map(|user| town.member(user, &["lobby"]));
    town.hears(alice);
    // Bob's home and the room's owner begin anew, and the owner has not heard of the room when it goes.
    assert!(town.world.crash(third, seconds(2)));
    assert!(town.world.crash(old, seconds(1)));
    town.wait(Duration::from_millis(1500));
    town.world.away(&[old]);
    town.wait(seconds(1));
    assert_eq!(town.owner_of_room("lobby"), new);
    let presence = town.ask(alice, json!({"type": "presence", "room": "lobby"}));
    let there = presence["users"].as_array().map(Vec::len);
    assert_eq!((there, &presence["sure"]), (Some(2), &false.into()));
    assert_eq!(town.hears_of(alice), ["gap"]);
    town.publish(bob, "lobby", "still here");
    assert_eq!(town.hears_of(alice), ["message still here"]);
    town.wait(seconds(10));
    let presence = town.ask(alice, json!({"type": "presence", "room": "lobby"}));
    assert_eq!(presence["sure"], true);
}
