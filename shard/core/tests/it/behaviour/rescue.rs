//! A client that polls comes back after its shard has died: its router has what that has deposited.

use super::apart::{ALICE, Apart};
use super::sockets::{stamp, welcome};
use super::town::seconds;
use crate::harness::Plan;

/// Alice polls.
fn apart() -> Apart {
    let mut plan = Plan::calm(3);
    (plan.polls, plan.durable) = (true, true);
    let mut apart = Apart::of(plan);
    // The welcome, and that it is in.
    apart.town.world.answer_poll(apart.alice, 2);
    apart.town.world.answer_poll(apart.alice, 0);
    apart
}

impl Apart {
    /// Bob says something. Gives the stamp with which alice has it, once it is in an answer to her.
    fn says(&mut self, text: &str) -> String {
        let room = self.room.clone();
        self.town.publish(self.bob, &room, text);
        stamp(self.town.packets(self.alice).last().expect("a message"))
    }

    /// From now on these shards are away, and alice is moved to where she belongs then.
    fn moves(&mut self, away: &[usize]) {
        self.town.world.plan.hold = true;
        self.town.world.away(away);
        self.town.wait(seconds(1));
        self.town.world.plan.hold = false;
    }

    fn crash(&mut self) {
        assert!(self.town.world.crash(self.home, seconds(1)));
        self.town.wait(seconds(0));
    }

    /// Alice comes back. Gives whether she has recovered, and the texts that she then hears.
    fn comes_back(&mut self, offset: &str) -> (bool, Vec<String>) {
        self.town.wait(seconds(2));
        self.alice = self.town.come_back("alice", &ALICE, &self.pid, offset);
        self.town.wait(seconds(2));
        let heard = self.town.packets(self.alice);
        let texts = heard[1..].iter().filter_map(|it| it.split('"').nth(3));
        let recovered = welcome(&heard[0], "pid") == self.pid;
        assert_eq!(std::mem::take(&mut self.town.sought), [recovered], "it is counted so");
        (recovered, texts.map(str::to_owned).collect())
    }
}

/// Which process's a stamp is.
fn stream(stamp: &str) -> &str {
    stamp.split('.').next().expect("a name")
}

#[test]
fn who_has_had_the_last_answer_hears_what_came_after_it() {
    let mut apart = apart();
    apart.says("1");
    let offset = apart.says("2");
    apart.town.world.answer_poll(apart.alice, 2);
    apart.says("3");
    apart.crash();
    let room = apart.room.clone();
    apart.town.publish(apart.bob, &room, "4");
    assert_eq!(apart.comes_back(&offset), (true, vec!["3".to_owned(), "4".to_owned()]));
    let room = apart.room.clone();
    apart.town.publish(apart.bob, &room, "5");
    assert_eq!(apart.town.events(apart.alice), ["e 5"], "it is in its room");
}

#[test]
fn who_has_not_had_the_last_answer_hears_what_was_in_it() {
    let mut apart = apart();
    let offset = apart.says("1");
    apart.town.world.answer_poll(apart.alice, 1);
    apart.says("2");
    // By this poll it has told that it has had the first.
    apart.town.world.answer_poll(apart.alice, 1);
    apart.crash();
    assert_eq!(apart.comes_back(&offset), (true, vec!["2".to_owned()]));
}

#[test]
fn who_has_never_heard_anything_recovers_its_rooms_all_the_same() {
    let mut apart = apart();
    apart.crash();
    let room = apart.room.clone();
    apart.town.publish(apart.bob, &room, "1");
    assert_eq!(apart.comes_back(""), (true, vec!["1".to_owned()]));
}

#[test]
fn what_it_says_afterwards_is_not_taken_for_what_it_said_before() {
    let mut apart = apart();
    let message = format!("[\"message\",\"{}\",\"hi\"]", apart.room);
    let alice = apart.alice;
    let offsets = [(); 3].map(|()| apart.town.emit(alice, &message)["offset"].as_u64());
    assert_eq!(offsets, [1, 2, 3].map(Some), "nothing of this is deposited");
    apart.crash();
    assert!(apart.comes_back("").0);
    let alice = apart.alice;
    assert_eq!(apart.town.emit(alice, &message)["offset"], 4);
}

#[test]
fn others_hear_neither_that_it_has_gone_nor_that_it_is_back() {
    let mut apart = apart();
    apart.town.hears(apart.bob);
    apart.crash();
    assert!(apart.comes_back("").0);
    assert_eq!(apart.town.hears_of(apart.bob), [""; 0]);
}

#[test]
fn who_has_heard_what_the_deposit_does_not_know_begins_anew() {
    let mut apart = apart();
    let offset = apart.says("1");
    // It is not in any answer that was deposited.
    apart.crash();
    assert_eq!(apart.comes_back(&offset), (false, Vec::new()));
}

#[test]
fn who_has_come_home_again_goes_on_though_the_shard_between_remembers_it_from_before() {
    let mut apart = apart();
    let first = apart.says("1");
    apart.town.world.answer_poll(apart.alice, 1);
    apart.moves(&[apart.home]);
    let between = apart.says("2");
    assert_ne!(stream(&first), stream(&between), "another shard has sent it");
    apart.town.world.answer_poll(apart.alice, 1);
    apart.moves(&[]);
    let offset = apart.says("3");
    apart.town.world.answer_poll(apart.alice, 1);
    apart.crash();
    let room = apart.room.clone();
    apart.town.publish(apart.bob, &room, "4");
    assert_eq!(apart.comes_back(&offset), (true, vec!["4".to_owned()]));
}

#[test]
fn a_deposit_is_used_once_and_withdrawn_when_its_client_goes() {
    let mut apart = apart();
    let offset = apart.says("1");
    apart.town.world.answer_poll(apart.alice, 1);
    let alice = apart.alice;
    apart.town.leave(alice);
    apart.crash();
    assert_eq!(apart.comes_back(&offset), (false, Vec::new()));
    assert_eq!(apart.town.world.found(), 0);
}

#[test]
fn nobody_goes_on_with_a_session_that_its_client_has_left_whatever_routers_have() {
    let mut apart = apart();
    let offset = apart.says("1");
    apart.town.world.answer_poll(apart.alice, 1);
    apart.town.packet(apart.alice, "1");
    let here = apart.alice;
    apart.town.packet(here, &format!("0{{\"pid\":\"{}\",\"offset\":\"{offset}\"}}", apart.pid));
    let elsewhere = apart.town.come_back("alice", &ALICE, &apart.pid, &offset);
    for client in [here, elsewhere] {
        let heard = apart.town.packets(client);
        assert_ne!(welcome(heard.last().expect("a welcome"), "pid"), apart.pid);
    }
    assert_eq!(apart.town.world.found(), 0, "it isn't even looked for");
}

#[test]
fn who_comes_back_waits_for_a_room_whose_shard_is_not_back_yet() {
    let mut apart = apart();
    let offset = apart.says("1");
    apart.town.world.answer_poll(apart.alice, 1);
    let room = apart.room.clone();
    let owner = apart.town.owner_of_room(&room);
    apart.crash();
    assert!(apart.town.world.crash(owner, seconds(6)));
    apart.town.wait(seconds(2));
    let alice = apart.town.come_back("alice", &ALICE, &apart.pid, &offset);
    apart.town.wait(seconds(2));
    assert_eq!(apart.town.packets(alice), [""; 0], "the room's shard is not there");
    apart.town.wait(seconds(4));
    assert_eq!(welcome(&apart.town.packets(alice)[0], "pid"), apart.pid);
    assert_eq!(apart.town.sought, [true]);
}

#[test]
fn who_has_waited_in_vain_for_a_room_begins_anew() {
    let mut apart = apart();
    let offset = apart.says("1");
    apart.town.world.answer_poll(apart.alice, 1);
    let owner = apart.town.owner_of_room(&apart.room);
    apart.crash();
    let grace = apart.town.world.plan.settings.grace;
    assert!(apart.town.world.crash(owner, grace + seconds(10)));
    apart.town.wait(seconds(2));
    let alice = apart.town.come_back("alice", &ALICE, &apart.pid, &offset);
    apart.town.wait(grace - seconds(1));
    assert_eq!((apart.town.packets(alice), &apart.town.sought), (Vec::new(), &Vec::new()));
    apart.town.wait(seconds(2));
    assert_ne!(welcome(&apart.town.packets(alice)[0], "pid"), apart.pid);
    assert_eq!(apart.town.sought, [false]);
}
