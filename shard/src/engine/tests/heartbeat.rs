//! Pings and pongs of clients that poll, with the reference's times: 25 s and 20 s.

use std::time::Duration;

use trunkline_core::{ConnectionId, FrameKind, GroupId, Output};

use super::super::POLLING;
use super::harness::{SECOND, Stage, id, ok};

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_ping_comes_an_interval_after_the_last_pong() {
    let mut stage = Stage::set();
    stage.session(id(1));
    let (request, _) = stage.poll(id(1));
    assert_eq!(stage.pass(25 * SECOND - MILLISECOND), []);
    assert_eq!(stage.pass(MILLISECOND), ok(request, "2"));
    stage.pass(10 * SECOND);
    stage.post(id(1), "3");
    let (request, _) = stage.poll(id(1));
    assert_eq!(stage.pass(25 * SECOND - MILLISECOND), []);
    assert_eq!(stage.pass(MILLISECOND), ok(request, "2"));
}

#[test]
fn a_session_that_nobody_polls_ends_on_time_and_leaves_nothing() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (group, connection) = (GroupId(7), ConnectionId(number));
    stage.output(Output::Group { trunk: POLLING, group, connection, member: true, position: None });
    stage.send(number, FrameKind::Live, "4unheard");
    stage.pass(45 * SECOND - MILLISECOND);
    assert!(stage.inputs().is_empty());
    stage.pass(MILLISECOND);
    assert!(stage.is_detached(number) && stage.is_empty());
}

#[test]
fn who_polls_but_sends_no_pong_is_told_that_it_is_over() {
    let mut stage = Stage::set();
    stage.session(id(1));
    stage.poll(id(1));
    stage.pass(25 * SECOND);
    let (request, _) = stage.poll(id(1));
    assert_eq!(stage.pass(20 * SECOND), ok(request, "1"));
    assert!(stage.is_empty());
}

#[test]
fn who_waits_for_the_answer_to_a_post_is_not_judged() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (post, _) = stage.post(id(1), &vec!["4x"; 65].join("\x1e"));
    stage.pass(60 * SECOND);
    let connection = ConnectionId(number);
    let settled = Output::Acknowledge { trunk: POLLING, connection, sequence: 65 };
    assert_eq!(stage.output(settled), ok(post, "ok"));
    stage.pass(20 * SECOND);
    assert!(stage.is_empty());
}
