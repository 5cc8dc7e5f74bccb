//! Sessions are asked for where they have not come yet.

use trunkline_core::{ConnectionId, FrameKind, Input};
use trunkline_proto::engine::Problem;

use super::super::super::Said;
use super::super::harness::{Heard, SECOND, TRUNK, ok, refused};
use super::{A, B, Pair, draining, moved, of, session};

#[test]
fn whoever_asks_a_shard_for_what_is_anothers_is_sent_there() {
    let mut pair = Pair::linked();
    let (poll, heard) = pair[A].poll(of(B));
    assert_eq!(heard, moved(poll));
    let open = pair[A].open(of(B));
    assert_eq!(pair[A].heard(), moved(open));
    assert_eq!(pair[A].probe(of(B), 5), [Heard::Close(5)]);
    assert!(pair[A].inputs().is_empty() && pair[A].is_empty());
}

#[test]
fn what_is_asked_before_the_session_has_come_waits_for_it() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    pair[A].inputs();
    pair[B].view(draining());
    let (poll, heard) = pair[B].poll(sid);
    assert_eq!(heard, []);
    let (post, heard) = pair[B].post(sid, "4x");
    assert_eq!(heard, []);
    assert_eq!(pair[B].probe(sid, 5), []);
    assert_eq!(pair[B].control(5, "2probe"), []);
    // The old shard doesn't know yet: it goes on with the session.
    let [_, heard] = pair.talk();
    let at = |request| Heard::Moved(request, "a".to_owned());
    assert_eq!(heard, [at(poll), at(post), Heard::Close(5)]);
    let (poll, heard) = pair[A].poll(sid);
    assert_eq!(heard, []);

    // Now it does, and has many others to give away before.
    let (again, heard) = pair[B].poll(sid);
    assert_eq!(heard, []);
    let (post, _) = pair[B].post(sid, "4x");
    assert_eq!(pair[B].probe(sid, 6), []);
    assert_eq!(pair[B].control(6, "2probe"), []);
    assert_eq!(pair[A].view(draining()), []);
    let [released, heard] = pair.talk();
    assert_eq!(released, moved(poll));
    assert_eq!(heard, [ok(post, "ok"), vec![Heard::Text(6, "3probe".to_owned())]].concat());
    let inputs = pair[B].inputs();
    assert!(matches!(inputs.as_slice(), [Input::Attach { .. }, Input::Message { .. }]));
    assert_eq!(pair[B].send(1, FrameKind::Live, "4a"), ok(again, "4a"));
}

#[test]
fn an_unknown_session_is_asked_for_only_where_it_may_be() {
    let mut pair = Pair::linked();
    let (poll, heard) = pair[B].poll(of(B));
    assert_eq!(heard, refused(poll, Problem::UnknownSession), "nobody may have it");
    pair[B].view(draining());
    let (poll, heard) = pair[B].poll(of(B));
    assert_eq!(heard, []);
    assert_eq!(pair.talk()[B], refused(poll, Problem::UnknownSession));
    // Once the other has the same view and nothing to give away, nobody is asked.
    pair[A].view(draining());
    pair.talk();
    let (poll, heard) = pair[B].poll(of(B));
    assert_eq!(heard, refused(poll, Problem::UnknownSession));
}

#[test]
fn a_shard_that_can_not_be_asked_is_waited_for_for_a_while_unless_it_is_away() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    pair.cut();
    let (first, heard) = pair[B].poll(of(B));
    assert_eq!(heard, []);
    assert_eq!(pair[B].pass(2 * SECOND), refused(first, Problem::UnknownSession));
    assert_eq!(pair[B].view(draining()), []);
    let (second, heard) = pair[B].poll(of(B));
    assert_eq!(heard, refused(second, Problem::UnknownSession));

    // Who waits is let go when the link is up.
    let mut pair = Pair::linked();
    pair.cut();
    let (poll, _) = pair[B].poll(of(B));
    pair.link();
    assert_eq!(pair[B].heard(), []);
    let _ = poll;
}

#[test]
fn what_waits_for_sessions_is_bounded_and_let_go_with_who_waits() {
    let mut pair = Pair::linked();
    pair.cut();
    let sid = of(B);
    for _ in 0..8 {
        assert_eq!(pair[B].poll(sid).1, []);
    }
    let (poll, heard) = pair[B].poll(sid);
    assert_eq!(heard, [Heard::Answer(poll, 503, String::new())]);
    // One hangs up, and then its router is gone.
    pair[B].gone(1);
    assert_eq!(pair[B].poll(sid).1, []);
    pair[B].engine.trunk_down(TRUNK);
    assert_eq!(pair[B].probe(sid, 7), []);
    pair[B].hear(Said::Detach { trunk: TRUNK, connection: ConnectionId(7), moved: false });
    assert_eq!(pair[B].pass(2 * SECOND), []);
    assert!(pair[B].inputs().is_empty());
    // All together may take so much.
    let large = "4".repeat(4 << 20);
    let heard = [(); 5].map(|()| pair[B].post(sid, &large).1);
    assert_eq!(heard.map(|heard| heard.len()), [0, 0, 0, 0, 1]);
}
