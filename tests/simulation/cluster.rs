//! The cluster and its world, step by step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;
use trunkline_config::Statuses;
use trunkline_core::CoreSettings;
use trunkline_log::{LogSettings, TopicLog};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;
use trunkline_router::{Router, RouterOptions};
use trunkline_shard::{Ground, Incoming, Shard, ShardOptions, StoreError};
use turmoil::{Builder, Sim};

use crate::frames::{Circumstances, Heard, Presence};
use crate::hearing::{Hearing, Standing};
use crate::network::{self, Door, PORT, Wires};
use crate::people::{self, Request};
use crate::person::{Individual, Mode};
use crate::plan::{Plan, ROUTERS, SHARDS, person_name, room_name, router_name, shard_name};
use crate::script::{Act, Process};
use crate::store::{Disk, Store};
use crate::truth::Truth;
use crate::{clock, held, panics, quiet};

/// How far time goes at once.
const STEP: Duration = Duration::from_millis(5);
/// How long something that went wrong may be felt: the silence of an end that is gone is noticed
/// after ten seconds, and a link is dialled after five more at the latest.
const TROUBLE: Duration = Duration::from_secs(20);
/// News that is on its way for longer than this is never told.
const NEWS: Duration = Duration::from_secs(4);
/// Everything has healed by then: members of a router that is gone have left after
/// `presence.grace`, and whoever is still silent has been noticed.
const HEALED: Duration = Duration::from_secs(45);

/// What all that is simulated shares.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) truth: Arc<Mutex<Truth>>,
    pub(crate) people: RefCell<Vec<Individual>>,
    disks: Vec<Arc<Mutex<Disk>>>,
    lives: RefCell<BTreeMap<String, u64>>,
    stops: RefCell<BTreeMap<String, Rc<Notify>>>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    last_fault: Option<Duration>,
    /// A shard whose topics live in memory has ended.
    forgetful: bool,
    quiet: bool,
    presence: BTreeMap<String, Presence>,
    tally: BTreeMap<&'static str, u64>,
}

/// What became of a seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What is as it may not be, if anything is.
    pub(crate) wrong: Option<String>,
    /// Of all that happened, in order.
    pub(crate) digest: u64,
    pub(crate) lines: Vec<String>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
}

/// Runs a seed to its end, or to the first thing that is wrong.
pub(crate) fn run(seed: u64, as_text: bool) -> Outcome {
    clock::reset();
    let plan = Plan::new(seed);
    let world = Rc::new(World::new(plan, as_text));
    let mut builder = Builder::new();
    // Each way has its own latency, which doesn't depend on what else is sent: in what order a
    // process that dies lets go of its sockets isn't the same each time.
    builder
        .rng_seed(seed)
        .tick_duration(STEP)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .enable_random_order();
    let dice = StdRng::seed_from_u64(world.plan.seed_of("ways", 0));
    let mut cluster = Stage { world: Rc::clone(&world), sim: builder.build(), dice };
    cluster.build();
    cluster.play();
    drop(cluster);
    let mut truth = held(&world.truth);
    let tally = std::mem::take(&mut world.state.borrow_mut().tally);
    let (wrong, digest) = (truth.verdict().map(str::to_owned), truth.digest());
    Outcome { wrong, digest, lines: truth.lines(), tally }
}

impl World {
    fn new(plan: Plan, as_text: bool) -> Self {
        let truth = Truth::new(Arc::clone(&plan.map), plan.store.durable, as_text);
        let truth = Arc::new(Mutex::new(truth));
        let disk = |shard| {
            let seed = plan.seed_of("disk", shard as u64);
            let core = CoreSettings::new(&plan.settings);
            Arc::new(Mutex::new(Disk::new(shard, seed, plan.store, core, Arc::clone(&truth))))
        };
        let disks = (0..SHARDS).map(disk).collect();
        let individual = |(number, person): (usize, &crate::plan::Person)| {
            let dice = StdRng::seed_from_u64(plan.seed_of("person", number as u64));
            let placed_by = person.placed_by.map(room_name);
            Individual::new(number, person.user.clone(), placed_by, number % ROUTERS, dice)
        };
        let people = plan.people.iter().enumerate().map(individual).collect();
        Self {
            plan,
            truth,
            people: RefCell::new(people),
            disks,
            lives: RefCell::default(),
            stops: RefCell::default(),
            state: RefCell::default(),
        }
    }

    pub(crate) fn with<T>(&self, person: usize, f: impl FnOnce(&mut Individual) -> T) -> T {
        f(&mut self.people.borrow_mut()[person])
    }

    /// Lets somebody do something.
    pub(crate) fn act(
        &self,
        person: usize,
        requests: &mut Vec<Request>,
        act: fn(&mut Individual, &World) -> Vec<Request>,
    ) {
        *requests = self.with(person, |it| act(it, self));
    }

    pub(crate) fn note(&self, who: &str, what: &str) {
        held(&self.truth).note(who, what);
    }

    pub(crate) fn wrong(&self, what: String) {
        held(&self.truth).wrong(what);
    }

    pub(crate) fn tally(&self, what: &'static str) {
        *self.state.borrow_mut().tally.entry(what).or_default() += 1;
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.state.borrow().quiet
    }

    /// The last answers to who is in a room, since everything is healed.
    pub(crate) fn presence(&self, room: &str) -> Option<Presence> {
        self.state.borrow().presence.get(room).cloned()
    }

    pub(crate) fn circumstances(&self) -> Circumstances {
        let state = self.state.borrow();
        let recent = state.last_fault.is_some_and(|at| clock::since() < at + TROUBLE);
        let troubled = recent || self.plan.store.failures > 0.0;
        Circumstances { troubled, forgetful: state.forgetful }
    }

    /// Takes note of what somebody has heard.
    pub(crate) fn heard(&self, person: usize, heard: Heard) {
        let Heard { presence, left, tally } = heard;
        self.tally(tally);
        if let Some((room, presence)) = presence
            && self.is_quiet()
        {
            self.state.borrow_mut().presence.insert(room, presence);
        }
        if let Some((room, user)) = left {
            let people = self.people.borrow();
            // Who has been there for so long that no older news can be on its way can't have left, but
            // for reasons of their own that they may not have noticed yet.
            let stays = people.iter().find(|it| {
                let own = it.excuses.are_any() || it.mode != Mode::Well;
                let long = |it: &Hearing| {
                    it.standing == Standing::Joined && clock::since() > it.joined_at + NEWS
                };
                let always = it.rooms.get(&room).is_some_and(long);
                it.user == user && it.connected && always && !own
            });
            if let (Some(stays), false) = (stays, people[person].excuses.are_any()) {
                self.wrong(format!("{user} is said to have left {room}: {}", stays.name()));
            }
        }
    }

    /// A process begins another life. Gives what it runs on, and who may tell it to end.
    fn begin(&self, name: &str) -> (Machine, Rc<Notify>) {
        let life = {
            let mut lives = self.lives.borrow_mut();
            let life = lives.entry(name.to_owned()).or_default();
            *life += 1;
            *life
        };
        let stop = Rc::new(Notify::new());
        self.stops.borrow_mut().insert(name.to_owned(), Rc::clone(&stop));
        let entropy = StdRng::seed_from_u64(self.plan.seed_of(name, life));
        (Machine { connector: Arc::new(Wires), clock: clock::clock(), entropy }, stop)
    }
}

/// The ground that a simulated shard stands on.
struct Simulated {
    machine: Machine,
    disk: Arc<Mutex<Disk>>,
}

impl Ground for Simulated {
    type Socket = network::Wire;

    fn machine(&self) -> Machine {
        self.machine.clone()
    }

    async fn listen(&self, _: &str) -> std::io::Result<Incoming<network::Wire>> {
        network::incoming().await
    }

    async fn open(
        &self,
        _: &ShardOptions,
        _: LogSettings,
        _: StdRng,
    ) -> Result<Box<dyn TopicLog>, StoreError> {
        Ok(Box::new(Store::open(&self.disk)))
    }
}

async fn shard(world: Rc<World>, shard: usize) -> turmoil::Result {
    let id = shard_name(shard);
    let (machine, stop) = world.begin(&id);
    let disk = Arc::clone(&world.disks[shard]);
    let options = ShardOptions {
        settings: Arc::clone(&world.plan.settings),
        cluster: Cluster::new(Arc::clone(&world.plan.map), Statuses::default()),
        id,
        data: None,
        registry: Registry::new(),
    };
    let ground = Simulated { machine, disk: Arc::clone(&disk) };
    let shard = Shard::start_on(&ground, options).await?;
    stop.notified().await;
    held(&disk).ends();
    shard.shutdown().await;
    Ok(())
}

async fn router(world: Rc<World>, router: usize) -> turmoil::Result {
    let (machine, stop) = world.begin(&router_name(router));
    let options = RouterOptions {
        settings: Arc::clone(&world.plan.settings),
        cluster: Cluster::new(Arc::clone(&world.plan.map), Statuses::default()),
        listen: SocketAddr::from(([0, 0, 0, 0], PORT)),
        registry: Registry::new(),
    };
    let router = Router::start_on(machine, Door::open().await?, options).await?;
    stop.notified().await;
    router.shutdown().await;
    Ok(())
}

struct Stage {
    world: Rc<World>,
    sim: Sim<'static>,
    /// Of what the ways between hosts are like.
    dice: StdRng,
}

impl Stage {
    fn build(&mut self) {
        for number in 0..SHARDS {
            let world = Rc::clone(&self.world);
            self.sim.host(shard_name(number), move || shard(Rc::clone(&world), number));
        }
        for number in 0..ROUTERS {
            let world = Rc::clone(&self.world);
            self.sim.host(router_name(number), move || router(Rc::clone(&world), number));
        }
        for number in 0..self.world.plan.people.len() {
            let world = Rc::clone(&self.world);
            self.sim.host(person_name(number), move || people::live(Rc::clone(&world), number));
        }
    }

    fn play(&mut self) {
        let world = Rc::clone(&self.world);
        let script = world.plan.script.clone();
        let mut events = script.iter().peekable();
        while clock::since() < world.plan.quiet_at {
            while let Some(event) = events.next_if(|event| event.at <= clock::since()) {
                self.perform(&event.act);
            }
            if !self.step() {
                return;
            }
        }
        world.state.borrow_mut().quiet = true;
        world.note("script", "all is quiet");
        world.disks.iter().for_each(|disk| held(disk).calm_down());
        let until = clock::since() + HEALED;
        let looks = Duration::from_millis(250);
        loop {
            let next = clock::since() + looks;
            while clock::since() < next {
                if !self.step() {
                    return;
                }
            }
            match quiet::unsettled(&world) {
                None => return quiet::judge(&world),
                Some(why) if clock::since() > until => {
                    return world.wrong(format!("in the end, {why}"));
                }
                Some(_) => {}
            }
        }
    }

    /// Lets a little time pass. False if something is wrong.
    fn step(&mut self) -> bool {
        panics::listen(true);
        let stepped = self.sim.step();
        panics::listen(false);
        if let Some(panic) = panics::take() {
            self.world.wrong(format!("a process has panicked: {panic}"));
        }
        if let Err(error) = stepped {
            self.world.wrong(format!("a process has failed: {error}"));
        }
        clock::advance(STEP);
        self.way_changes();
        held(&self.world.truth).verdict().is_none()
    }

    /// Some way takes another time from now on.
    fn way_changes(&mut self) {
        let shard = shard_name(self.dice.random_range(0..SHARDS));
        let router = router_name(self.dice.random_range(0..ROUTERS));
        let person = person_name(self.dice.random_range(0..self.world.plan.people.len()));
        let (a, b) = match self.dice.random_range(0..20) {
            0 => (shard, shard_name(self.dice.random_range(0..SHARDS))),
            1 => (shard, router),
            2 => (router, person),
            _ => return,
        };
        let latency = self.dice.random_range(0..=self.world.plan.latency_ms);
        if a != b {
            self.sim.set_link_latency(a, b, Duration::from_millis(latency));
        }
    }

    fn perform(&mut self, act: &Act) {
        let world = Rc::clone(&self.world);
        world.note("script", &format!("{act:?}"));
        {
            let mut state = world.state.borrow_mut();
            state.last_fault = Some(clock::since());
        }
        match act {
            Act::Crash(process) => {
                self.ends(*process);
                self.sim.crash(name(*process));
            }
            Act::Vanish(process) => {
                self.ends(*process);
                for other in self.others(*process) {
                    self.sim.partition(name(*process), other);
                }
                self.sim.crash(name(*process));
            }
            Act::Stop(process) => {
                self.ends(*process);
                let stop = world.stops.borrow().get(&name(*process)).cloned();
                if let Some(stop) = stop {
                    stop.notify_one();
                }
            }
            Act::Start(process) => {
                for other in self.others(*process) {
                    self.sim.repair(name(*process), other);
                }
                self.sim.bounce(name(*process));
            }
            Act::Part(a, b) => self.sim.partition(name(*a), name(*b)),
            Act::Join(a, b) => self.sim.repair(name(*a), name(*b)),
            Act::Hold(a, b) => self.sim.hold(name(*a), name(*b)),
            Act::Release(a, b) => self.sim.release(name(*a), name(*b)),
            Act::Deafen(person) => world.with(*person, |it| {
                it.excuses.was_deaf = true;
                if it.mode == Mode::Well {
                    it.mode = Mode::Deaf;
                }
            }),
            Act::Hear(person) => world.with(*person, |it| {
                if it.mode == Mode::Deaf {
                    it.mode = Mode::Well;
                }
            }),
            Act::CutOff => self.cut_off(true),
            Act::ReachAgain => self.cut_off(false),
        }
    }

    /// A process ends; who relies on it is excused.
    fn ends(&self, process: Process) {
        match process {
            Process::Shard(_) => {
                self.world.state.borrow_mut().forgetful |= !self.world.plan.store.durable;
            }
            Process::Router(router) => {
                for person in self.world.people.borrow_mut().iter_mut() {
                    person.excuses.router_ended |= person.router == router;
                }
            }
        }
    }

    /// Those who roam lose their network, or have it again.
    fn cut_off(&self, cut: bool) {
        for (number, person) in self.world.plan.people.iter().enumerate() {
            if !person.roams {
                continue;
            }
            for router in (0..ROUTERS).map(router_name) {
                if cut {
                    self.sim.partition(person_name(number), router);
                } else {
                    self.sim.repair(person_name(number), router);
                }
            }
            self.world.with(number, |it| {
                it.excuses.was_away |= cut;
                it.mode = if cut { Mode::Away } else { Mode::Well };
            });
        }
    }

    /// All hosts that a process may speak to.
    fn others(&self, process: Process) -> Vec<String> {
        let shards = (0..SHARDS).map(shard_name);
        let routers = (0..ROUTERS).map(router_name);
        let people = (0..self.world.plan.people.len()).map(person_name);
        let all = shards.chain(routers).chain(people);
        all.filter(|other| *other != name(process)).collect()
    }
}

fn name(process: Process) -> String {
    match process {
        Process::Shard(shard) => shard_name(shard),
        Process::Router(router) => router_name(router),
    }
}
