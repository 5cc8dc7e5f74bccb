//! Requests and their answers.

use trunkline_core::{CloseCode, ConnectionId, FrameKind, GroupId, Input, Output, Part, ReceiptId};
use trunkline_proto::engine::Problem;

use super::super::{POLLING, Tally};
use super::harness::{Heard, SECOND, Stage, TRUNK, frame, id, ok, refused};

#[test]
fn the_handshake_is_answered_with_the_open_packet_and_attaches_a_connection() {
    let mut stage = Stage::set();
    let request = stage.open(id(1));
    let heard = stage.heard();
    let [Heard::Answer(answered, 200, body)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(*answered, request);
    assert!(body.starts_with("0{\"sid\":\"AQEB") && body.contains("[\"websocket\"]"), "{body}");
    let inputs = stage.inputs();
    let [Input::Attach { trunk: POLLING, attach }] = inputs.as_slice() else { panic!() };
    assert_eq!((attach.connection, attach.session), (ConnectionId(1), id(1)));
}

#[test]
fn a_poll_waits_for_something_to_say_and_takes_all_there_is() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, heard) = stage.poll(id(1));
    assert_eq!(heard, []);
    assert_eq!(stage.send(number, FrameKind::Live, "4a"), ok(request, "4a"));
    assert_eq!(stage.send(number, FrameKind::Live, "4b"), []);
    assert_eq!(stage.send(number, FrameKind::Reply, "4c"), []);
    let (request, heard) = stage.poll(id(1));
    assert_eq!(heard, ok(request, "4b\x1e4c"));
}

#[test]
fn attachments_are_written_in_base64() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let mut frame = frame(FrameKind::Live, "451-[\"a\",{\"_placeholder\":true,\"num\":0}]");
    frame.parts.push(Part::binary(vec![1, 2, 3, 4].into()));
    let connections = vec![ConnectionId(number)];
    let (trunk, receipt, position, answers) = (POLLING, Some(ReceiptId(9)), None, None);
    stage.output(Output::Send { trunk, connections, frame, receipt, position, answers });
    assert!(matches!(
        stage.inputs().as_slice(),
        [Input::Receipt { trunk: POLLING, receipt: ReceiptId(9), passed: true }]
    ));
    let (request, heard) = stage.poll(id(1));
    assert_eq!(heard, ok(request, "451-[\"a\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA=="));
}

#[test]
fn the_packets_of_a_post_are_numbered_and_answered_with_ok() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, heard) = stage.post(id(1), "40\x1ebAQID\x1e3\x1e6");
    assert_eq!(heard, ok(request, "ok"));
    let said: Vec<_> = stage
        .inputs()
        .into_iter()
        .map(|input| match input {
            Input::Message { trunk: POLLING, connection, sequence, payload, binary, .. } => {
                (connection.0, sequence, payload.to_vec(), binary)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said, [(number, 1, b"0".to_vec(), false), (number, 2, vec![1, 2, 3], true)]);
}

#[test]
fn a_post_waits_until_its_messages_are_settled_but_for_64() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, heard) = stage.post(id(1), &vec!["4x"; 100].join("\x1e"));
    assert_eq!(heard, []);
    let settle = |sequence| Output::Acknowledge {
        trunk: POLLING,
        connection: ConnectionId(number),
        sequence,
    };
    assert_eq!(stage.output(settle(35)), []);
    assert_eq!(stage.output(settle(36)), ok(request, "ok"));
    assert_eq!(stage.output(settle(100)), []);
}

#[test]
fn an_unknown_session_is_told_so() {
    let mut stage = Stage::set();
    for (request, heard) in [stage.poll(id(1)), stage.post(id(1), "4x")] {
        assert_eq!(heard, refused(request, Problem::UnknownSession));
    }
}

#[test]
fn overlapping_requests_end_the_session() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (first, _) = stage.poll(id(1));
    let (second, heard) = stage.poll(id(1));
    let overlap = Heard::Answer(second, 400, String::new());
    assert_eq!(heard, [ok(first, "1"), vec![overlap]].concat());
    assert!(stage.is_detached(number) && stage.is_empty());

    stage.session(id(2));
    let (first, _) = stage.post(id(2), &vec!["4x"; 65].join("\x1e"));
    let (second, heard) = stage.post(id(2), "4x");
    let overlap = Heard::Answer(second, 400, String::new());
    assert_eq!(heard, [refused(first, Problem::BadRequest), vec![overlap]].concat());
    assert!(stage.is_empty());
}

#[test]
fn who_hangs_up_while_polling_is_gone() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, _) = stage.poll(id(1));
    stage.gone(request);
    assert!(stage.is_detached(number) && stage.is_empty());
    // An answer and a hang-up may cross.
    stage.gone(request);
    assert_eq!(stage.heard(), []);
}

#[test]
fn a_poll_that_a_router_gives_back_is_answered_and_the_session_goes_on() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (request, _) = stage.poll(id(1));
    let (post, _) = stage.announce(id(1));
    assert_eq!(stage.release(request), ok(request, "6"));
    // It is answered already, or it is no poll.
    assert_eq!(stage.release(request), []);
    assert_eq!(stage.release(post), []);
    let (next, heard) = stage.poll(id(1));
    assert_eq!(heard, []);
    assert_eq!(stage.send(number, FrameKind::Live, "4hello"), ok(next, "4hello"));
}

#[test]
fn who_polled_by_a_trunk_that_breaks_can_not_be_seen_and_others_stay() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.session(id(2));
    stage.poll(id(1));
    stage.engine.trunk_down(TRUNK);
    let inputs = stage.inputs();
    assert!(matches!(inputs.as_slice(), [Input::Lost { trunk: POLLING, connection }]
        if connection.0 == number));
    assert_eq!(stage.engine.sessions(), 1);
}

#[test]
fn a_close_packet_ends_the_session_and_its_poll() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    let (poll, _) = stage.poll(id(1));
    let (post, heard) = stage.post(id(1), "1\x1e4behind");
    assert_eq!(heard, [ok(poll, "6"), ok(post, "ok")].concat());
    assert!(stage.is_detached(number) && stage.is_empty());
}

#[test]
fn what_is_no_packet_or_a_ping_ends_the_session() {
    for body in ["", "abc", "2", "2probe"] {
        let mut stage = Stage::set();
        let number = stage.session(id(1));
        let (poll, _) = stage.poll(id(1));
        let (post, heard) = stage.post(id(1), body);
        assert_eq!(heard, [ok(poll, "1"), ok(post, "ok")].concat(), "{body}");
        assert!(stage.is_detached(number) && stage.is_empty());
    }
}

#[test]
fn the_core_closes_after_what_is_queued() {
    let mut stage = Stage::set();
    let number = stage.session(id(1));
    stage.send(number, FrameKind::Reply, "41");
    let connection = ConnectionId(number);
    let close = Output::Close { trunk: POLLING, connection, code: CloseCode::Done, reason: "" };
    assert_eq!(stage.output(close.clone()), []);
    assert!(stage.is_detached(number));
    // Nothing more is taken or passed on.
    stage.send(number, FrameKind::Live, "4late");
    let (post, heard) = stage.post(id(1), "4x");
    assert_eq!((heard, stage.inputs().len()), (ok(post, "ok"), 0));
    let (poll, heard) = stage.poll(id(1));
    assert_eq!(heard, ok(poll, "41"));
    // Together the client would act on the end first.
    let (poll, heard) = stage.poll(id(1));
    assert_eq!(heard, ok(poll, "1"));
    assert!(stage.is_empty());

    // Who polls already hears it at once, and who never comes is forgotten.
    let number = stage.session(id(2));
    let (poll, _) = stage.poll(id(2));
    let connection = ConnectionId(number);
    let close = Output::Close { trunk: POLLING, connection, code: CloseCode::Done, reason: "" };
    assert_eq!(stage.output(close), ok(poll, "1"));
    assert!(stage.is_detached(number) && stage.is_empty());
    let number = stage.session(id(3));
    let connection = ConnectionId(number);
    let close = Output::Close { trunk: POLLING, connection, code: CloseCode::Done, reason: "" };
    stage.output(close);
    stage.pass(30 * SECOND);
    assert!(stage.is_empty());
}

#[test]
fn a_group_hears_a_fan_but_for_who_is_left_out() {
    let mut stage = Stage::set();
    let (a, b) = (stage.session(id(1)), stage.session(id(2)));
    for number in [a, b] {
        let (group, connection) = (GroupId(7), ConnectionId(number));
        stage.output(Output::Group {
            trunk: POLLING,
            group,
            connection,
            member: true,
            position: None,
        });
    }
    let frame = frame(FrameKind::Ephemeral, "4hi");
    let except = Some(ConnectionId(a));
    let position = None;
    stage.output(Output::Fan { trunk: POLLING, group: GroupId(7), frame, except, position });
    assert_eq!(stage.poll(id(1)).1, []);
    let (request, heard) = stage.poll(id(2));
    assert_eq!(heard, ok(request, "4hi"));
    let (group, connection) = (GroupId(7), ConnectionId(b));
    stage.output(Output::Group {
        trunk: POLLING,
        group,
        connection,
        member: false,
        position: None,
    });
}

#[test]
fn who_does_not_poll_loses_ephemeral_messages_and_then_the_session() {
    // Twice what one answer may have is the least.
    let mut stage = Stage::set_with(|settings| {
        settings.limits.out_queue = 10;
        settings.socketio.max_http_buffer_size = 50;
    });
    let number = stage.session(id(1));
    let text = "4".repeat(59);
    for kind in [FrameKind::Ephemeral, FrameKind::Ephemeral] {
        stage.send(number, kind, &text);
    }
    assert!(stage.inputs().is_empty());
    stage.send(number, FrameKind::Live, &text);
    assert!(stage.is_detached(number) && stage.is_empty());
    assert_eq!(stage.engine.take_tally(), Tally { live: 1, ephemeral: 1, reply: 0 });
}

#[test]
fn beyond_the_limit_no_session_begins() {
    let mut stage = Stage::set_with(|settings| settings.limits.connections_per_worker = 1);
    let number = stage.session(id(1));
    let request = stage.open(id(2));
    assert_eq!(stage.heard(), [Heard::Answer(request, 503, String::new())]);
    let (poll, _) = stage.poll(id(1));
    stage.gone(poll);
    assert!(stage.is_detached(number));
    stage.session(id(2));
}
