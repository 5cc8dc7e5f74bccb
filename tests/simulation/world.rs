//! What all that is simulated shares: the plan, the truth, the people, the processes that run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use trunkline_config::{ShardMap, Statuses, View};
use trunkline_core::{CoreSettings, Topic};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;

use crate::frames::{Announced, Circumstances, Heard, Presence};
use crate::hearing::{Hearing, Standing};
use crate::network::Wires;
use crate::operator::Order;
use crate::outages::Outages;
use crate::people::Request;
use crate::person::{Individual, Mode};
use crate::plan::{Plan, ROUTERS, SHARDS, room_name, shard_name};
use crate::process::Life;
use crate::script::Process;
use crate::store::{Disk, model};
use crate::truth::Truth;
use crate::{clock, held};

/// How long something that went wrong may be felt: the silence of an end that is gone is noticed
/// after ten seconds, and a link is dialled after five more at the latest.
const TROUBLE: Duration = Duration::from_secs(20);
/// News that is on its way for longer than this is never told.
const NEWS: Duration = Duration::from_secs(4);

/// What all that is simulated shares.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) truth: Arc<Mutex<Truth>>,
    pub(crate) people: RefCell<Vec<Individual>>,
    pub(crate) disks: Vec<Arc<Mutex<Disk>>>,
    counts: RefCell<BTreeMap<String, u64>>,
    pub(crate) lives: RefCell<BTreeMap<String, Rc<Life>>>,
    /// The map that each process finds where it looks for one.
    files: RefCell<BTreeMap<String, Arc<ShardMap>>>,
    orders: RefCell<Vec<Order>>,
    pub(crate) state: RefCell<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) last_fault: Option<Duration>,
    pub(crate) outages: Outages,
    pub(crate) quiet: bool,
    presence: BTreeMap<String, Presence>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(plan: Plan, as_text: bool) -> Self {
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
            // And who hasn't been seen for so long has left, to those who couldn't see them.
            let grace = self.plan.settings.presence.grace;
            let unseen = self.state.borrow().outages.any_of(grace, clock::since());
            if let (Some(stays), false) = (stays, people[person].excuses.are_any() || unseen) {
                let what = if came { "come to" } else { "left" };
                self.wrong(format!("{user} is said to have {what} {room}: {}", stays.name()));
            }
        }
    }

    /// The map that a process finds where it looks for one.
    pub(crate) fn file(&self, name: &str) -> Arc<ShardMap> {
        let files = self.files.borrow();
        Arc::clone(files.get(name).unwrap_or(&self.plan.maps[0]))
    }

    /// A process looks, and finds another map.
    pub(crate) fn finds(&self, name: &str, map: &Arc<ShardMap>) {
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
    pub(crate) fn begin(&self, name: &str) -> (Machine, Rc<Life>) {
        let count = {
            let mut counts = self.counts.borrow_mut();
            let count = counts.entry(name.to_owned()).or_default();
            *count += 1;
            *count
        };
        let life = Rc::new(Life::new(Cluster::new(self.file(name), Statuses::default())));
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

    pub(crate) fn order(&self, shard: usize, serves: bool) {
        self.orders.borrow_mut().push(Order { shard, serves });
    }

    fn life(&self, process: Process) -> Option<Rc<Life>> {
        self.lives.borrow().get(&process.name()).cloned()
    }

    pub(crate) fn stop(&self, process: Process, orderly: bool) {
        if let Some(life) = self.life(process) {
            life.orderly.set(orderly);
            life.stop.notify_one();
        }
    }

    pub(crate) fn is_ending(&self, process: Process) -> bool {
        self.life(process).is_some_and(|life| life.orderly.get() && !life.ended.get())
    }

    /// Whether it has ended as it was asked to.
    pub(crate) fn has_ended(&self, process: Process) -> bool {
        self.life(process).is_some_and(|life| life.orderly.get() && life.ended.get())
    }

    /// What somebody has asked of shards since this was asked.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        self.orders.take()
    }

    /// A shard that was asked to end has nothing left, or has given up. What a store that ends with
    /// it still has is gone.
    pub(crate) fn judge_end(&self, shard: usize, took: Duration) {
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
