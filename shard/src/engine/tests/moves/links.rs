//! Links break while sessions are on their way.

use trunkline_core::{ConnectionId, FrameKind, Input, SessionId};

use super::super::harness::{SECOND, ok, view};
use super::{
    A, B, Pair, adopted, adoption, checkpoint, draining, is_moved_away, moved, of, session,
};

/// A session is on its way when the link breaks.
fn lost_on_the_way(sid: SessionId) -> Pair {
    let mut pair = Pair::linked();
    session(&mut pair[A], sid);
    pair[A].inputs();
    for shard in [B, A] {
        pair[shard].view(draining());
        pair.carry(B);
    }
    pair.cut();
    assert!(is_moved_away(&mut pair[A]));
    pair
}

#[test]
fn what_a_broken_link_has_lost_is_sent_again() {
    let sid = of(A);
    let mut pair = lost_on_the_way(sid);
    assert_eq!(pair[A].engine.sessions(), 1);
    // Until then nobody goes on with it.
    let (poll, heard) = pair[A].poll(sid);
    assert_eq!(heard, moved(poll));
    pair.link();
    adopted(&mut pair[B]);
    assert_eq!((pair[A].engine.sessions(), pair[B].engine.sessions()), (0, 1));
}

#[test]
fn what_has_arrived_before_the_link_broke_does_not_arrive_again() {
    for is_over in [false, true] {
        let mut pair = Pair::linked();
        let sid = of(A);
        session(&mut pair[A], sid);
        for shard in [B, A] {
            pair[shard].view(draining());
            pair.carry(B);
        }
        pair.carry(A);
        // The word that it has arrived is lost.
        pair.cut();
        let (number, _) = adopted(&mut pair[B]);
        if is_over {
            pair[B].post(sid, "1");
            assert!(pair[B].is_detached(number));
        }
        assert_eq!(pair[A].engine.sessions(), 1);
        pair.link();
        assert!(pair[B].inputs().is_empty());
        let left = [A, B].map(|shard| pair[shard].engine.sessions());
        assert_eq!(left, [0, usize::from(!is_over)]);
    }
}

#[test]
fn one_that_does_not_arrive_is_given_up_when_its_client_must_have_gone() {
    let mut pair = lost_on_the_way(of(A));
    pair[A].pass(45 * SECOND);
    assert_eq!(pair[A].engine.sessions(), 0);
    assert!(pair[A].inputs().is_empty());
}

#[test]
fn one_that_is_not_the_lost_shards_any_more_is_taken_back() {
    let sid = of(A);
    let mut pair = lost_on_the_way(sid);
    pair[A].view(view(&["a", "b"], &["b"]));
    let (number, adoption) = adopted(&mut pair[A]);
    assert_eq!(adoption.state, "state");
    let (poll, _) = pair[A].poll(sid);
    assert_eq!(pair[A].send(number, FrameKind::Live, "4a"), ok(poll, "4a"));
}

#[test]
fn of_two_with_the_same_id_the_one_that_has_moved_more_often_counts() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    for shard in [B, A] {
        pair[shard].view(draining());
        pair.carry(B);
    }
    pair.carry(A);
    pair.cut();
    pair[A].inputs();
    // It went on there, and here it is taken back.
    let (number, _) = adopted(&mut pair[B]);
    checkpoint(&mut pair[B], number, "newer");
    let away = view(&["a", "b"], &["b"]);
    pair[A].view(away.clone());
    let (old, _) = adopted(&mut pair[A]);
    let (poll, _) = pair[A].poll(sid);
    pair[B].view(away);
    pair.link();
    let inputs = pair[A].inputs();
    let [Input::Detach { connection, moved: true, .. }, Input::Attach { attach, .. }] =
        inputs.as_slice()
    else {
        panic!("{inputs:?}")
    };
    assert_eq!(*connection, ConnectionId(old));
    assert_eq!(adoption(attach).state, "newer");
    assert!(is_moved_away(&mut pair[B]) && pair[B].is_empty());
    let _ = poll;
}
