//! The race of poll and WebSocket.

use std::time::Duration;

use trunkline_core::{ConnectionId, FrameKind, Input};
use trunkline_proto::engine::Problem;

use super::super::{POLLING, Said};
use super::harness::{Heard, SECOND, Stage, TRUNK, id, ok, refused};

const CHECK: Duration = Duration::from_millis(100);

fn text(connection: u64, text: &str) -> Heard {
    Heard::Text(connection, text.to_owned())
}

#[test]
fn what_is_queued_goes_to_the_websocket_and_the_core_hears_of_the_move() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (poll, _) = stage.poll(id(1));
    assert_eq!(stage.probe(id(1), 5), []);
    assert_eq!(stage.control(5, "2probe"), [text(5, "3probe")]);
    assert_eq!(stage.pass(CHECK), ok(poll, "6"));
    // Between the last poll and the change.
    stage.send(number, FrameKind::Live, "4a");
    stage.send(number, FrameKind::Live, "4b");
    assert_eq!(stage.control(5, "5"), [text(5, "4a"), text(5, "4b")]);
    let inputs = stage.inputs();
    let [Input::Move { from, to }] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!((*from, *to), ((POLLING, ConnectionId(number)), (TRUNK, ConnectionId(5))));
    assert!(stage.is_empty());
    stage.connected.insert(id(1));
    for (request, heard) in [stage.poll(id(1)), stage.post(id(1), "4late")] {
        assert_eq!(heard, refused(request, Problem::BadRequest));
    }
    assert_eq!(stage.probe(id(1), 6), [Heard::Close(6)]);
}

#[test]
fn polls_that_come_while_probing_are_released_again_and_again() {
    let mut stage = Stage::set();
    stage.session(id(1));
    stage.probe(id(1), 5);
    stage.control(5, "2probe");
    for _ in 0..3 {
        let (poll, heard) = stage.poll(id(1));
        assert_eq!(heard, []);
        assert_eq!(stage.pass(CHECK), ok(poll, "6"));
    }
    let (poll, _) = stage.poll(id(1));
    assert_eq!(stage.control(5, "5"), ok(poll, "6"));
}

#[test]
fn a_change_needs_no_probe() {
    let mut stage = Stage::set();
    stage.session(id(1));
    stage.probe(id(1), 5);
    stage.control(5, "5");
    assert!(matches!(stage.inputs().as_slice(), [Input::Move { .. }]));
}

#[test]
fn a_websocket_for_no_session_or_a_second_one_is_closed() {
    let mut stage = Stage::set();
    assert_eq!(stage.probe(id(1), 5), [Heard::Close(5)]);
    stage.session(id(1));
    assert_eq!(stage.probe(id(1), 6), []);
    assert_eq!(stage.probe(id(1), 7), [Heard::Close(7)]);
    assert_eq!(stage.control(6, "2probe"), [text(6, "3probe")]);
}

#[test]
fn anything_else_than_a_probe_closes_the_websocket_and_the_session_polls_on() {
    for wrong in ["2", "2prob", "4hello", "3", "x", ""] {
        let mut stage = Stage::set();
        let number = stage.session(id(1));
        stage.probe(id(1), 5);
        assert_eq!(stage.control(5, wrong), [Heard::Close(5)], "{wrong}");
        // What was on its way.
        assert_eq!(stage.control(5, "5"), []);
        let (poll, _) = stage.poll(id(1));
        assert_eq!(stage.send(number, FrameKind::Live, "4a"), ok(poll, "4a"));
        assert_eq!(stage.probe(id(1), 6), []);
    }
}

#[test]
fn a_change_that_takes_too_long_is_given_up() {
    let mut stage = Stage::set();
    stage.session(id(1));
    stage.probe(id(1), 5);
    stage.control(5, "2probe");
    assert_eq!(stage.pass(10 * SECOND), [Heard::Close(5)]);
    let (_, heard) = stage.poll(id(1));
    assert_eq!((heard, stage.pass(SECOND)), (vec![], vec![]));
}

#[test]
fn a_websocket_that_is_lost_costs_the_session_nothing() {
    let mut stage = Stage::set();
    stage.session(id(1));
    stage.probe(id(1), 5);
    let connection = ConnectionId(5);
    stage.hear(Said::Detach { trunk: TRUNK, connection, moved: false });
    assert_eq!((stage.heard(), stage.inputs().len()), (vec![], 0));
    stage.probe(id(1), 6);
    stage.engine.trunk_down(TRUNK);
    assert_eq!((stage.heard(), stage.inputs().len()), (vec![], 0));
    assert_eq!(stage.engine.sessions(), 1);
    // Others' detaches are the core's.
    stage.hear(Said::Detach { trunk: TRUNK, connection, moved: true });
    assert!(matches!(stage.inputs().as_slice(), [Input::Detach { trunk: TRUNK, moved: true, .. }]));
}

#[test]
fn a_session_that_ends_while_probing_closes_the_websocket() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.probe(id(1), 5);
    let (post, heard) = stage.post(id(1), "1");
    assert_eq!(heard, [vec![Heard::Close(5)], ok(post, "ok")].concat());
    assert!(stage.is_detached(number) && stage.is_empty());
}
