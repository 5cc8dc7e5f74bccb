//! Sessions that can't move yet.

use trunkline_core::{Comes, ConnectionId, FrameKind, Input, Output, Part, SessionId};
use trunkline_proto::engine::Problem;

use super::super::super::POLLING;
use super::super::harness::{Heard, frame, ok, refused};
use super::{A, B, Pair, adopted, checkpoint, draining, is_moved_away, of, serving, session};

#[test]
fn a_change_to_a_websocket_is_finished_before_the_session_moves() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    pair[A].probe(sid, 5);
    pair[A].control(5, "2probe");
    pair.drain();
    // Whoever asks at the new shard is sent to the old one meanwhile.
    let (poll, _) = pair[B].poll(sid);
    assert_eq!(pair.talk()[B], [Heard::Moved(poll, "a".to_owned())]);
    let (poll, heard) = pair[A].poll(sid);
    assert_eq!(heard, []);
    pair[A].inputs();
    assert_eq!(pair[A].control(5, "5"), ok(poll, "6"));
    assert!(matches!(pair[A].inputs().as_slice(), [Input::Move { .. }]));
    let (poll, _) = pair[B].poll(sid);
    assert_eq!(pair.talk()[B], refused(poll, Problem::UnknownSession));
    assert!(pair[A].is_empty() && pair[B].is_empty());
}

#[test]
fn a_change_that_is_given_up_lets_the_session_go() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    pair[A].probe(sid, 5);
    pair.drain();
    assert_eq!(pair[A].engine.sessions(), 1);
    assert_eq!(pair[A].control(5, "?"), [Heard::Close(5)]);
    pair.talk();
    adopted(&mut pair[B]);
    assert!(pair[A].is_empty());
}

#[test]
fn nobody_leaves_before_the_other_shard_has_the_same_view() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    pair[A].inputs();
    pair[A].view(draining());
    pair.talk();
    assert!(pair[A].inputs().is_empty());
    pair[B].view(draining());
    pair.talk();
    assert!(is_moved_away(&mut pair[A]));
    // And back again.
    adopted(&mut pair[B]);
    for shard in [A, B] {
        pair[shard].view(serving());
    }
    pair.talk();
    assert!(is_moved_away(&mut pair[B]) && pair[B].is_empty());
    let (_, adoption) = adopted(&mut pair[A]);
    assert_eq!(adoption.state, "state");
}

#[test]
fn who_has_not_said_anything_begins_there_and_who_has_waits_for_a_checkpoint() {
    let mut pair = Pair::linked();
    let sid = of(A);
    let number = pair[A].session(sid);
    pair[A].post(sid, "40");
    pair[A].inputs();
    pair.drain();
    assert!(pair[A].inputs().is_empty() && pair[B].inputs().is_empty());
    checkpoint(&mut pair[A], number, "state");
    pair.talk();
    assert!(matches!(
        pair[B].inputs().as_slice(),
        [Input::Attach { .. }, Input::Message { sequence: 1, .. }]
    ));

    let mut pair = Pair::linked();
    pair[A].session(sid);
    pair.drain();
    let inputs = pair[B].inputs();
    let [Input::Attach { attach, .. }] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert!(matches!(&attach.comes, Comes::Anew(newcomer) if newcomer.guest));
}

#[test]
fn one_that_is_too_large_stays_until_its_client_has_had_enough_of_it() {
    let mut pair = Pair::linked();
    let sid = of(A);
    let number = session(&mut pair[A], sid);
    let mut large = frame(FrameKind::Reply, "45-[\"a\"]");
    large.parts.extend((0..5).map(|_| Part::binary(vec![0; 1 << 20].into())));
    pair[A].output(Output::Send {
        trunk: POLLING,
        connections: vec![ConnectionId(number)],
        frame: large,
        receipt: None,
        position: None,
        answers: None,
    });
    pair.drain();
    assert!(pair[A].inputs().is_empty());
    let (poll, _) = pair[B].poll(sid);
    assert_eq!(pair.talk()[B], [Heard::Moved(poll, "a".to_owned())]);
    for _ in 0..3 {
        pair[A].poll(sid);
    }
    pair.talk();
    adopted(&mut pair[B]);
    // What is left of it came along.
    let (_, heard) = pair[B].poll(sid);
    assert_eq!(heard.len(), 1);
}

#[test]
fn few_are_under_way_at_once_and_those_who_are_asked_for_go_first() {
    let mut pair = Pair::linked();
    let serving = serving();
    let all: Vec<_> = (0..400_u16)
        .map(|n| {
            let mut id = [0; 24];
            id[..2].copy_from_slice(&n.to_be_bytes());
            SessionId(id)
        })
        .filter(|id| serving.owner_of(id.digest()) == 0)
        .collect();
    assert!(all.len() > 130);
    for sid in &all {
        session(&mut pair[A], *sid);
    }
    let last = *all.last().unwrap();
    pair[B].view(draining());
    pair[A].view(draining());
    pair.carry(B);
    let (poll, _) = pair[B].poll(last);
    pair.carry(B);
    pair.carry(A);
    assert_eq!(pair[B].engine.sessions(), 64);
    assert_eq!(pair[B].engine.by_id.get(&last), Some(&1), "the first is the one asked for");
    let _ = poll;
    while pair[A].engine.sessions() > 0 {
        pair.carry(B);
        pair.carry(A);
    }
    assert_eq!(pair[B].engine.sessions(), all.len());
}
