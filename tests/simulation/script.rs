//! What goes wrong, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::plan::{FIRST, ROUTERS, SHARDS, router_name, shard_name};

/// One thing that happens to the cluster. What breaks something is followed by what mends it: the
/// script says when. What makes topics and sessions move need not be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A process is killed; its sockets are closed for it.
    Crash(Process),
    /// A machine is gone: nobody is told.
    Vanish(Process),
    /// A process ends at once, in order.
    Stop(Process),
    /// A process is asked to end: others take over what it has first.
    End(Process),
    /// It is started, on a machine that the others reach.
    Start(Process),
    /// Somebody has others take over what a shard has.
    Drain(usize),
    /// The shard is to serve again.
    Resume(usize),
    /// The map of this index is put where processes look for one; they see it when they look.
    Map(usize),
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
            Self::Crash(process)
            | Self::Vanish(process)
            | Self::Stop(process)
            | Self::End(process) => matches!(process, Process::Shard(_)),
            Self::Part(..) | Self::Hold(..) => true,
            _ => self.moves(),
        }
    }

    /// Whether topics and sessions move because of it, and nothing else happens to them.
    pub(crate) fn moves(&self) -> bool {
        match self {
            Self::End(process) => matches!(process, Process::Shard(_)),
            Self::Drain(_) | Self::Resume(_) | Self::Map(_) => true,
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

impl Process {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Shard(shard) => shard_name(shard),
            Self::Router(router) => router_name(router),
        }
    }
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
    /// The shards of each map.
    pub(crate) maps: Vec<Vec<usize>>,
}

/// Everybody connects first.
const BEGINS_MS: u64 = 1500;
/// The last thing begins at the latest after this.
const LASTS_MS: u64 = 4000;

impl Script {
    /// With `moves` shards drain and other maps come in most of the scripts.
    pub(crate) fn new(dice: &mut StdRng, people: usize, moves: bool) -> Self {
        let maps = vec![(0..FIRST).collect()];
        let mut script = Self { events: Vec::new(), quiet_at: Duration::ZERO, maps };
        // The others are not there yet.
        let mut busy: BTreeMap<_, _> =
            (FIRST..SHARDS).map(|shard| (Process::Shard(shard), u64::MAX)).collect();
        let (moves, breaks) = match dice.random_range(0..10) {
            _ if !moves => (0, dice.random_range(1..=4)),
            0..3 => (0, dice.random_range(1..=4)),
            3..6 => (dice.random_range(1..=4), 0),
            _ => (dice.random_range(1..=3), dice.random_range(1..=3)),
        };
        if moves > 0 && dice.random_bool(0.4) {
            script.remap(dice, &mut busy);
        }
        for _ in 0..moves {
            script.shift(dice, &mut busy);
        }
        for _ in 0..breaks {
            script.add(dice, people, &mut busy);
        }
        script.events.sort_by_key(|event| event.at);
        let over = |event: &Event| match event.act {
            Act::Map(_) => event.at + Duration::from_millis(LOOKS_MS),
            _ => event.at,
        };
        let last = script.events.iter().map(over).max().unwrap_or_default();
        script.quiet_at = last.max(Duration::from_millis(BEGINS_MS + 1500)) + SLACK;
        script
    }

    /// Other maps come: a shard more, or one less, which may be one that came.
    fn remap(&mut self, dice: &mut StdRng, busy: &mut BTreeMap<Process, u64>) {
        let mut at = BEGINS_MS;
        for _ in 0..dice.random_range(1..=3) {
            at += dice.random_range(100..2500);
            let mut shards = self.maps.last().cloned().unwrap_or_default();
            let shard = Process::Shard(match dice.random_range(0..SHARDS) {
                shard if shards.contains(&shard) && shards.len() < FIRST => continue,
                shard if shards.contains(&shard) => {
                    shards.retain(|it| *it != shard);
                    shard
                }
                shard => {
                    shards.push(shard);
                    shards.sort_unstable();
                    shard
                }
            });
            let comes = shards.len() > self.maps.last().map_or(0, Vec::len);
            // Who is no more in the map has to live until it has nothing left, and it isn't started.
            busy.insert(shard, if comes { at + LOOKS_MS } else { u64::MAX });
            self.events
                .push(Event { at: Duration::from_millis(at), act: Act::Map(self.maps.len()) });
            self.maps.push(shards);
        }
    }

    /// A shard is drained, and perhaps serves again; or it is asked to end, and is started again.
    fn shift(&mut self, dice: &mut StdRng, busy: &mut BTreeMap<Process, u64>) {
        let at = dice.random_range(BEGINS_MS..BEGINS_MS + LASTS_MS);
        let number = dice.random_range(0..SHARDS);
        let shard = Process::Shard(number);
        let until =
            at + [dice.random_range(1..100), dice.random_range(50..2500)][dice.random_range(0..2)];
        let free = busy.get(&shard).copied().unwrap_or(0);
        if dice.random_bool(0.4) && free < u64::MAX {
            let at = at.max(free);
            let until = at.max(until);
            self.push(at, &Act::End(shard), until, &Act::Start(shard));
            busy.insert(shard, until + 1);
            return;
        }
        let event = |at, act| Event { at: Duration::from_millis(at), act };
        self.events.push(event(at, Act::Drain(number)));
        if dice.random_bool(0.8) {
            self.events.push(event(until, Act::Resume(number)));
        }
    }

    fn add(&mut self, dice: &mut StdRng, people: usize, busy: &mut BTreeMap<Process, u64>) {
        let at = dice.random_range(BEGINS_MS..BEGINS_MS + LASTS_MS);
        let shard = Process::Shard(dice.random_range(0..FIRST));
        let router = Process::Router(dice.random_range(0..ROUTERS));
        let other = Process::Shard(dice.random_range(0..FIRST));
        let (begin, end, lasts, concerned) = match dice.random_range(0..100) {
            0..30 => (Act::Crash(shard), Act::Start(shard), 50..2500, vec![shard]),
            30..40 => (Act::Stop(shard), Act::Start(shard), 50..1500, vec![shard]),
            40..45 => (Act::Vanish(shard), Act::Start(shard), 500..3000, vec![shard]),
            45..55 => (Act::Crash(router), Act::Start(router), 50..2000, vec![router]),
            55..58 => (Act::Stop(router), Act::Start(router), 50..2000, vec![router]),
            58..60 => (Act::End(router), Act::Start(router), 50..2000, vec![router]),
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
        if at == u64::MAX {
            return;
        }
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

/// A process looks for a map this often.
pub(crate) const LOOKS_MS: u64 = 1500;

/// Between the last thing that happens and the end of the script.
const SLACK: Duration = Duration::from_millis(500);
