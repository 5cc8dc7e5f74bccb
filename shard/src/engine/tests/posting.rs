//! POSTs whose body comes after they are announced.

use trunkline_core::{CloseCode, ConnectionId, Output};
use trunkline_proto::engine::Problem;

use super::super::POLLING;
use super::harness::{Heard, SECOND, Stage, id, ok, refused};

#[test]
fn what_follows_is_the_post_that_was_announced() {
    let mut stage = Stage::set();
    stage.session(id(1));
    for _ in 0..2 {
        let (request, heard) = stage.announce(id(1));
        assert_eq!(heard, []);
        assert_eq!(stage.follow(request, id(1), "4x"), ok(request, "ok"));
        assert_eq!(stage.inputs().len(), 1);
    }
    assert!(stage.engine.waiting.is_empty());
}

#[test]
fn a_second_post_beside_one_that_is_coming_ends_the_session() {
    type Again = fn(&mut Stage) -> (u64, Vec<Heard>);
    let agains: [Again; 2] = [|stage| stage.announce(id(1)), |stage| stage.post(id(1), "4x")];
    for again in agains {
        let mut stage = Stage::set();
        let number = stage.session(id(1));
        let (first, _) = stage.announce(id(1));
        let (second, heard) = again(&mut stage);
        let overlap = Heard::Answer(second, 400, String::new());
        assert_eq!(heard, [refused(first, Problem::BadRequest), vec![overlap]].concat());
        assert!(stage.is_detached(number) && stage.is_empty());
        // Its body was on its way.
        let heard = stage.follow(first, id(1), "4x");
        assert_eq!(heard, refused(first, Problem::UnknownSession));
    }
}

#[test]
fn one_that_is_not_followed_ends_the_session_and_one_that_is_too_large_does_not() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, _) = stage.announce(id(1));
    stage.too_large(request);
    let (request, heard) = stage.post(id(1), "3");
    assert_eq!(heard, ok(request, "ok"));
    let (request, _) = stage.announce(id(1));
    stage.gone(request);
    assert!(stage.is_detached(number) && stage.is_empty());
    stage.too_large(request);
}

#[test]
fn an_unknown_session_need_not_say_what_it_has() {
    let mut stage = Stage::set();
    let (request, heard) = stage.announce(id(1));
    assert_eq!(heard, refused(request, Problem::UnknownSession));
}

#[test]
fn who_still_sends_may_be_silent_and_who_is_closed_meanwhile_is_told_ok() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, _) = stage.announce(id(1));
    stage.pass(50 * SECOND);
    assert!(stage.inputs().is_empty());
    let connection = ConnectionId(number);
    let close = Output::Close { trunk: POLLING, connection, code: CloseCode::Done, reason: "" };
    assert_eq!(stage.output(close), []);
    assert!(stage.is_detached(number));
    assert_eq!(stage.follow(request, id(1), "4x"), ok(request, "ok"));
    assert!(stage.inputs().is_empty());
    // The end is an answer of its own.
    for said in ["2", "1"] {
        let (poll, heard) = stage.poll(id(1));
        assert_eq!(heard, ok(poll, said));
    }
    assert!(stage.is_empty());
}
