//! A cluster and its world, step by step.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use turmoil::{Builder, Sim};

use crate::operator::{self, OPERATOR};
use crate::plan::{Plan, ROUTERS, SHARDS, person_name, router_name, shard_name};
use crate::script::{Act, Process};
use crate::world::World;
use crate::{clock, held, panics, people, process, quiet};

/// How far time goes at once.
const STEP: Duration = Duration::from_millis(5);
/// How much longer than it may wait a process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Everything has healed by then: members of a router that is gone have left after
/// `presence.grace`, and whoever is still silent has been noticed.
const HEALED: Duration = Duration::from_secs(45);

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

/// The cluster while it is played.
pub(crate) struct Stage {
    pub(crate) world: Rc<World>,
    pub(crate) sim: Sim<'static>,
    /// Of what the ways between hosts are like, and when processes look for maps.
    pub(crate) dice: StdRng,
    /// Processes that are started when they have ended, since when.
    pub(crate) starts: BTreeMap<Process, Duration>,
    /// When which process finds which map.
    pub(crate) looks: Vec<(Duration, String, usize)>,
}

impl Stage {
    fn build(&mut self) {
        for number in 0..SHARDS {
            let world = Rc::clone(&self.world);
            self.sim.host(shard_name(number), move || process::shard(Rc::clone(&world), number));
        }
        for number in 0..ROUTERS {
            let world = Rc::clone(&self.world);
            self.sim.host(router_name(number), move || process::router(Rc::clone(&world), number));
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
                world.wrong(format!("{} doesn't end", process.name()));
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
}
