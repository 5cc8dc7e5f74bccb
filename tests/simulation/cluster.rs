//! The cluster and its world, step by step.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;
use tokio::time::sleep;
use trunkline_config::{ShardMap, Statuses, View};
use trunkline_core::{CoreSettings, Topic};
use trunkline_log::{LogSettings, TopicLog};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;
use trunkline_router::{Router, RouterOptions};
use trunkline_shard::{Ground, Incoming, Shard, ShardOptions, StoreError};
use turmoil::{Builder, Sim};

use crate::frames::{Announced, Circumstances, Heard, Presence};
use crate::hearing::{Hearing, Standing};
use crate::network::{self, Door, PORT, Wires};
use crate::operator::{self, OPERATOR, Order};
use crate::people::{self, Request};
use crate::person::{Individual, Mode};
use crate::plan::{Plan, ROUTERS, SHARDS, person_name, room_name, router_name, shard_name};
use crate::script::{Act, LOOKS_MS, Process};
use crate::store::{Disk, Store, model};
use crate::truth::Truth;
use crate::{clock, held, panics, quiet};

/// How far time goes at once.
const STEP: Duration = Duration::from_millis(5);
/// How long something that went wrong may be felt: the silence of an end that is gone is noticed
/// after ten seconds, and a link is dialled after five more at the latest.
const TROUBLE: Duration = Duration::from_secs(20);
/// How often a process that can't start yet looks whether it can.
const LOOK: Duration = Duration::from_millis(20);
/// How much longer than it may wait a process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
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
    counts: RefCell<BTreeMap<String, u64>>,
    lives: RefCell<BTreeMap<String, Rc<Life>>>,
    /// The map that each process finds where it looks for one.
    files: RefCell<BTreeMap<String, Arc<ShardMap>>>,
    orders: RefCell<Vec<Order>>,
    state: RefCell<State>,
}

/// A process, from its start to its end.
#[derive(Debug)]
struct Life {
    cluster: Cluster,
    stop: Notify,
    /// Others are to take over what it has first.
    orderly: Cell<bool>,
    ended: Cell<bool>,
}

#[derive(Debug, Default)]
struct State {
    last_fault: Option<Duration>,
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
    let mut cluster = Stage {
        world: Rc::clone(&world),
        sim: builder.build(),
        dice,
        starts: BTreeMap::new(),
        looks: Vec::new(),
    };
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
        let truth = Truth::new(plan.is_durable(), as_text);
        let truth = Arc::new(Mutex::new(truth));
        let shared = model("shared", &CoreSettings::new(&plan.settings));
        let disk = |shard| {
            let seed = plan.seed_of("disk", shard as u64);
            let core = CoreSettings::new(&plan.settings);
            let truth = Arc::clone(&truth);
            Arc::new(Mutex::new(Disk::new(shard, seed, plan.store, core, truth, &shared)))
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
            counts: RefCell::default(),
            lives: RefCell::default(),
            files: RefCell::default(),
            orders: RefCell::default(),
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
        Circumstances { troubled, forgetful: held(&self.truth).forgetful }
    }

    /// Takes note of what somebody has heard.
    pub(crate) fn heard(&self, person: usize, heard: Heard) {
        let Heard { presence, announced, tally } = heard;
        self.tally(tally);
        if let Some((room, presence)) = presence
            && self.is_quiet()
        {
            self.state.borrow_mut().presence.insert(room, presence);
        }
        if let Some(Announced { came, room, user }) = announced {
            let people = self.people.borrow();
            // Who has been there for so long that no older news can be on its way can't have come or
            // left, but for reasons of their own that they may not have noticed yet.
            let stays = people.iter().find(|it| {
                let own = it.excuses.are_any() || it.mode != Mode::Well;
                let long = |it: &Hearing| {
                    it.standing == Standing::Joined && clock::since() > it.joined_at + NEWS
                };
                let always = it.rooms.get(&room).is_some_and(long);
                it.user == user && it.connected && always && !own
            });
            if let (Some(stays), false) = (stays, people[person].excuses.are_any()) {
                let what = if came { "come to" } else { "left" };
                self.wrong(format!("{user} is said to have {what} {room}: {}", stays.name()));
            }
        }
    }

    /// The map that a process finds where it looks for one.
    fn file(&self, name: &str) -> Arc<ShardMap> {
        let files = self.files.borrow();
        Arc::clone(files.get(name).unwrap_or(&self.plan.maps[0]))
    }

    /// A process looks, and finds another map.
    fn finds(&self, name: &str, map: &Arc<ShardMap>) {
        self.files.borrow_mut().insert(name.to_owned(), Arc::clone(map));
        self.note(name, &format!("finds the map {}", map.id().version));
        let life = self.lives.borrow().get(name).cloned();
        if let Some(life) = life.filter(|life| !life.ended.get())
            && let Err(refused) = life.cluster.take_map(Arc::clone(map))
        {
            self.wrong(format!("{name} doesn't take a map: {refused}"));
        }
    }

    /// A process begins another life.
    fn begin(&self, name: &str) -> (Machine, Rc<Life>) {
        let count = {
            let mut counts = self.counts.borrow_mut();
            let count = counts.entry(name.to_owned()).or_default();
            *count += 1;
            *count
        };
        let life = Rc::new(Life {
            cluster: Cluster::new(self.file(name), Statuses::default()),
            stop: Notify::new(),
            orderly: Cell::new(false),
            ended: Cell::new(false),
        });
        self.lives.borrow_mut().insert(name.to_owned(), Rc::clone(&life));
        let entropy = StdRng::seed_from_u64(self.plan.seed_of(name, count));
        (Machine { connector: Arc::new(Wires), clock: clock::clock(), entropy }, life)
    }

    /// The processes that run, by what they know of the cluster.
    pub(crate) fn views(&self) -> Vec<(String, View)> {
        let lives = self.lives.borrow();
        let running = lives.iter().filter(|(_, life)| !life.ended.get());
        running.map(|(name, life)| (name.clone(), life.cluster.outlook().view)).collect()
    }

    /// Topics that shards have for themselves.
    pub(crate) fn topics(&self, shard: usize) -> Vec<Topic> {
        held(&self.disks[shard]).topics()
    }

    fn order(&self, shard: usize, serves: bool) {
        self.orders.borrow_mut().push(Order { shard, serves });
    }

    fn life(&self, process: Process) -> Option<Rc<Life>> {
        self.lives.borrow().get(&name(process)).cloned()
    }

    fn stop(&self, process: Process, orderly: bool) {
        if let Some(life) = self.life(process) {
            life.orderly.set(orderly);
            life.stop.notify_one();
        }
    }

    fn is_ending(&self, process: Process) -> bool {
        self.life(process).is_some_and(|life| life.orderly.get() && !life.ended.get())
    }

    /// Whether it has ended as it was asked to.
    fn has_ended(&self, process: Process) -> bool {
        self.life(process).is_some_and(|life| life.orderly.get() && life.ended.get())
    }

    /// What somebody has asked of shards since this was asked.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        self.orders.take()
    }

    /// A shard that was asked to end has nothing left, or has given up. What a store that ends with
    /// it still has is gone.
    fn judge_end(&self, shard: usize, took: Duration) {
        let left = self.topics(shard);
        let Some(one) = left.first() else { return self.tally("nothing left") };
        self.tally("ended with topics");
        let (name, count) = (shard_name(shard), left.len());
        self.note(&name, &format!("ends with {count} topics, such as {one}, after {took:?}"));
        held(&self.truth).forgetful |= !self.plan.is_durable();
        let gave_up = took.is_zero() || took >= self.plan.settings.drain.timeout;
        if !gave_up && !self.circumstances().troubled {
            self.wrong(format!("{name} says that nothing is left, and has {one}"));
        }
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
    // Nobody starts a shard that isn't in the map.
    while world.file(&id).index_of(&id).is_none() {
        sleep(LOOK).await;
    }
    let (machine, life) = world.begin(&id);
    let disk = Arc::clone(&world.disks[shard]);
    let options = ShardOptions {
        settings: Arc::clone(&world.plan.settings),
        cluster: life.cluster.clone(),
        id,
        data: None,
        registry: Registry::new(),
    };
    let ground = Simulated { machine, disk: Arc::clone(&disk) };
    let running = Shard::start_on(&ground, options).await?;
    life.stop.notified().await;
    let asked = clock::since();
    if life.orderly.get() {
        // Who asks again has it end at once.
        tokio::select! {
            biased;
            () = life.stop.notified() => {}
            () = running.drain() => {}
        }
    }
    let took = clock::since() - asked;
    held(&disk).ends();
    running.shutdown().await;
    if life.orderly.get() {
        world.judge_end(shard, took);
    }
    life.ended.set(true);
    Ok(())
}

async fn router(world: Rc<World>, router: usize) -> turmoil::Result {
    let (machine, life) = world.begin(&router_name(router));
    let options = RouterOptions {
        settings: Arc::clone(&world.plan.settings),
        cluster: life.cluster.clone(),
        listen: SocketAddr::from(([0, 0, 0, 0], PORT)),
        registry: Registry::new(),
    };
    let mut running = Router::start_on(machine, Door::open().await?, options).await?;
    life.stop.notified().await;
    if life.orderly.get() {
        running.drain().await;
    }
    running.shutdown().await;
    life.ended.set(true);
    Ok(())
}

struct Stage {
    world: Rc<World>,
    sim: Sim<'static>,
    /// Of what the ways between hosts are like, and when processes look for maps.
    dice: StdRng,
    /// Processes that are started when they have ended, since when.
    starts: BTreeMap<Process, Duration>,
    /// When which process finds which map.
    looks: Vec<(Duration, String, usize)>,
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
        let world = Rc::clone(&self.world);
        self.sim.host(OPERATOR, move || operator::work(Rc::clone(&world)));
        for number in 0..self.world.plan.people.len() {
            let world = Rc::clone(&self.world);
            self.sim.host(person_name(number), move || people::live(Rc::clone(&world), number));
        }
    }

    fn play(&mut self) {
        let world = Rc::clone(&self.world);
        let script = world.plan.script.clone();
        let mut events = script.iter().peekable();
        while clock::since() < world.plan.quiet_at || !self.starts.is_empty() {
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
        self.come();
        held(&self.world.truth).verdict().is_none()
    }

    /// What is due: processes start that had to end first, and others find a map.
    fn come(&mut self) {
        let world = Rc::clone(&self.world);
        let now = clock::since();
        for (process, since) in std::mem::take(&mut self.starts) {
            if world.has_ended(process) {
                self.perform(&Act::Start(process));
            } else if now > since + world.plan.settings.drain.timeout + PATIENCE {
                world.wrong(format!("{} doesn't end", name(process)));
            } else {
                self.starts.insert(process, since);
            }
        }
        let (due, later) =
            std::mem::take(&mut self.looks).into_iter().partition(|(at, ..)| *at <= now);
        self.looks = later;
        let due: Vec<(Duration, String, usize)> = due;
        for (_, name, map) in due {
            world.finds(&name, &world.plan.maps[map]);
        }
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
        self.trouble(act);
        match act {
            Act::Crash(process) => {
                self.ends(*process);
                self.crash(*process);
            }
            Act::Vanish(process) => {
                self.ends(*process);
                for other in self.others(*process) {
                    self.sim.partition(name(*process), other);
                }
                self.crash(*process);
            }
            Act::Stop(process) => {
                self.ends(*process);
                self.starts.remove(process);
                world.stop(*process, false);
            }
            Act::End(process) => {
                if matches!(process, Process::Router(_)) {
                    self.ends(*process);
                }
                world.stop(*process, true);
            }
            Act::Drain(shard) => world.order(*shard, false),
            Act::Resume(shard) => world.order(*shard, true),
            Act::Map(map) => self.map_comes(*map),
            Act::Start(process) if world.is_ending(*process) => {
                // Who is asked to end again meanwhile is started once.
                self.starts.entry(*process).or_insert_with(clock::since);
            }
            Act::Start(process) => {
                for other in self.others(*process) {
                    self.sim.repair(name(*process), other);
                }
                // Until the new one is there nobody can be asked to end.
                world.lives.borrow_mut().remove(&name(*process));
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

    fn crash(&mut self, process: Process) {
        self.sim.crash(name(process));
        self.world.lives.borrow_mut().remove(&name(process));
        self.starts.remove(&process);
    }

    /// A map is put where processes look for one; some see it soon.
    fn map_comes(&mut self, map: usize) {
        let shards = (0..SHARDS).map(shard_name);
        let longest = [50, 400, LOOKS_MS][self.dice.random_range(0..3)];
        for name in shards.chain((0..ROUTERS).map(router_name)) {
            let at = clock::since() + Duration::from_millis(self.dice.random_range(0..longest));
            // A map that is found later than the next is no news.
            let earliest = self.looks.iter().filter(|(_, it, _)| *it == name).map(|(at, ..)| *at);
            let at = earliest.max().map_or(at, |it| it.max(at));
            self.looks.push((at, name, map));
        }
        self.world.tally("map");
    }

    /// What an act makes of what people may be told.
    fn trouble(&self, act: &Act) {
        let world = &self.world;
        let plan = &world.plan;
        let is_orderly = |process: &Process| world.is_ending(*process) || world.has_ended(*process);
        let moves = match act {
            Act::Start(process) => is_orderly(process),
            act => act.moves(),
        };
        // Whom nobody is linked with yet, as it has just started or as maps differ, can't be asked. And
        // a topic is moved by a store step by step: a slow one takes as long as people wait.
        let moves = moves && !matches!(act, Act::Start(_) | Act::Map(_));
        if !moves || plan.store.slowest_ms > 40 {
            world.state.borrow_mut().last_fault = Some(clock::since());
        }
        // A memory that can't be reached for a while is not waited for.
        let cuts = matches!(act, Act::Vanish(_) | Act::Part(..) | Act::Hold(..));
        if cuts && !plan.is_durable() && plan.script.iter().any(|event| event.act.moves()) {
            held(&world.truth).forgetful = true;
        }
    }

    /// A process ends; who relies on it is excused.
    fn ends(&self, process: Process) {
        match process {
            Process::Shard(_) => {
                held(&self.world.truth).forgetful |= !self.world.plan.is_durable();
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
        let all = all.chain([OPERATOR.to_owned()]);
        all.filter(|other| *other != name(process)).collect()
    }
}

fn name(process: Process) -> String {
    match process {
        Process::Shard(shard) => shard_name(shard),
        Process::Router(router) => router_name(router),
    }
}
