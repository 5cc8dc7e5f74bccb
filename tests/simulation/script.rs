//! What goes wrong, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::plan::{ROUTERS, SHARDS};

/// One thing that happens to the cluster. What begins also ends: the script says when.
///
/// Shards that drain, and maps that change under live connections, belong here too: an [`Act`] that
/// begins each, its line in `Stage::perform`, and the chance for it in [`Script::add`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A process is killed; its sockets are closed for it.
    Crash(Process),
    /// A machine is gone: nobody is told.
    Vanish(Process),
    /// A process ends in order.
    Stop(Process),
    /// It is started, on a machine that the others reach.
    Start(Process),
    /// Nothing gets through, and is lost.
    Part(Process, Process),
    /// What is sent from now on gets through.
    Join(Process, Process),
    /// Nothing gets through for now.
    Hold(Process, Process),
    /// What was held gets through.
    Release(Process, Process),
    /// Somebody reads nothing.
    Deafen(usize),
    /// They read again.
    Hear(usize),
    /// Those who roam lose their network, and connect anew when they have it again.
    CutOff,
    /// They have it again.
    ReachAgain,
}

impl Act {
    /// Whether shards, or the ways to them, are concerned.
    pub(crate) fn is_of_shards(&self) -> bool {
        match self {
            Self::Crash(process) | Self::Vanish(process) | Self::Stop(process) => {
                matches!(process, Process::Shard(_))
            }
            Self::Part(..) | Self::Hold(..) => true,
            _ => false,
        }
    }
}

/// A process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Process {
    Shard(usize),
    Router(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// Acts in the order of time, and the end of them all.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
    pub(crate) quiet_at: Duration,
}

/// Everybody connects first.
const BEGINS_MS: u64 = 1500;
/// The last thing begins at the latest after this.
const LASTS_MS: u64 = 4000;

impl Script {
    pub(crate) fn new(dice: &mut StdRng, people: usize) -> Self {
        let mut script = Self { events: Vec::new(), quiet_at: Duration::ZERO };
        let mut busy = BTreeMap::new();
        for _ in 0..dice.random_range(1..=4) {
            script.add(dice, people, &mut busy);
        }
        script.events.sort_by_key(|event| event.at);
        let last = script.events.last().map_or(Duration::ZERO, |event| event.at);
        script.quiet_at = last.max(Duration::from_millis(BEGINS_MS + 1500)) + SLACK;
        script
    }

    fn add(&mut self, dice: &mut StdRng, people: usize, busy: &mut BTreeMap<Process, u64>) {
        let at = dice.random_range(BEGINS_MS..BEGINS_MS + LASTS_MS);
        let shard = Process::Shard(dice.random_range(0..SHARDS));
        let router = Process::Router(dice.random_range(0..ROUTERS));
        let other = Process::Shard(dice.random_range(0..SHARDS));
        let (begin, end, lasts, concerned) = match dice.random_range(0..100) {
            0..30 => (Act::Crash(shard), Act::Start(shard), 50..2500, vec![shard]),
            30..40 => (Act::Stop(shard), Act::Start(shard), 50..1500, vec![shard]),
            40..45 => (Act::Vanish(shard), Act::Start(shard), 500..3000, vec![shard]),
            45..55 => (Act::Crash(router), Act::Start(router), 50..2000, vec![router]),
            55..60 => (Act::Stop(router), Act::Start(router), 50..2000, vec![router]),
            60..64 if shard != other => {
                (Act::Part(shard, other), Act::Join(shard, other), 500..3000, vec![shard, other])
            }
            64..68 => {
                let concerned = vec![shard, router];
                (Act::Part(router, shard), Act::Join(router, shard), 500..3000, concerned)
            }
            68..76 if shard != other => {
                let concerned = vec![shard, other];
                (Act::Hold(shard, other), Act::Release(shard, other), 50..2000, concerned)
            }
            76..86 => {
                let concerned = vec![shard, router];
                (Act::Hold(router, shard), Act::Release(router, shard), 50..2000, concerned)
            }
            86..94 => {
                let person = dice.random_range(0..people);
                (Act::Deafen(person), Act::Hear(person), 500..3000, vec![])
            }
            _ => (Act::CutOff, Act::ReachAgain, 500..3000, vec![]),
        };
        // One thing at a time happens to each.
        let free = concerned.iter().filter_map(|it| busy.get(it)).max().copied();
        let at = at.max(free.unwrap_or(0));
        if concerned.is_empty() && self.events.iter().any(|event| event.act == begin) {
            return;
        }
        let mut until = at + dice.random_range(lasts.clone());
        self.push(at, &begin, until, &end);
        // Some things happen again before all is as it was.
        if !concerned.is_empty() && dice.random_bool(0.25) {
            let again = until + dice.random_range(20..500);
            until = again + dice.random_range(lasts);
            self.push(again, &begin, until, &end);
        }
        busy.extend(concerned.into_iter().map(|it| (it, until + 1)));
    }

    fn push(&mut self, at: u64, begin: &Act, until: u64, end: &Act) {
        self.events.push(Event { at: Duration::from_millis(at), act: begin.clone() });
        self.events.push(Event { at: Duration::from_millis(until), act: end.clone() });
    }
}

/// Between the last thing that happens and the end of the script.
const SLACK: Duration = Duration::from_millis(500);
