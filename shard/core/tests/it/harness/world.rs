//! Cores, and everything between them, moved by one queue of events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use trunkline_config::{HashKey, Shard as MapShard, ShardKey, ShardMap};
use trunkline_core::{
    Attach, ConnectionId, Core, Frame, FrameKind, Gauges, Identity, Input, LogRequest, Mono,
    Namespace, Now, Output, Position, Rights, SessionId, ShardIndex, Topic, TrunkId, UserId,
};

use super::log::{Fate, ModelLog};
use super::network::{Network, TrunkSlot, Way};
use super::plan::{Delay, Plan};
use super::router::{Arrival, ClientId, Seen, Sockets};
use super::trace::Trace;

/// The wall clock at the beginning of the world.
const WALL_MS: u64 = 1_790_000_000_000;
/// A broken thing whose other end is not there tries again after this long.
const TRY_AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Event {
    /// Something for a core, if it is still this process.
    Input { shard: usize, life: u64, on: On, input: Input },
    /// A shard's word for its router.
    Output { trunk: TrunkId, output: Output },
    /// The store does what it was asked.
    Store { shard: usize, life: u64, request: LogRequest },
    MakeLink(usize, usize),
    MakeTrunk(TrunkSlot),
    Start(usize),
    LinkIsKnown(usize, usize, u64),
}

/// What must still be whole for an input to arrive.
#[derive(Clone, Copy, Debug)]
enum On {
    Nothing,
    Link(usize, u64),
    Trunk(TrunkId),
}

#[derive(Debug)]
struct Shard {
    /// Counts its processes, from 1.
    life: u64,
    core: Option<Core>,
    log: ModelLog,
    /// What it believes to be up.
    links: BTreeSet<usize>,
    trunks: BTreeSet<TrunkId>,
}

/// Who comes: everything that a router tells of a client.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) session: SessionId,
    pub(crate) identity: Identity,
    pub(crate) authenticated: bool,
    pub(crate) inbox_after: Option<Position>,
}

/// Cores, routers, and what is between them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    map: Arc<ShardMap>,
    shards: Vec<Shard>,
    sockets: Sockets,
    network: Network,
    /// Which process of a shard was known last to a router or peer.
    known: BTreeMap<(Stranger, usize), u64>,
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    now: Duration,
    chance: StdRng,
    seen: VecDeque<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stranger {
    Router(usize),
    Peer(usize),
}

/// The core that owns a room of the namespace `/`.
pub(crate) fn core_of(world: &World, topic: &Topic) -> usize {
    usize::from(world.map.owner(&topic.key()))
}

/// A session's ID for a connection that is placed by this key; `number` makes it unique.
pub(crate) fn session_of(world: &World, key: &ShardKey<'_>, number: u64) -> SessionId {
    let mut id = [0; 24];
    id[..8].copy_from_slice(&world.map.digest(key).0.to_be_bytes());
    id[16..].copy_from_slice(&number.to_be_bytes());
    SessionId(id)
}

impl World {
    /// A world in which every shard is started and everything is whole.
    pub(crate) fn new(plan: Plan, seed: u64, trace: Trace) -> Self {
        let shard = |index: usize| MapShard {
            id: char::from(b'a' + u8::try_from(index).expect("few shards")).to_string(),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        let map = ShardMap::new(1, HashKey([7; 16]), (0..plan.shards).map(shard).collect());
        let mut world = Self {
            map: Arc::new(map),
            shards: Vec::new(),
            sockets: Sockets::default(),
            network: Network::default(),
            known: BTreeMap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            now: Duration::ZERO,
            chance: StdRng::seed_from_u64(seed),
            seen: VecDeque::new(),
            plan,
            trace,
        };
        for index in 0..world.plan.shards {
            let log = ModelLog::new("", &world.plan.settings);
            let (links, trunks) = (BTreeSet::new(), BTreeSet::new());
            world.shards.push(Shard { life: 0, core: None, log, links, trunks });
            world.start(index);
        }
        for a in 0..world.plan.shards {
            for b in a + 1..world.plan.shards {
                world.make_link(a, b);
            }
            for router in 0..world.plan.routers {
                world.make_trunk((router, a));
            }
        }
        world
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn gauges(&self, shard: usize) -> Gauges {
        self.shards[shard].core.as_ref().map(Core::gauges).unwrap_or_default()
    }

    /// The oldest offset that the owner's store still has of a topic, and the history's name.
    pub(crate) fn readable(&self, topic: &Topic) -> (String, u64) {
        let log = &self.shards[core_of(self, topic)].log;
        (log.epoch().to_string(), log.first(topic, self.wall_ms()))
    }

    pub(crate) fn home_of(&self, session: &SessionId) -> usize {
        usize::from(self.map.placement().owner(session.digest()))
    }

    /// A client comes through a router. `None` if the router has no trunk to its shard.
    pub(crate) fn connect(&mut self, router: usize, guest: Guest) -> Option<ClientId> {
        let trunk = self.network.trunk((router, self.home_of(&guest.session)))?;
        let client = self.sockets.open(trunk, guest.session);
        let Guest { session, identity, authenticated, inbox_after } = guest;
        let attach = Attach {
            connection: ConnectionId(client.0),
            session,
            namespace: Namespace::parse("/").expect("a namespace"),
            identity,
            authenticated,
            inbox_after,
        };
        self.up(trunk, Input::Attach { trunk, attach });
        Some(client)
    }

    /// A client sends a message. Gives its number.
    pub(crate) fn say(&mut self, client: ClientId, text: &str) -> u64 {
        let socket = self.sockets.get_mut(client).expect("who speaks is connected");
        socket.sequence += 1;
        let (trunk, sequence) = (socket.trunk, socket.sequence);
        self.repeat(client, trunk, sequence, text);
        sequence
    }

    /// A router sends a client's message, or sends it again.
    pub(crate) fn repeat(
        &mut self,
        client: ClientId,
        trunk: TrunkId,
        sequence: u64,
        text: &str,
    ) {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let connection = ConnectionId(client.0);
        self.up(trunk, Input::Message { trunk, connection, sequence, payload });
    }

    pub(crate) fn trunk_of(&self, client: ClientId) -> Option<TrunkId> {
        self.sockets.get(client).map(|socket| socket.trunk)
    }

    pub(crate) fn session(&self, client: ClientId) -> Option<SessionId> {
        self.sockets.get(client).map(|socket| socket.session)
    }

    /// A client closes its socket.
    pub(crate) fn disconnect(&mut self, client: ClientId) {
        if let Some(socket) = self.sockets.close(client) {
            let connection = ConnectionId(client.0);
            self.up(socket.trunk, Input::Detach { trunk: socket.trunk, connection });
        }
    }

    /// Cuts a link for a while; false if it isn't whole.
    pub(crate) fn cut_link(&mut self, a: usize, b: usize, outage: Duration) -> bool {
        if !self.network.link_is_settled(a, b, self.now) {
            return false;
        }
        self.lose_link(a, b);
        self.at(self.now + self.longest_notice() + outage, Event::MakeLink(a, b));
        true
    }

    /// Cuts a trunk for a while; false if it isn't whole.
    pub(crate) fn cut_trunk(&mut self, slot: TrunkSlot, outage: Duration) -> bool {
        if !self.network.trunk_is_settled(slot, self.now) {
            return false;
        }
        self.lose_trunk(slot);
        self.at(self.now + self.longest_notice() + outage, Event::MakeTrunk(slot));
        true
    }

    /// Ends a shard's process, which starts again after a while; false if it isn't running.
    pub(crate) fn crash(&mut self, shard: usize, outage: Duration) -> bool {
        if self.shards[shard].core.take().is_none() {
            return false;
        }
        self.shards[shard].links.clear();
        self.shards[shard].trunks.clear();
        self.see(Arrival::Crashed { shard });
        let again = self.now + self.longest_notice() + outage;
        self.at(again, Event::Start(shard));
        for peer in (0..self.plan.shards).filter(|peer| *peer != shard) {
            if self.lose_link(shard, peer) {
                self.at(again, Event::MakeLink(shard, peer));
            }
        }
        for router in 0..self.plan.routers {
            if self.lose_trunk((router, shard)) {
                self.at(again, Event::MakeTrunk((router, shard)));
            }
        }
        true
    }

    /// Does the next thing, if it is due by `until`; false if nothing is. The time then is `until`.
    pub(crate) fn step(&mut self, until: Duration) -> bool {
        let timer = self.next_timer();
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        match (timer, event) {
            (Some((at, shard)), event) if at <= until && event.is_none_or(|event| at < event) => {
                self.now = self.now.max(at);
                self.feed(shard, Input::Tick);
                let next = self.next_timer();
                assert!(next != Some((at, shard)), "a tick takes up all that is due");
            }
            (_, Some(at)) if at <= until => {
                self.now = self.now.max(at);
                if let Some((_, event)) = self.events.pop_first() {
                    self.happen(event);
                }
            }
            _ => {
                self.now = self.now.max(until);
                return false;
            }
        }
        true
    }

    /// What has been seen since this was asked last.
    pub(crate) fn take_seen(&mut self) -> VecDeque<Seen> {
        std::mem::take(&mut self.seen)
    }

    fn next_timer(&self) -> Option<(Duration, usize)> {
        let timer = |(index, shard): (usize, &Shard)| {
            shard.core.as_ref()?.poll_timeout().map(|Mono(at)| (at, index))
        };
        self.shards.iter().enumerate().filter_map(timer).min()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input { shard, life, on, input } => {
                let whole = match on {
                    On::Nothing => true,
                    On::Link(peer, life) => self.network.link(shard, peer) == Some(life),
                    On::Trunk(trunk) => self.network.slot(trunk).is_some(),
                };
                if whole && self.shards[shard].life == life && self.believes(shard, &input) {
                    self.feed(shard, input);
                }
            }
            Event::Output { trunk, output } => {
                if self.network.slot(trunk).is_some() {
                    self.apply(output);
                }
            }
            Event::Store { shard, life, request } => self.store(shard, life, request),
            Event::MakeLink(a, b) => self.make_link(a, b),
            Event::MakeTrunk(slot) => self.make_trunk(slot),
            Event::Start(shard) => self.start(shard),
            Event::LinkIsKnown(a, b, life) => {
                if self.network.link(a, b) == Some(life) {
                    self.see(Arrival::Whole { a, b });
                }
            }
        }
    }

    /// Keeps account of what a shard believes to be up; false if the input is no news to it.
    fn believes(&mut self, shard: usize, input: &Input) -> bool {
        let Shard { core, links, trunks, .. } = &mut self.shards[shard];
        if core.is_none() {
            return false;
        }
        match input {
            Input::LinkUp { peer, .. } => links.insert(usize::from(peer.0)),
            Input::LinkDown { peer } => links.remove(&usize::from(peer.0)),
            Input::TrunkUp { trunk, .. } => trunks.insert(*trunk),
            Input::TrunkDown { trunk } => trunks.remove(trunk),
            _ => true,
        }
    }

    fn feed(&mut self, shard: usize, input: Input) {
        let now = Now { mono: Mono(self.now), wall_ms: self.wall_ms() };
        self.trace.line(format_args!("{:?} {shard} <- {input:?}", self.now));
        let Some(core) = self.shards[shard].core.as_mut() else { return };
        core.handle(input, now);
        let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
        for output in outputs {
            self.trace.line(format_args!("{:?} {shard} -> {output:?}", self.now));
            self.send(shard, output);
        }
    }

    fn send(&mut self, shard: usize, output: Output) {
        match output {
            Output::Send { trunk, .. }
            | Output::Fan { trunk, .. }
            | Output::Group { trunk, .. }
            | Output::Close { trunk, .. }
            | Output::Acknowledge { trunk, .. } => {
                if self.network.slot(trunk).is_some() {
                    let delay = self.draw(&self.plan.trunk.clone());
                    let at = self.network.arrival(Way::Down(trunk), self.now + delay);
                    self.at(at, Event::Output { trunk, output });
                }
            }
            Output::Peer { peer, message } => {
                let to = usize::from(peer.0);
                if let Some(life) = self.network.link(shard, to) {
                    let delay = self.draw(&self.plan.link.clone());
                    let way = Way::Link { from: shard, to };
                    let at = self.network.arrival(way, self.now + delay);
                    let input = Input::Peer { peer: index(shard), message };
                    self.input(at, to, On::Link(shard, life), input);
                }
            }
            Output::CutLink { peer, reason } => {
                panic!("shard {shard} cuts its link to {}: {reason}", peer.0)
            }
            Output::Log(request) => {
                let life = self.shards[shard].life;
                let delay = self.log_delay();
                self.at(self.now + delay, Event::Store { shard, life, request });
            }
            Output::Verify { ticket, token } => {
                let input = Input::Verified { ticket, identity: identity_of(&token) };
                self.input(self.now, shard, On::Nothing, input);
            }
            Output::Published(_) => {}
        }
    }

    /// A router does what a shard says.
    fn apply(&mut self, output: Output) {
        match output {
            Output::Send { trunk, connections, frame, receipt } => {
                let mut passed = false;
                for connection in connections {
                    if let Some(client) = self.sockets.named(connection) {
                        passed |= self.queue(client, &frame);
                    }
                }
                if let Some(receipt) = receipt {
                    self.up(trunk, Input::Receipt { trunk, receipt, passed });
                }
            }
            Output::Fan { trunk, group, frame, except } => {
                for client in self.sockets.group(trunk, group) {
                    if except != Some(ConnectionId(client.0)) {
                        self.queue(client, &frame);
                    }
                }
            }
            Output::Group { group, connection, member, .. } => {
                self.sockets.change(group, connection, member);
            }
            Output::Close { connection, code, .. } => {
                if let Some(client) = self.sockets.named(connection) {
                    self.close(client, code.number());
                }
            }
            Output::Acknowledge { connection, sequence, .. } => {
                if let Some(client) = self.sockets.named(connection) {
                    self.see(Arrival::Acknowledged { client, sequence });
                }
            }
            other => panic!("{other:?} is not for a router"),
        }
    }

    /// Puts a frame into a client's out-queue, if there is room.
    fn queue(&mut self, client: ClientId, frame: &Frame) -> bool {
        let full = frame.kind != FrameKind::Reply && self.chance.random_bool(self.plan.no_room);
        if full {
            if frame.kind == FrameKind::Live {
                self.close(client, 1013);
            }
            return false;
        }
        let parse = |part: &Bytes| serde_json::from_slice(part).expect("a frame is JSON");
        let parts = frame.parts.iter().map(parse).collect();
        self.see(Arrival::Frame { client, kind: frame.kind, parts });
        true
    }

    fn close(&mut self, client: ClientId, code: u16) {
        self.disconnect(client);
        self.see(Arrival::Closed { client, code });
    }

    fn store(&mut self, shard: usize, life: u64, request: LogRequest) {
        if self.shards[shard].life != life || self.shards[shard].core.is_none() {
            return;
        }
        let fate = match self.chance.random_bool(self.plan.log_failure) {
            false => Fate::Done,
            true if self.chance.random_bool(0.5) => Fate::FailedBefore,
            true => Fate::FailedAfter,
        };
        let wall_ms = self.wall_ms();
        self.trace.line(format_args!("{:?} {shard} log {fate:?} {request:?}", self.now));
        let (outcome, kept) = self.shards[shard].log.submit(request, wall_ms, fate);
        for kept in kept {
            self.see(Arrival::Kept(kept));
        }
        if let Some((ticket, outcome)) = outcome {
            let delay = self.log_delay();
            self.input(self.now + delay, shard, On::Nothing, Input::Log { ticket, outcome });
        }
    }

    fn start(&mut self, shard: usize) {
        let it = &mut self.shards[shard];
        it.life += 1;
        let settings = &self.plan.settings;
        it.core = Some(Core::new(Arc::clone(&self.map), index(shard), settings.clone()));
        it.log = ModelLog::new(&format!("{shard}-{}", it.life), settings);
    }

    fn make_link(&mut self, a: usize, b: usize) {
        if self.shards[a].core.is_none() || self.shards[b].core.is_none() {
            return self.at(self.now + TRY_AGAIN, Event::MakeLink(a, b));
        }
        let notice = self.plan.notice.clone();
        let known = [self.now + self.draw(&notice), self.now + self.draw(&notice)];
        let life = self.network.make_link((a, known[0]), (b, known[1]));
        for (me, peer, at) in [(a, b, known[0]), (b, a, known[1])] {
            let restarted = self.meets(Stranger::Peer(peer), me);
            let input = Input::LinkUp { peer: index(peer), restarted };
            self.input(at, me, On::Link(peer, life), input);
        }
        self.at(known[0].max(known[1]), Event::LinkIsKnown(a, b, life));
    }

    fn make_trunk(&mut self, slot: TrunkSlot) {
        let (router, shard) = slot;
        if self.shards[shard].core.is_none() {
            return self.at(self.now + TRY_AGAIN, Event::MakeTrunk(slot));
        }
        let known = self.now + self.draw(&self.plan.notice.clone());
        let trunk = self.network.make_trunk(slot, known);
        let restarted = self.meets(Stranger::Router(router), shard);
        self.input(known, shard, On::Trunk(trunk), Input::TrunkUp { trunk, restarted });
    }

    /// Whether a stranger that connects knew an earlier process of a shard, and not this one.
    fn meets(&mut self, stranger: Stranger, shard: usize) -> bool {
        let life = self.shards[shard].life;
        self.known.insert((stranger, shard), life).is_some_and(|known| known != life)
    }

    /// Breaks a link; its ends notice after a while. False if it was broken.
    fn lose_link(&mut self, a: usize, b: usize) -> bool {
        let whole = self.network.break_link(a, b);
        if whole {
            self.see(Arrival::Cut { a, b });
            for (me, peer) in [(a, b), (b, a)] {
                let at = self.now + self.draw(&self.plan.notice.clone());
                self.input(at, me, On::Nothing, Input::LinkDown { peer: index(peer) });
            }
        }
        whole
    }

    /// Breaks a trunk: its clients are sent away at once, its shard notices after a while. False
    /// if it was broken.
    fn lose_trunk(&mut self, slot: TrunkSlot) -> bool {
        let Some(trunk) = self.network.break_trunk(slot) else { return false };
        for client in self.sockets.of_trunk(trunk) {
            self.sockets.close(client);
            self.see(Arrival::Closed { client, code: 1012 });
        }
        let at = self.now + self.draw(&self.plan.notice.clone());
        self.input(at, slot.1, On::Nothing, Input::TrunkDown { trunk });
        true
    }

    /// A router's word for a shard.
    fn up(&mut self, trunk: TrunkId, input: Input) {
        let Some((_, shard)) = self.network.slot(trunk) else { return };
        let delay = self.draw(&self.plan.trunk.clone());
        let at = self.network.arrival(Way::Up(trunk), self.now + delay);
        self.input(at, shard, On::Trunk(trunk), input);
    }

    fn input(&mut self, at: Duration, shard: usize, on: On, input: Input) {
        let life = self.shards[shard].life;
        self.at(at, Event::Input { shard, life, on, input });
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    fn see(&mut self, what: Arrival) {
        self.trace.line(format_args!("{:?} {what:?}", self.now));
        self.seen.push_back(Seen { at: self.now, what });
    }

    fn draw(&mut self, delay: &Delay) -> Duration {
        if delay.end() == &0 {
            return Duration::ZERO;
        }
        // In microseconds, so that two things seldom happen at the same moment.
        Duration::from_micros(self.chance.random_range(delay.start() * 1000..=delay.end() * 1000))
    }

    fn log_delay(&mut self) -> Duration {
        let (often, slow) = self.plan.slow_log.clone();
        let delay = if self.chance.random_bool(often) { slow } else { self.plan.log.clone() };
        self.draw(&delay)
    }

    fn longest_notice(&self) -> Duration {
        Duration::from_millis(*self.plan.notice.end())
    }

    pub(crate) fn wall_ms(&self) -> u64 {
        WALL_MS + u64::try_from(self.now.as_millis()).expect("a time in reason")
    }
}

fn index(shard: usize) -> ShardIndex {
    ShardIndex(u16::try_from(shard).expect("few shards"))
}

/// A token is `USER` or `USER@MILLISECONDS`; everything else is not valid.
fn identity_of(token: &str) -> Option<Identity> {
    let (user, expires_ms) = match token.split_once('@') {
        Some((user, at)) => (user, Some(at.parse().ok()?)),
        None => (token, None),
    };
    Some(Identity { user: UserId::parse(user).ok()?, expires_ms, rights: Rights(None) })
}
