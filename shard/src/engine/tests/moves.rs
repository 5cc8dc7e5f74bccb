//! Sessions go from one shard to another. Two engines, and a link between them that the test is.

mod links;
mod staying;
mod waiting;

use bytes::Bytes;
use trunkline_config::View;
use trunkline_core::{
    Adoption, Answer, Attach, CloseCode, Comes, ConnectionId, FrameKind, GroupId, Input, Output,
    SessionId, ShardIndex, SlotPosition,
};

use super::super::POLLING;
use super::harness::{Heard, SECOND, Stage, frame, id, ok, view};

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
