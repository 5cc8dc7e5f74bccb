//! Whom its shard could not see, or still takes for connected, comes back: others hear nothing of it, wherever
//! it comes to.

use std::time::Duration;

use serde_json::json;
use trunkline_config::ShardKey;

use super::sockets::{stamp, welcome};
use super::town::{Town, seconds};
use crate::harness::{ClientId, Plan};

/// Where clients that are placed by chance come to.
const PLACES: std::ops::Range<u64> = 0..8;

/// Somebody who is placed by chance is with bob in a room. The room, its inbox and itself are with three
/// of four shards.
struct Scene {
    town: Town,
    user: String,
    client: ClientId,
    bob: ClientId,
    home: usize,
    room: String,
    pid: String,
    /// The last that it has had.
    stamp: String,
}

impl Scene {
    fn new() -> Self {
        let mut town = Town::of(Plan::calm(4));
        let home = place(&mut town, 0);
        let room = town.room_away_from(home);
        let owner = town.owner_of_room(&room);
        let mut users = (0..).map(|number| format!("user-{number}"));
        let is_else = |user: &String| ![home, owner].contains(&town.owner_of_inbox(user));
        let user = users.find(is_else).expect("there is one");
        let client = town.plug_in_as(&user, &ShardKey::Anonymous(0), |_| {});
        let bob = town.come_near("bob", &room);
        town.join(bob, &room);
        town.packet(client, "0");
        let pid = welcome(&town.packets(client)[0], "pid");
        town.emit(client, &format!("[\"join\",\"{room}\"]"));
        town.publish(bob, &room, "1");
        let stamp = stamp(town.packets(client).last().expect("a message"));
        town.hears(bob);
        Self { town, user, client, bob, home, room, pid, stamp }
    }

    /// Its shard can't see its router for a moment.
    fn is_lost(&mut self) {
        assert!(self.town.world.cut_trunk((0, self.home), seconds(1)));
        self.town.wait(seconds(2));
    }

    fn comes_to(&mut self, place: u64) {
        let key = ShardKey::Anonymous(place);
        self.client = self.town.come_back(&self.user, &key, &self.pid, &self.stamp);
        self.home = self.town.home_of(self.client);
    }

    fn comes_to_the_fourth(&mut self) {
        let taken =
            [self.home, self.town.owner_of_room(&self.room), self.town.owner_of_inbox(&self.user)];
        let is_fourth = |it: &u64| !taken.contains(&place(&mut self.town, *it));
        let fourth = PLACES.clone().find(is_fourth).expect("there is one");
        self.comes_to(fourth);
    }

    fn has_recovered(&mut self) -> bool {
        let heard = self.town.packets(self.client);
        heard.first().is_some_and(|it| welcome(it, "pid") == self.pid)
    }

    /// What bob hears of it, now and later.
    fn is_said(&mut self) -> Vec<String> {
        self.town.wait(seconds(60));
        self.town.hears_of(self.bob)
    }

    /// How many are known to be there, and whether that is sure.
    fn present(&mut self) -> (usize, bool) {
        let presence = json!({"type": "presence", "room": self.room});
        let presence = self.town.ask(self.bob, presence);
        let users = presence["users"].as_array().expect("users").len();
        (users, presence["sure"] == true)
    }
}

/// The shard of who comes by a key of chance.
fn place(town: &mut Town, number: u64) -> usize {
    let guest = town.guest("somebody", &ShardKey::Anonymous(number), |_| {});
    town.world.home_of(&guest.session)
}

#[test]
fn who_comes_back_to_any_shard_after_its_trunk_broke_was_there_all_the_time() {
    for place in PLACES {
        let mut scene = Scene::new();
        scene.is_lost();
        assert_eq!(scene.present(), (2, false));
        scene.comes_to(place);
        assert!(scene.has_recovered());
        assert_eq!((scene.is_said(), scene.present()), (Vec::new(), (2, true)), "at {place}");
    }
}

#[test]
fn who_comes_back_to_any_shard_while_it_is_believed_to_be_there_was_there_all_the_time() {
    for place in PLACES {
        let mut scene = Scene::new();
        let before = scene.client;
        scene.comes_to(place);
        assert!(scene.has_recovered());
        assert_eq!(scene.town.closed_with(before), Some(1000));
        assert_eq!((scene.is_said(), scene.present()), (Vec::new(), (2, true)), "at {place}");
    }
}

#[test]
fn who_is_lost_again_on_its_way_back_is_there_until_it_has_been_gone_for_too_long() {
    for returns in [true, false] {
        let mut scene = Scene::new();
        scene.is_lost();
        let inbox = scene.town.owner_of_inbox(&scene.user);
        let others = (0..4).filter(|it| *it != inbox);
        for other in others.collect::<Vec<_>>() {
            assert!(scene.town.world.cut_link(other, inbox, seconds(5)));
        }
        scene.comes_to_the_fourth();
        scene.is_lost();
        assert!(!scene.has_recovered(), "its inbox is out of reach, and its room is not");
        assert_eq!((scene.town.hears_of(scene.bob), scene.present()), (Vec::new(), (2, false)));
        if returns {
            scene.comes_to(0);
            scene.town.wait(seconds(5));
            assert!(scene.has_recovered());
            assert_eq!((scene.is_said(), scene.present()), (Vec::new(), (2, true)));
        } else {
            let left = format!("left {}", scene.user);
            assert_eq!((scene.is_said(), scene.present()), (vec![left], (1, true)));
        }
    }
}

#[test]
fn who_is_lost_again_before_it_is_known_where_it_was_comes_back_all_the_same() {
    let mut scene = Scene::new();
    scene.is_lost();
    scene.town.world.plan.link = 50..=50;
    scene.comes_to_the_fourth();
    let fourth = scene.home;
    // What is left of it is on its way there.
    scene.town.wait(Duration::from_millis(75));
    scene.is_lost();
    for place in PLACES {
        scene.comes_to(place);
        scene.town.wait(seconds(1));
        assert!(scene.has_recovered(), "from {fourth}, at {place}");
    }
    assert_eq!((scene.is_said(), scene.present()), (Vec::new(), (2, true)));
}

#[test]
fn who_is_given_to_a_shard_that_then_dies_has_left_when_the_grace_is_over() {
    let mut scene = Scene::new();
    scene.is_lost();
    scene.town.world.plan.link = 50..=50;
    scene.comes_to_the_fourth();
    // What is left of it is on its way there.
    scene.town.wait(Duration::from_millis(75));
    assert!(scene.town.world.crash(scene.home, seconds(1)));
    let grace = scene.town.world.plan.settings.grace;
    scene.town.wait(grace - seconds(1));
    assert_eq!((scene.town.hears_of(scene.bob), scene.present().0), (Vec::new(), 2));
    let left = format!("left {}", scene.user);
    assert_eq!((scene.is_said(), scene.present()), (vec![left], (1, true)));
}
