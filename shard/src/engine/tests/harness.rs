//! An engine, and a clock that stands still until it is moved.

use std::sync::Arc;
use std::time::Duration;

use trunkline_config::{ShardStatus, Statuses};
use trunkline_core::{
    Comes, Dialect, Frame, FrameKind, Identity, Namespace, Newcomer, Part, Rights, UserId,
};
use trunkline_proto::engine::Problem;
use trunkline_proto::peer::PeerItem;
use trunkline_proto::peer::peer_item;
use trunkline_proto::trunk::{Down, down};
use trunkline_proto::{peer, trunk};

use super::super::*;
use crate::testing::map;
use crate::wire::decode_rescue;
use trunkline_core::{Output, Rescue};

pub(super) const TRUNK: TrunkId = TrunkId(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) now: Mono,
    /// What the core says of sessions.
    pub(super) connected: BTreeSet<SessionId>,
    requests: u64,
    /// What is deposited with routers, each with whether there is anything.
    pub(super) deposits: Vec<(TrunkId, Rescue)>,
    /// By which clients come back, as the core knows it.
    pub(super) private_ids: Vec<SessionId>,
}

/// What the engine says to routers, for short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Answer(u64, u32, String),
    Text(u64, String),
    Close(u64),
    /// Ask the shard that is named.
    Moved(u64, String),
}

/// Shards of a map, numbered as they are named, some of them away.
pub(super) fn view(shards: &[&str], away: &[&str]) -> View {
    let map = map(1, shards);
    let (_, mut directory) = View::first(Arc::clone(&map));
    let mut statuses = Statuses::default();
    for id in away {
        statuses.learn(&ShardStatus { shard: (*id).to_owned(), stamp_ms: 1, away: true });
    }
    View::new(map, &statuses, &mut directory)
}

pub(super) fn id(number: u8) -> SessionId {
    SessionId([number; 24])
}

pub(super) fn ok(request: u64, body: &str) -> Vec<Heard> {
    vec![Heard::Answer(request, 200, body.to_owned())]
}

pub(super) fn refused(request: u64, problem: Problem) -> Vec<Heard> {
    vec![Heard::Answer(request, u32::from(problem.status()), problem.body())]
}

pub(super) fn frame(kind: FrameKind, text: &str) -> Frame {
    let parts = vec![Part::text(text.to_owned().into())];
    Frame::socketio(kind, parts)
}

impl Stage {
    pub(super) fn set() -> Self {
        Self::set_with(|_| {})
    }

    pub(super) fn set_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::set_as(0, view(&["a"], &[]), change)
    }

    /// The stage of one shard among others.
    pub(super) fn set_as(me: u16, view: View, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let engine = Engine::new(&settings, view, ShardIndex(me));
        Self {
            engine,
            now: Mono(SECOND),
            connected: BTreeSet::new(),
            requests: 0,
            deposits: Vec::new(),
            private_ids: vec![id(99)],
        }
    }

    /// Lets time pass, doing what is due on the way.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Heard> {
        let end = self.now + time;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.engine.tick(at);
        }
        self.now = end;
        self.heard()
    }

    /// Begins a session; its connection's number is that of its request.
    pub(super) fn open(&mut self, session: SessionId) -> u64 {
        let attach = Attach {
            connection: ConnectionId(0),
            session,
            dialect: Dialect::SocketIo,
            attachment: 0,
            comes: Comes::Anew(Newcomer {
                namespace: Namespace::parse("/").unwrap(),
                identity: Identity {
                    user: UserId::parse("alice").unwrap(),
                    expires_ms: None,
                    rights: Rights(None),
                },
                authenticated: false,
                guest: true,
                inbox_after: None,
            }),
        };
        let asked = self.ask();
        let kept = Kept::begin(&wire_attach(session));
        self.hear(Said::Open { asked, attach, kept });
        asked.request
    }

    /// A session whose handshake is over, and the number of its connection.
    pub(super) fn session(&mut self, session: SessionId) -> u64 {
        self.open(session);
        self.heard();
        match self.inputs().as_slice() {
            [Input::Attach { trunk: POLLING, attach }] => attach.connection.0,
            other => panic!("no attach: {other:?}"),
        }
    }

    pub(super) fn poll(&mut self, session: SessionId) -> (u64, Vec<Heard>) {
        self.poll_by(TRUNK, session)
    }

    /// The same by the trunk of some router worker.
    pub(super) fn poll_by(&mut self, trunk: TrunkId, session: SessionId) -> (u64, Vec<Heard>) {
        let asked = Asked { trunk, ..self.ask() };
        self.hear(Said::Poll { asked, session });
        (asked.request, self.heard())
    }

    pub(super) fn announce(&mut self, session: SessionId) -> (u64, Vec<Heard>) {
        let asked = self.ask();
        self.hear(Said::Posting { asked, session });
        (asked.request, self.heard())
    }

    /// The body of a post that was announced.
    pub(super) fn follow(&mut self, request: u64, session: SessionId, body: &str) -> Vec<Heard> {
        let (asked, body) = (Asked { trunk: TRUNK, request }, body.to_owned().into());
        self.hear(Said::Post { asked, session, body });
        self.heard()
    }

    pub(super) fn too_large(&mut self, request: u64) {
        self.hear(Said::TooLarge(Asked { trunk: TRUNK, request }));
    }

    pub(super) fn post(&mut self, session: SessionId, body: &str) -> (u64, Vec<Heard>) {
        let (asked, body) = (self.ask(), body.to_owned().into());
        self.hear(Said::Post { asked, session, body });
        (asked.request, self.heard())
    }

    pub(super) fn probe(&mut self, session: SessionId, connection: u64) -> Vec<Heard> {
        let connection = ConnectionId(connection);
        self.hear(Said::Probe { trunk: TRUNK, connection, session });
        self.heard()
    }

    pub(super) fn control(&mut self, connection: u64, text: &'static str) -> Vec<Heard> {
        let (connection, payload) = (ConnectionId(connection), text.into());
        let said = Said::Control { trunk: TRUNK, connection, payload, binary: false };
        self.hear(said);
        self.heard()
    }

    pub(super) fn gone(&mut self, request: u64) {
        self.hear(Said::Gone(Asked { trunk: TRUNK, request }));
    }

    pub(super) fn release(&mut self, request: u64) -> Vec<Heard> {
        self.hear(Said::Release(Asked { trunk: TRUNK, request }));
        self.heard()
    }

    pub(super) fn hear(&mut self, said: Said) {
        let connected = &self.connected;
        self.engine.hear(said, self.now, |session| connected.contains(session));
    }

    /// The core sends a text.
    pub(super) fn send(&mut self, to: u64, kind: FrameKind, text: &str) -> Vec<Heard> {
        self.output(Output::Send {
            trunk: POLLING,
            connections: vec![ConnectionId(to)],
            frame: frame(kind, text),
            receipt: None,
            position: None,
            answers: None,
        })
    }

    pub(super) fn output(&mut self, output: Output) -> Vec<Heard> {
        assert!(is_polling(&output));
        let newest = Stamp { stream: 7, number: 9 };
        let known = Known { newest, private_ids: self.private_ids.clone() };
        self.engine.carry_out(output, known, self.now);
        self.engine.flush_touched();
        self.heard()
    }

    /// Another view.
    pub(super) fn view(&mut self, view: View) -> Vec<Heard> {
        self.engine.view(view, self.now);
        self.heard()
    }

    /// What it says to other shards once the core has nothing more to say.
    pub(super) fn said(&mut self) -> Vec<(ShardIndex, peer::Engine)> {
        self.engine.depart(self.now);
        let engine = |item: PeerItem| match item.item {
            Some(peer_item::Item::Engine(engine)) => engine,
            other => panic!("not of sessions that poll: {other:?}"),
        };
        let items = self.engine.take_peer_items().into_iter();
        items.map(|(to, item, _)| (to, engine(item))).collect()
    }

    pub(super) fn hear_peer(&mut self, from: u16, said: peer::Engine) -> Vec<Heard> {
        self.engine.hear_peer(ShardIndex(from), said, self.now).unwrap();
        self.engine.flush_touched();
        self.heard()
    }

    pub(super) fn inputs(&mut self) -> Vec<Input> {
        std::iter::from_fn(|| self.engine.poll_input()).collect()
    }

    /// Whether the only thing that the core is told is that a connection is gone.
    pub(super) fn is_detached(&mut self, number: u64) -> bool {
        matches!(self.inputs().as_slice(), [Input::Detach { trunk: POLLING, connection, moved: false }]
            if connection.0 == number)
    }

    /// Nothing of any session is left.
    pub(super) fn is_empty(&self) -> bool {
        let Engine { sessions, by_id, waiting, probes, groups, timers, touched, .. } = &self.engine;
        sessions.is_empty()
            && by_id.is_empty()
            && waiting.is_empty()
            && probes.is_empty()
            && groups.is_empty()
            && touched.is_empty()
            && timers.next().is_none()
    }

    fn ask(&mut self) -> Asked {
        self.requests += 1;
        Asked { trunk: TRUNK, request: self.requests }
    }

    pub(super) fn heard(&mut self) -> Vec<Heard> {
        let mut said = Vec::new();
        for (trunk, (down, _)) in self.engine.take_items() {
            match down.item {
                Some(down::Item::Deposit(trunk::Deposit { state, .. })) => {
                    self.deposits.push((trunk, decode_rescue(state).unwrap()));
                }
                _ => said.extend(heard(trunk, down)),
            }
        }
        said
    }
}

/// As its router says it.
fn wire_attach(session: SessionId) -> trunk::Attach {
    trunk::Attach {
        session: session.0.to_vec().into(),
        dialect: trunk::Dialect::SocketIo.into(),
        namespace: "/".to_owned(),
        user: "alice".to_owned(),
        guest: true,
        ..trunk::Attach::default()
    }
}

fn heard(trunk: TrunkId, down: Down) -> Vec<Heard> {
    assert_ne!(trunk, POLLING);
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match down.item.unwrap() {
        down::Item::Poll(trunk::PollAnswer { request, moved: Some(at), .. }) => {
            vec![Heard::Moved(request, at)]
        }
        down::Item::Poll(answer) => {
            vec![Heard::Answer(answer.request, answer.status, text(&answer.body))]
        }
        down::Item::Send(send) => {
            let parts = send.frame.unwrap().parts;
            let to = send.connections[0];
            parts.iter().map(|part| Heard::Text(to, text(&part.payload))).collect()
        }
        down::Item::Close(close) => vec![Heard::Close(close.connection)],
        other => panic!("not for a router: {other:?}"),
    }
}
