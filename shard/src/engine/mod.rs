//! Engine.IO's polling: the sessions of clients that have no socket, and their change to a
//! WebSocket.
//!
//! To the core such a client is a connection like any other, on a trunk that is always up
//! ([`POLLING`]): the engine plays the router for it. It turns the bodies of requests into
//! messages, keeps what the core sends until the next poll, and asks by heartbeat whether
//! anybody still polls. It knows no rooms and reads no message.
//!
//! It is pure, like the core: told what happened and when, it says what to tell the core
//! ([`Engine::poll_input`]) and the routers ([`Engine::take_items`]).

mod answer;
mod apply;
mod deposit;
mod ending;
mod groups;
mod heartbeat;
mod moves;
mod payload;
mod poll;
mod post;
mod probe;
mod queue;
mod session;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use trunkline_config::settings::{Settings, SocketIo};
use trunkline_config::{HashKey, View};
use trunkline_core::{Attach, ConnectionId, Input, Mono, SessionId, ShardIndex, Stamp, TrunkId};
use trunkline_proto::kept::Kept;
use trunkline_proto::out_queue::Bounds;

use crate::wire::TrunkItem;
pub(crate) use apply::is_polling;
pub(crate) use deposit::Known;
use ending::Ending;
use groups::Groups;
use moves::Moves;
pub(crate) use queue::Tally;
use session::{Phase, Session};
use timers::{Timer, Timers};

/// The trunk that polling clients are on. Real ones are numbered from 1.
pub(crate) const POLLING: TrunkId = TrunkId(0);

/// A request that a router waits to have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) trunk: TrunkId,
    /// The router's number for it.
    pub(crate) request: u64,
}

/// What routers say that is for the engine.
#[derive(Debug)]
pub(crate) enum Said {
    /// A client begins to poll.
    Open { asked: Asked, attach: Attach, kept: Kept },
    /// A client asks for what there is.
    Poll { asked: Asked, session: SessionId },
    /// A client is about to say something. The post follows under the same number.
    Posting { asked: Asked, session: SessionId },
    /// A client has something to say.
    Post { asked: Asked, session: SessionId, body: Bytes },
    /// A client has hung up before it was answered.
    Gone(Asked),
    /// A poll is to be answered now: the client goes on at another router.
    Release(Asked),
    /// A post that was announced is refused for its size.
    TooLarge(Asked),
    /// A WebSocket to which a session may change.
    Probe { trunk: TrunkId, connection: ConnectionId, session: SessionId },
    /// What came over it.
    Control { trunk: TrunkId, connection: ConnectionId, payload: Bytes, binary: bool },
    /// A WebSocket is gone, such a one or any other.
    Detach { trunk: TrunkId, connection: ConnectionId, moved: bool },
}

impl Said {
    /// The session that it is about, if it names one that there should be.
    fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Poll { session, .. }
            | Self::Posting { session, .. }
            | Self::Post { session, .. }
            | Self::Probe { session, .. } => Some(session),
            Self::Open { .. }
            | Self::Gone(_)
            | Self::Release(_)
            | Self::TooLarge(_)
            | Self::Control { .. }
            | Self::Detach { .. } => None,
        }
    }
}

/// The sessions that poll.
pub(crate) struct Engine {
    settings: SocketIo,
    key: HashKey,
    bounds: Bounds,
    /// How many sessions there may be.
    most: usize,
    sessions: BTreeMap<u64, Session>,
    by_id: BTreeMap<SessionId, u64>,
    /// Whose pending requests these are.
    waiting: BTreeMap<Asked, u64>,
    /// Whose WebSockets these may become.
    probes: BTreeMap<(TrunkId, ConnectionId), u64>,
    groups: Groups,
    timers: Timers,
    /// Who has got something since the last flush.
    touched: BTreeSet<u64>,
    /// Whose state has changed since, or what they were given.
    noted: BTreeSet<u64>,
    /// The newest stamp of the shard.
    newest: Stamp,
    /// The last session's number, which is its connection's.
    last: u64,
    moves: Moves,
    tally: Tally,
    inputs: VecDeque<Input>,
    items: Vec<(TrunkId, TrunkItem)>,
}

impl Engine {
    /// The engine of the shard `me`.
    pub(crate) fn new(settings: &Settings, view: View, me: ShardIndex) -> Self {
        let limits = &settings.limits;
        Self {
            settings: settings.socketio.clone(),
            key: view.hash_key(),
            bounds: Bounds {
                // A WebSocket's queue has the kernel's buffers behind it; this one has to hold
                // all that comes between two polls. An answer may be as large as a payload, so
                // there is room for one and as much again while the client reads it.
                messages: limits.out_queue.max(2 * settings.socketio.max_http_buffer_size),
                ..Bounds::of(settings)
            },
            most: limits.connections_per_worker,
            sessions: BTreeMap::new(),
            by_id: BTreeMap::new(),
            waiting: BTreeMap::new(),
            probes: BTreeMap::new(),
            groups: Groups::default(),
            timers: Timers::default(),
            touched: BTreeSet::new(),
            noted: BTreeSet::new(),
            newest: Stamp { stream: 0, number: 0 },
            last: 0,
            moves: Moves::new(view, me),
            tally: Tally::default(),
            inputs: VecDeque::new(),
            items: Vec::new(),
        }
    }

    /// Takes what a router has said. The core knows which sessions are connected: those that do
    /// not poll have a WebSocket.
    pub(crate) fn hear(
        &mut self,
        said: Said,
        now: Mono,
        is_connected: impl FnOnce(&SessionId) -> bool,
    ) {
        let session = said.session().copied();
        if let Some(session) = session.filter(|session| !self.by_id.contains_key(session)) {
            let is_connected = is_connected(&session);
            return self.seek(session, said, is_connected, now);
        }
        let Some(said) = self.moves.lookups.overhear(said) else { return };
        match said {
            Said::Open { asked, attach, kept } => self.open(asked, attach, kept, now),
            Said::Poll { asked, session } => self.poll(asked, &session),
            Said::Posting { asked, session } => self.announce(asked, &session),
            Said::Post { asked, session, body } => self.post(asked, &session, &body, now),
            Said::Gone(asked) => self.gone(asked, Ending::Broken),
            Said::Release(asked) => self.release_poll(asked),
            Said::TooLarge(asked) => self.too_large(asked),
            Said::Probe { trunk, connection, session } => {
                self.begin_probe((trunk, connection), &session, now);
            }
            Said::Control { trunk, connection, payload, binary } => {
                self.control((trunk, connection), &payload, binary, now);
            }
            Said::Detach { trunk, connection, moved } => self.detach(trunk, connection, moved),
        }
    }

    /// A router worker is gone. Who waited for its answer may be back, by another; every WebSocket is gone.
    pub(crate) fn trunk_down(&mut self, trunk: TrunkId) {
        let of_trunk = (trunk, ConnectionId(0))..=(trunk, ConnectionId(u64::MAX));
        let probes: Vec<_> = self.probes.range(of_trunk).map(|(at, _)| *at).collect();
        probes.into_iter().for_each(|at| {
            self.forget_probe(at);
        });
        let of_trunk = Asked { trunk, request: 0 }..=Asked { trunk, request: u64::MAX };
        let waiting: Vec<_> = self.waiting.range(of_trunk).map(|(asked, _)| *asked).collect();
        waiting.into_iter().for_each(|asked| self.gone(asked, Ending::Unseen));
        self.moves.lookups.trunk_down(trunk);
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Mono) {
        while let Some((session, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Heartbeat => self.beat(session, now),
                Timer::Check => self.check(session, now),
                Timer::Upgrade => self.give_up_probe(session),
                Timer::Farewell => self.end(session, Ending::Broken),
            }
        }
        self.give_up_moves(now);
    }

    /// When [`Engine::tick`] has to be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        [self.timers.next(), self.moves.next_timer()].into_iter().flatten().min()
    }

    /// What to tell the core next.
    pub(crate) fn poll_input(&mut self) -> Option<Input> {
        self.inputs.pop_front()
    }

    /// What to tell routers, in order.
    pub(crate) fn take_items(&mut self) -> Vec<(TrunkId, TrunkItem)> {
        std::mem::take(&mut self.items)
    }

    /// How many sessions there are of which the core knows no more.
    pub(crate) fn leftover(&self) -> usize {
        let closing = self.sessions.values().filter(|session| session.phase == Phase::Closing);
        closing.count() + self.moves.departed()
    }

    /// How many sessions there are; one that another shard may not have taken yet is one.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len() + self.moves.departed()
    }

    /// What found no room since the last time.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn find(&mut self, id: &SessionId) -> Option<(u64, &mut Session)> {
        let number = *self.by_id.get(id)?;
        Some((number, self.sessions.get_mut(&number)?))
    }
}

#[cfg(test)]
mod tests;
