//! What the script says, done to the cluster.

use std::rc::Rc;
use std::time::Duration;

use rand::Rng;

use crate::cluster::Stage;
use crate::operator::OPERATOR;
use crate::person::Mode;
use crate::plan::{ROUTERS, SHARDS, person_name, router_name, shard_name};
use crate::script::{Act, LOOKS_MS, Process};
use crate::{clock, held};

impl Stage {
    pub(crate) fn perform(&mut self, act: &Act) {
        let world = Rc::clone(&self.world);
        world.note("script", &format!("{act:?}"));
        world.state.borrow_mut().outages.note(act, clock::since());
        self.trouble(act);
        match act {
            Act::Crash(process) => {
                self.ends(*process);
                self.crash(*process);
            }
            Act::Vanish(process) => {
                self.ends(*process);
                for other in self.others(*process) {
                    self.sim.partition(process.name(), other);
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
                    self.sim.repair(process.name(), other);
                }
                // Until the new one is there nobody can be asked to end.
                world.lives.borrow_mut().remove(&process.name());
                self.sim.bounce(process.name());
            }
            Act::Part(a, b) => self.sim.partition(a.name(), b.name()),
            Act::Join(a, b) => self.sim.repair(a.name(), b.name()),
            Act::Hold(a, b) => self.sim.hold(a.name(), b.name()),
            Act::Release(a, b) => self.sim.release(a.name(), b.name()),
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
        self.sim.crash(process.name());
        self.world.lives.borrow_mut().remove(&process.name());
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
        all.filter(|other| *other != process.name()).collect()
    }
}
