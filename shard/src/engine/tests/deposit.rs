//! What is deposited with routers of clients that poll.

use bytes::Bytes;
use trunkline_core::{ConnectionId, FrameKind, Output};
use trunkline_core::{Given, GroupId, Rescue, TrunkId};

use super::super::POLLING;
use super::harness::{Stage, TRUNK, frame, id, ok};

const OTHER: TrunkId = TrunkId(TRUNK.0 + 1);

fn place(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

impl Stage {
    /// The core has another state of a session.
    fn checkpoint(&mut self, number: u64, state: &'static str) {
        let (trunk, connection, session) = (POLLING, ConnectionId(number), id(1));
        let state = Bytes::from_static(state.as_bytes());
        self.output(Output::Checkpoint { trunk, connection, session, state });
    }

    fn enter(&mut self, number: u64) {
        let (trunk, group, connection) = (POLLING, GroupId(3), ConnectionId(number));
        let position = place("0");
        self.output(Output::Group { trunk, group, connection, member: true, position });
    }

    fn fan(&mut self, text: &str, position: &'static str, except: Option<u64>) {
        let (trunk, group, frame) = (POLLING, GroupId(3), frame(FrameKind::Live, text));
        let (except, position) = (except.map(ConnectionId), place(position));
        self.output(Output::Fan { trunk, group, frame, except, position });
    }

    /// Who was told, and whether that there is nothing any more.
    fn told(&mut self) -> Vec<(TrunkId, bool)> {
        let nothing = Rescue::default();
        self.deposits.drain(..).map(|(at, it)| (at, it == nothing)).collect()
    }

    fn deposited(&mut self) -> Vec<Rescue> {
        std::mem::take(&mut self.deposits).into_iter().map(|(_, rescue)| rescue).collect()
    }
}

fn state(text: &'static str) -> Given {
    Given::Checkpoint(text.into())
}

fn group(at: &'static str, heard: bool) -> Given {
    Given::Group { group: GroupId(3), place: at.into(), heard }
}

#[test]
fn what_an_answer_brings_is_deposited_before_it_and_is_certain_with_the_next_poll() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.checkpoint(number, "one");
    stage.enter(number);
    assert_eq!(stage.deposited(), [], "nobody polls yet");
    let (request, _) = stage.poll(id(1));
    let before = vec![state("one"), group("0", false)];
    let [deposit] = &stage.deposited()[..] else { panic!("it is deposited with the poll") };
    assert_eq!((&deposit.before, &deposit.sent), (&before, &vec![]));
    let position = place("1");
    let (trunk, group_id, text) = (POLLING, GroupId(3), frame(FrameKind::Live, "4a"));
    let except = None;
    let fan = Output::Fan { trunk, group: group_id, frame: text, except, position };
    assert_eq!(stage.output(fan), ok(request, "4a"));
    let [deposit] = &stage.deposited()[..] else { panic!("it is deposited with the answer") };
    assert_eq!((&deposit.before, &deposit.sent), (&before, &vec![group("1", true)]));
    let _ = stage.poll(id(1));
    assert_eq!(stage.deposited(), [], "that is no news");
    stage.checkpoint(number, "two");
    let [deposit] = &stage.deposited()[..] else { panic!("who waits for an answer has had all") };
    let before = vec![group("1", true), state("two")];
    assert_eq!((&deposit.before, &deposit.sent), (&before, &vec![]));
}

#[test]
fn what_waits_is_not_given_and_who_is_left_out_has_not_heard() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.checkpoint(number, "one");
    stage.enter(number);
    let _ = stage.poll(id(1));
    stage.fan("4a", "1", None);
    stage.fan("4b", "2", None);
    stage.fan("4c", "3", Some(number));
    let [.., deposit] = &stage.deposited()[..] else { panic!("deposited") };
    assert_eq!(deposit.sent, [group("1", true)]);
    let _ = stage.poll(id(1));
    let [.., deposit] = &stage.deposited()[..] else { panic!("deposited") };
    assert_eq!(deposit.before.last(), Some(&group("1", true)));
    assert_eq!(deposit.sent, [group("2", true), group("3", false)]);
}

#[test]
fn the_router_before_has_it_until_the_next_poll_and_none_when_the_session_is_over() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.checkpoint(number, "one");
    let (request, _) = stage.poll(id(1));
    stage.fan("4a", "1", None);
    stage.send(number, FrameKind::Live, "4a");
    assert!(stage.deposited().iter().all(|it| !it.before.is_empty()));
    stage.poll_by(OTHER, id(1));
    assert_eq!(stage.told(), [(OTHER, false)], "request {request}");
    stage.send(number, FrameKind::Live, "4b");
    stage.poll_by(OTHER, id(1));
    assert_eq!(stage.told(), [(TRUNK, true)]);
    stage.send(number, FrameKind::Live, "4c");
    stage.poll(id(1));
    assert_eq!(stage.told(), [(TRUNK, false)]);
    stage.post(id(1), "1");
    assert_eq!(stage.told(), [(TRUNK, true), (OTHER, true)]);
}

#[test]
fn no_router_has_a_session_any_more_that_is_over_and_the_one_that_is_polled_by_has_the_rest() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.private_ids = vec![id(98), id(99)];
    stage.checkpoint(number, "both");
    let _ = stage.poll(id(1));
    stage.send(number, FrameKind::Live, "4a");
    stage.poll_by(OTHER, id(1));
    stage.told();
    stage.private_ids = vec![id(99)];
    stage.checkpoint(number, "one");
    assert_eq!(stage.told(), [(OTHER, true), (TRUNK, true), (OTHER, false)]);
    stage.private_ids = vec![];
    stage.checkpoint(number, "none");
    assert_eq!(stage.told(), [(OTHER, true)]);
    stage.private_ids = vec![id(97)];
    stage.checkpoint(number, "another");
    assert_eq!(stage.told(), [(OTHER, false)]);
}

#[test]
fn where_nobody_can_recover_nothing_is_deposited() {
    let mut stage = Stage::set_with(|settings| settings.socketio.recovery = None);
    let number = stage.session(id(1));
    stage.checkpoint(number, "one");
    let _ = stage.poll(id(1));
    assert_eq!(stage.deposited(), []);
}
