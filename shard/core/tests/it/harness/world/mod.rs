//! Cores, and everything between them, moved by one queue of events.

mod clients;
mod faults;
mod outputs;
mod polling;
mod views;

pub(crate) use clients::Guest;
use polling::Polling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use trunkline_config::{
    Directory, HashKey, Shard as MapShard, ShardKey, ShardMap, Statuses, View, ViewId,
};
use trunkline_core::{
    Core, Gauges, Input, LogRequest, Mono, Now, Output, SessionId, ShardIndex, Topic, TrunkId,
};

use crate::harness::log::ModelLog;
use crate::harness::network::{Network, TrunkSlot};
use crate::harness::plan::{Delay, Plan};
use crate::harness::router::{Arrival, ClientId, Seen, Sockets};
use crate::harness::trace::Trace;

/// The wall clock at the beginning of the world.
const WALL_MS: u64 = 1_790_000_000_000;

#[derive(Debug)]
enum Event {
    /// Something for a core, if it is still this process.
    Input {
        shard: usize,
        life: u64,
        on: On,
        input: Input,
    },
    /// A shard's word for its router.
    Output {
        trunk: TrunkId,
        output: Output,
    },
    /// The store does what it was asked.
    Store {
        shard: usize,
        life: u64,
        request: LogRequest,
    },
    MakeLink(usize, usize),
    MakeTrunk(TrunkSlot),
    Start(usize),
    LinkIsKnown(usize, usize, u64),
    /// A shard or router has heard of a view.
    /// The nth view that there was.
    View(Stranger, u64, View),
    /// A router's worker moves a connection, if its shard is another.
    MoveClient(ClientId),
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
    view: View,
    /// Whom it has noted as owing it something, and under which view.
    owed: Option<(ViewId, BTreeSet<ShardIndex>)>,
    log: ModelLog,
    /// When its store has done all that it was asked about a topic.
    asked: BTreeMap<Topic, Duration>,
    /// What it believes to be up.
    links: BTreeSet<usize>,
    trunks: BTreeSet<TrunkId>,
}

/// Cores, routers, and what is between them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    /// The newest view.
    view: View,
    directory: Directory,
    statuses: Statuses,
    version: u64,
    /// How many views there were.
    views: u64,
    /// Which of them each has heard of.
    heard: BTreeMap<Stranger, u64>,
    /// Those of the routers.
    routers: Vec<View>,
    /// When each has heard of the newest view.
    news: BTreeMap<Stranger, Duration>,
    shards: Vec<Shard>,
    sockets: Sockets,
    network: Network,
    polling: Polling,
    /// Which process of a shard was known last to a router or peer.
    known: BTreeMap<(Stranger, usize), u64>,
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    /// How often a core was told that its time has come.
    pub(crate) ticks: u64,
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
    usize::from(world.view.owner(&topic.key()))
}

/// A session's ID for a connection that is placed by this key; `number` makes it unique.
pub(crate) fn session_of(world: &World, key: &ShardKey<'_>, number: u64) -> SessionId {
    let mut id = [0; 24];
    id[..8].copy_from_slice(&world.view.map().digest(key).0.to_be_bytes());
    id[16..].copy_from_slice(&number.to_be_bytes());
    SessionId(id)
}

impl World {
    /// A world in which every shard is started and everything is whole.
    pub(crate) fn new(plan: Plan, seed: u64, trace: Trace) -> Self {
        let map = map_of(1, 0..plan.shards);
        let (view, directory) = View::first(Arc::new(map));
        let mut world = Self {
            routers: vec![view.clone(); plan.routers],
            view,
            directory,
            statuses: Statuses::default(),
            version: 1,
            views: 0,
            heard: BTreeMap::new(),
            news: BTreeMap::new(),
            shards: Vec::new(),
            sockets: Sockets::default(),
            network: Network::default(),
            polling: Polling::default(),
            known: BTreeMap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            now: Duration::ZERO,
            chance: StdRng::seed_from_u64(seed),
            ticks: 0,
            seen: VecDeque::new(),
            plan,
            trace,
        };
        for index in 0..world.plan.shards {
            let log = ModelLog::new("", &world.plan.settings);
            let (links, trunks) = (BTreeSet::new(), BTreeSet::new());
            let (view, owed, asked) = (world.view.clone(), None, BTreeMap::new());
            let (life, core) = (0, None);
            world.shards.push(Shard { life, core, view, owed, log, asked, links, trunks });
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

    /// All that a shard's core holds, for tests that look for leaks.
    pub(crate) fn inside(&self, shard: usize) -> String {
        format!("{:?}", self.shards[shard].core)
    }

    /// The oldest offset that a store still has of a topic, and the history's name. Where two stores
    /// have it, it is on its way from the one that has less.
    pub(crate) fn readable(&self, topic: &Topic) -> (String, u64) {
        let standing = |shard: &Shard| {
            let (epoch, last) = shard.log.standing(topic)?;
            Some((last, epoch.to_string(), shard.log.first(topic, self.wall_ms())))
        };
        let newest = self.shards.iter().filter_map(standing).max();
        newest.map_or((String::new(), 1), |(_, epoch, first)| (epoch, first))
    }

    pub(crate) fn home_of(&self, session: &SessionId) -> usize {
        usize::from(self.view.owner_of(session.digest()))
    }

    /// The shard to which a router takes a session.
    fn home_by(&self, router: usize, session: &SessionId) -> usize {
        usize::from(self.routers[router].owner_of(session.digest()))
    }

    /// Does the next thing, if it is due by `until`; false if nothing is. The time then is `until`.
    pub(crate) fn step(&mut self, until: Duration) -> bool {
        let timer = self.next_timer();
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        match (timer, event) {
            (Some((at, shard)), event) if at <= until && event.is_none_or(|event| at < event) => {
                self.now = self.now.max(at);
                self.ticks += 1;
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

    fn next_timer(&mut self) -> Option<(Duration, usize)> {
        let timer = |(index, shard): (usize, &mut Shard)| {
            shard.core.as_mut()?.poll_timeout().map(|Mono(at)| (at, index))
        };
        self.shards.iter_mut().enumerate().filter_map(timer).min()
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
            Event::View(who, nth, view) => self.hear_of(who, nth, view),
            Event::MoveClient(client) => self.move_client(client),
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
        self.end_turn();
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

    pub(crate) fn wall_ms(&self) -> u64 {
        WALL_MS + u64::try_from(self.now.as_millis()).expect("a time in reason")
    }
}

/// A map of some shards.
fn map_of(version: u64, shards: impl IntoIterator<Item = usize>) -> ShardMap {
    let shard = |index: usize| MapShard {
        id: id_of(index),
        grpc: String::new(),
        metrics: String::new(),
        weight: 1.0,
    };
    ShardMap::new(version, HashKey([7; 16]), shards.into_iter().map(shard).collect())
}

fn id_of(shard: usize) -> String {
    char::from(b'a' + u8::try_from(shard).expect("few shards")).to_string()
}

fn index(shard: usize) -> ShardIndex {
    ShardIndex(u16::try_from(shard).expect("few shards"))
}
