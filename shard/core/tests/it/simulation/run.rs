//! One seed: an unkind time, then a quiet one in which everything must come right.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use trunkline_core::CoreSettings;

use super::judge::Judge;
use super::outages::Outages;
use super::quiet;
use super::script::{Person, Script, USERS};
use super::truth::Truth;
use crate::harness::{Plan, Trace, World};

/// How often what was seen, over all seeds: a simulation in which nothing happens finds nothing.
#[derive(Debug, Default)]
pub(super) struct Observed(BTreeMap<&'static str, u64>);

/// What must have happened somewhere in a few hundred seeds.
const EXPECTED: [&str; 15] = [
    "link cut",
    "trunk cut",
    "crash",
    "crash of a durable shard",
    "closed",
    "held",
    "held long",
    "unavailable",
    "gap",
    "joined after a gap",
    "announced",
    "delivered",
    "queued",
    "offline",
    "waited",
];

impl Observed {
    pub(super) fn lacks_nothing(&self) {
        for what in EXPECTED {
            assert!(self.0.contains_key(what), "no seed has seen {what}: {self:?}");
        }
    }

    pub(super) fn has_moved(&self) {
        for what in ["away", "new map", "held", "message", "private", "announced"] {
            assert!(self.0.contains_key(what), "no seed has seen {what}: {self:?}");
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

/// A seed's world, those who live in it, and who judges it.
pub(super) struct Run<'a> {
    pub(super) world: World,
    pub(super) judge: Judge,
    pub(super) script: Script,
    trace: &'a mut Trace,
}

/// The trace is handed back even when the seed fails.
impl Drop for Run<'_> {
    fn drop(&mut self) {
        std::mem::swap(self.trace, &mut self.world.trace);
    }
}

/// Runs one seed; panics at the first thing that is not right.
pub(super) fn run(seed: u64, with: u64, trace: &mut Trace) -> Observed {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut plan = plan(&mut chance);
    let moves = with > 0 && chance.random_bool(0.5);
    let is_kind = moves && with < 3;
    if is_kind {
        plan.calm_down();
    }
    if moves && with < 2 {
        plan.hold = false;
    }
    let settings = plan.settings.clone();
    let slack = Duration::from_millis(2 * (plan.link.end() + plan.trunk.end() + plan.notice.end()))
        + Duration::from_millis(200);
    let judge = Judge {
        clients: BTreeMap::new(),
        truth: Truth::new(settings.key_window),
        outages: Outages::new(settings.grace, slack, moves),
        gone: Vec::new(),
        tally: BTreeMap::new(),
        page: None,
        moves,
    };
    let unkind = |chance: &mut StdRng, most: u32| match chance.random_bool(0.5) {
        true => chance.random_range(0..=most),
        false => 0,
    };
    let mut cuts = [unkind(&mut chance, 30), unkind(&mut chance, 20), unkind(&mut chance, 10)];
    if is_kind {
        cuts = [0; 3];
    }
    let news = if moves { chance.random_range(5..=40) } else { 0 };
    let people = chance.random_range(3..=9);
    let people = USERS.iter().cycle().take(people).map(|user| Person { user, at: None }).collect();
    let actions = chance.random_range(40..=250);
    let pace = chance.random_range(5..=200);
    let world = World::new(plan, chance.random(), std::mem::take(trace));
    let script = Script { people, chance, cuts, news, sessions: 0 };
    let mut run = Run { world, judge, script, trace };
    for _ in 0..actions {
        run.script.act(&mut run.world, &mut run.judge);
        let pause = run.script.chance.random_range(0..=pace);
        run.pass(Duration::from_millis(pause));
    }
    quiet::quiet(&mut run);
    Observed(std::mem::take(&mut run.judge.tally))
}

fn plan(chance: &mut StdRng) -> Plan {
    let hold = chance.random_bool(0.7);
    let mut one_of = |options: &[u64]| options[chance.random_range(0..options.len())];
    let ms = Duration::from_millis;
    let mut settings = CoreSettings {
        grace: ms(one_of(&[2000, 5000])),
        announce_up_to: usize::try_from(one_of(&[2, 200, 200, 200])).unwrap_or(200),
        request_timeout: ms(one_of(&[1500, 4000])),
        handover_timeout: ms(one_of(&[500, 2000])),
        key_window: ms(one_of(&[1000, 5000, 60_000])),
        inbox_messages: usize::try_from(one_of(&[3, 1000])).unwrap_or(1000),
        ..CoreSettings::default()
    };
    if hold {
        // What is sent again is recognised within the window: it outlasts every outage.
        settings.key_window = ms(60_000);
    }
    let store = one_of(&[0, 1, 2]);
    settings.history.messages = usize::try_from(one_of(&[20, 50, 1000])).unwrap_or(1000);
    settings.history.age = ms(one_of(&[3000, 86_400_000, 86_400_000]));
    Plan {
        shards: 3,
        routers: 2,
        settings,
        link: 0..=one_of(&[1, 20, 200]),
        trunk: 0..=one_of(&[1, 20, 100]),
        log: 0..=one_of(&[0, 5, 50]),
        notice: 0..=one_of(&[0, 10, 300]),
        slow_log: (f64::from(u32::try_from(one_of(&[0, 0, 10])).unwrap_or(0)) / 1000.0, 500..=6000),
        log_failure: f64::from(u32::try_from(one_of(&[0, 0, 20])).unwrap_or(0)) / 1000.0,
        durable: store > 0,
        shared: store == 2,
        news: 0..=one_of(&[0, 30, 400]),
        hold,
        no_room: f64::from(u32::try_from(one_of(&[0, 0, 5])).unwrap_or(0)) / 1000.0,
        polls: false,
    }
}

impl Run<'_> {
    /// Lets time pass, and judges all that happens.
    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.world.now() + span;
        let Self { world, judge, script, .. } = self;
        // The welcome waits for the inbox as for any owner, and what is said before it with it.
        let longest = 2 * world.plan.settings.request_timeout
            + world.plan.trunk_and_back()
            + Duration::from_millis(1);
        while world.step(until) {
            let seen = world.take_seen();
            if seen.is_empty() {
                continue;
            }
            for seen in seen {
                judge.sees(world, seen);
            }
            script.look_around(world, judge);
        }
        for seen in world.take_seen() {
            judge.sees(world, seen);
        }
        judge.nothing_is_overdue(world.now(), longest);
    }
}
