//! Sessions go from one shard to another. Two engines, and a link between them that the test is.

use bytes::Bytes;
use trunkline_config::View;
use trunkline_core::{
    Adoption, Answer, Attach, CloseCode, Comes, ConnectionId, FrameKind, GroupId, Input, Output,
    Part, SessionId, ShardIndex, SlotPosition,
};
use trunkline_proto::engine::Problem;

use super::super::{POLLING, Said};
use super::harness::{Heard, SECOND, Stage, TRUNK, frame, id, ok, refused, view};

const A: usize = 0;
const B: usize = 1;

/// Two shards, or three of which the third says nothing.
struct Pair {
    stages: [Stage; 2],
    linked: bool,
}

impl std::ops::Index<usize> for Pair {
    type Output = Stage;

    fn index(&self, shard: usize) -> &Stage {
        &self.stages[shard]
    }
}

impl std::ops::IndexMut<usize> for Pair {
    fn index_mut(&mut self, shard: usize) -> &mut Stage {
        &mut self.stages[shard]
    }
}

impl Pair {
    /// Both serve, and are linked.
    fn linked() -> Self {
        let stages = [0, 1].map(|me| Stage::set_as(me, serving(), |_| {}));
        let mut pair = Self { stages, linked: false };
        pair.link();
        pair
    }

    fn link(&mut self) {
        self[A].engine.link_up(ShardIndex(1));
        self[B].engine.link_up(ShardIndex(0));
        self.linked = true;
        self.talk();
    }

    /// The link breaks with what is on its way.
    fn cut(&mut self) {
        self.linked = false;
        for shard in [A, B] {
            self[shard].said();
            let (now, other) = (self[shard].now, other(shard));
            self[shard].engine.link_down(ShardIndex(other), now);
        }
    }

    /// Carries what one says to the other, once. What the other says to routers of it.
    fn carry(&mut self, from: usize) -> Vec<Heard> {
        let said = self[from].said();
        let mut heard = Vec::new();
        for (to, said) in said {
            assert_eq!(to, ShardIndex(other(from)));
            if self.linked {
                let to = usize::from(to.0);
                heard.extend(self[to].hear_peer(u16::try_from(from).unwrap(), said));
            }
        }
        heard
    }

    /// Lets them talk until both are silent. What each says to routers meanwhile.
    fn talk(&mut self) -> [Vec<Heard>; 2] {
        let mut heard = [Vec::new(), Vec::new()];
        for _ in 0..10 {
            heard[B].extend(self.carry(A));
            heard[A].extend(self.carry(B));
        }
        for shard in [A, B] {
            let more = self[shard].heard();
            heard[shard].extend(more);
            assert!(self[shard].said().is_empty(), "they go on for ever");
        }
        heard
    }

    /// The first shard goes away, as both know.
    fn drain(&mut self) -> [Vec<Heard>; 2] {
        let heard = [A, B].map(|shard| self[shard].view(draining()));
        let more = self.talk();
        [0, 1].map(|shard| [heard[shard].clone(), more[shard].clone()].concat())
    }
}

fn other(shard: usize) -> u16 {
    u16::try_from(1 - shard).unwrap()
}

fn serving() -> View {
    view(&["a", "b"], &[])
}

fn draining() -> View {
    view(&["a", "b"], &["a"])
}

/// A session's ID that belongs to a shard while all serve.
fn of(shard: usize) -> SessionId {
    let view = serving();
    let mut ids = (0..=u8::MAX).map(id);
    ids.find(|id| usize::from(view.owner_of(id.digest())) == shard).unwrap()
}

/// Gives a session's connection a checkpoint.
fn checkpoint(stage: &mut Stage, number: u64, state: &'static str) {
    let (trunk, connection) = (POLLING, ConnectionId(number));
    let state = Bytes::from_static(state.as_bytes());
    let session = SessionId([0; 24]);
    stage.output(Output::Checkpoint { trunk, connection, session, state });
}

/// A session that may move.
fn session(stage: &mut Stage, id: SessionId) -> u64 {
    let number = stage.session(id);
    checkpoint(stage, number, "state");
    number
}

/// The adoption in the only thing that the core is told, and the connection's number.
fn adopted(stage: &mut Stage) -> (u64, Adoption) {
    let inputs = stage.inputs();
    let [Input::Attach { trunk: POLLING, attach }] = inputs.as_slice() else {
        panic!("{inputs:?}")
    };
    (attach.connection.0, adoption(attach))
}

fn adoption(attach: &Attach) -> Adoption {
    match &attach.comes {
        Comes::Again(adoption) => (**adoption).clone(),
        Comes::Anew(_) => panic!("it was here before"),
    }
}

fn moved(request: u64) -> Vec<Heard> {
    vec![Heard::Moved(request, String::new())]
}

fn is_moved_away(stage: &mut Stage) -> bool {
    let inputs = stage.inputs();
    matches!(inputs.as_slice(), [Input::Detach { trunk: POLLING, moved: true, .. }])
}

#[test]
fn who_polls_goes_on_at_the_other_shard_with_all_that_was_kept() {
    let mut pair = Pair::linked();
    let sid = of(A);
    let number = session(&mut pair[A], sid);
    let connection = ConnectionId(number);
    // What routers keep: a group's position, a slot's, and what is not settled.
    pair[A].output(Output::Group {
        trunk: POLLING,
        group: GroupId(7),
        connection,
        member: true,
        position: Some("old".into()),
    });
    let (trunk, group, except) = (POLLING, GroupId(7), None);
    let position = Some("room".into());
    let live = frame(FrameKind::Live, "4live");
    pair[A].output(Output::Fan { trunk, group, frame: live, except, position });
    pair[A].post(sid, "4one\x1e4two\x1ebAQID");
    pair[A].inputs();
    pair[A].output(Output::Acknowledge { trunk: POLLING, connection, sequence: 1 });
    pair[A].output(Output::Send {
        trunk: POLLING,
        connections: vec![connection],
        frame: frame(FrameKind::Reply, "4reply"),
        receipt: None,
        position: Some(SlotPosition { slot: 3, position: "inbox".into() }),
        answers: Some(Answer { message: 2, part: 3 }),
    });

    let heard = pair.drain();
    assert_eq!(heard, [vec![], vec![]]);
    assert!(is_moved_away(&mut pair[A]) && pair[A].is_empty());
    assert_eq!(pair[A].engine.sessions(), 0);
    let inputs = pair[B].inputs();
    let [Input::Attach { attach, .. }, said @ ..] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!((attach.session, attach.connection), (sid, ConnectionId(1)));
    assert_eq!(
        adoption(attach),
        Adoption {
            state: "state".into(),
            positions: vec!["room".into()],
            slots: vec![SlotPosition { slot: 3, position: "inbox".into() }],
            settled: 1,
        }
    );
    let said: Vec<_> = said
        .iter()
        .map(|input| match input {
            Input::Message { sequence, payload, binary, answered, .. } => {
                (*sequence, payload.to_vec(), *binary, *answered)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said, [(2, b"two".to_vec(), false, 8), (3, vec![1, 2, 3], true, 0)]);
    let (poll, heard) = pair[B].poll(sid);
    assert_eq!(heard, ok(poll, "4live\x1e4reply"));
}

#[test]
fn what_waits_when_a_session_leaves_is_asked_again_and_what_was_said_is_taken() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    let (poll, _) = pair[A].poll(sid);
    let (post, heard) = pair[A].post(sid, &vec!["4x"; 65].join("\x1e"));
    assert_eq!(heard, []);
    let [heard, _] = pair.drain();
    assert_eq!(heard, [moved(poll), ok(post, "ok")].concat());
    // All of it is at the other shard.
    let said = pair[B].inputs();
    assert_eq!(said.iter().filter(|it| matches!(it, Input::Message { .. })).count(), 65);
    assert_eq!(pair[B].post(sid, "4y").1, [], "it waits there");
}

#[test]
fn a_post_whose_body_is_still_to_come_is_said_at_the_other_shard() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    let (post, _) = pair[A].announce(sid);
    let [heard, _] = pair.drain();
    assert_eq!(heard, moved(post));
    pair[A].inputs();
    // Its body was on its way, and nothing is done with it.
    assert_eq!(pair[A].follow(post, sid, "4x"), moved(post));
    assert!(pair[A].inputs().is_empty());
    adopted(&mut pair[B]);
    let (post, heard) = pair[B].post(sid, "4x");
    assert_eq!((heard, pair[B].inputs().len()), (ok(post, "ok"), 1));
}

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

#[test]
fn last_words_are_said_by_the_other_shard() {
    let mut pair = Pair::linked();
    let sid = of(A);
    let number = session(&mut pair[A], sid);
    pair[A].send(number, FrameKind::Reply, "41");
    let connection = ConnectionId(number);
    let close = Output::Close { trunk: POLLING, connection, code: CloseCode::Done, reason: "" };
    pair[A].output(close);
    pair.drain();
    assert!(pair[B].inputs().is_empty(), "the core knows no more of it");
    for said in ["41", "1"] {
        let (poll, heard) = pair[B].poll(sid);
        assert_eq!(heard, ok(poll, said));
    }
    assert!(pair[B].is_empty());
}

#[test]
fn a_heartbeat_goes_on_where_it_was() {
    let mut pair = Pair::linked();
    let sid = of(A);
    session(&mut pair[A], sid);
    pair[A].pass(25 * SECOND);
    pair[A].pass(15 * SECOND);
    pair[B].pass(40 * SECOND);
    pair.drain();
    let (number, _) = adopted(&mut pair[B]);
    let (poll, heard) = pair[B].poll(sid);
    assert_eq!(heard, ok(poll, "2"));
    pair[B].pass(4 * SECOND);
    assert!(pair[B].inputs().is_empty());
    pair[B].pass(SECOND);
    assert!(pair[B].is_detached(number));
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
