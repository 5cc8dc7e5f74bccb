//! What shards keep: it outlives their processes, takes its time, and fails now and then.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, Sleep, sleep_until};
use trunkline_config::store::{StoreKind, StoreSettings};
use trunkline_core::{CoreSettings, LogOutcome, LogRequest, Ticket, Topic};
use trunkline_log::TopicLog;

use crate::held;
use crate::model::{Fate, ModelLog};
use crate::truth::Truth;

/// What a shard has for all its lives.
#[derive(Debug)]
pub(crate) struct Disk {
    shard: usize,
    settings: CoreSettings,
    truth: Arc<Mutex<Truth>>,
    entropy: StdRng,
    /// Where topics are, here or on the one disk of all.
    model: Arc<Mutex<ModelLog>>,
    kind: Kind,
    /// What the shard wants to know when it starts again.
    note: Option<Bytes>,
    /// The longest that a request takes, in milliseconds.
    slowest_ms: u64,
    /// How often a request fails.
    failures: f64,
    /// The process ends in order: what it has given is written.
    ending: bool,
    lives: u64,
}

/// Which of the stores the model stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It ends with the process.
    Memory,
    /// Each shard's own, which lasts.
    Own,
    /// One that all shards share, which lets a topic's newest owner write.
    Shared,
}

impl Kind {
    /// What the settings say of it: from them a shard knows how far its store reaches.
    pub(crate) fn settings(self) -> StoreSettings {
        let kind = match self {
            Self::Memory => StoreKind::Memory,
            Self::Own => StoreKind::Embedded,
            Self::Shared => StoreKind::JetStream,
        };
        let data = (self == Self::Own).then(|| "data".into());
        StoreSettings { kind: Some(kind), data, ..StoreSettings::default() }
    }
}

/// How stores behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorePlan {
    pub(crate) kind: Kind,
    pub(crate) slowest_ms: u64,
    pub(crate) failures: f64,
}

impl Disk {
    pub(crate) fn new(
        shard: usize,
        seed: u64,
        plan: StorePlan,
        settings: CoreSettings,
        truth: Arc<Mutex<Truth>>,
        shared: &Arc<Mutex<ModelLog>>,
    ) -> Self {
        let StorePlan { kind, slowest_ms, failures } = plan;
        let entropy = StdRng::seed_from_u64(seed);
        let model = match kind {
            Kind::Shared => Arc::clone(shared),
            Kind::Memory | Kind::Own => model(&format!("e{shard}"), &settings),
        };
        let (note, ending, lives) = (None, false, 0);
        Self {
            shard,
            settings,
            truth,
            entropy,
            model,
            kind,
            note,
            slowest_ms,
            failures,
            ending,
            lives,
        }
    }

    /// The process will end in order.
    pub(crate) fn ends(&mut self) {
        self.ending = true;
    }

    /// From now on nothing fails.
    pub(crate) fn calm_down(&mut self) {
        self.failures = 0.0;
    }

    /// Topics of which something is kept here, and no other shard has the same disk.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        if self.kind == Kind::Shared {
            return Vec::new();
        }
        let model = held(&self.model);
        let kept = model.standings().filter(|(_, _, last)| *last > 0);
        kept.map(|(topic, ..)| topic.clone()).collect()
    }

    fn carry_out(&mut self, job: Job) -> Option<(Ticket, LogOutcome)> {
        let (request, wall_ms) = match job {
            Job::Request(request, wall_ms) => (request, wall_ms),
            Job::Note(note) => {
                self.note = (self.kind == Kind::Own).then_some(note);
                return None;
            }
        };
        // What is another's is taken out again and again until it has gone.
        let may_fail = !matches!(request, LogRequest::Remove { .. });
        let fate = match may_fail && self.failures > 0.0 && self.entropy.random_bool(self.failures)
        {
            false => Fate::Done,
            true if self.entropy.random() => Fate::FailedBefore,
            true => Fate::FailedAfter,
        };
        let writer = (self.shard, self.lives);
        let (outcome, kept) = held(&self.model).submit(writer, request, wall_ms, fate);
        let mut truth = held(&self.truth);
        for kept in &kept {
            truth.keep(self.shard, kept);
        }
        outcome
    }
}

/// A store of topics with nothing in it.
pub(crate) fn model(name: &str, settings: &CoreSettings) -> Arc<Mutex<ModelLog>> {
    Arc::new(Mutex::new(ModelLog::new(name, settings)))
}

/// What a store has been given.
#[derive(Debug)]
enum Job {
    Request(LogRequest, u64),
    Note(Bytes),
}

/// A shard's store for one of its lives.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Arc<Mutex<Disk>>,
    life: u64,
    under_way: VecDeque<(Instant, Job)>,
    noted: Option<Bytes>,
    sleep: Pin<Box<Sleep>>,
}

impl Store {
    pub(crate) fn open(disk: &Arc<Mutex<Disk>>) -> Self {
        let mut opened = held(disk);
        opened.lives += 1;
        opened.ending = false;
        if opened.kind == Kind::Memory && opened.lives > 1 {
            let name = format!("e{}x{}", opened.shard, opened.lives);
            let empty = model(&name, &opened.settings);
            let before = std::mem::replace(&mut opened.model, empty);
            held(&opened.truth).forget(&held(&before));
        }
        let (under_way, sleep) = (VecDeque::new(), Box::pin(sleep_until(Instant::now())));
        let noted = opened.note.clone();
        Self { disk: Arc::clone(disk), life: opened.lives, under_way, noted, sleep }
    }

    fn give(&mut self, job: Job) {
        let mut disk = held(&self.disk);
        let slowest = disk.slowest_ms;
        let takes = Duration::from_millis(disk.entropy.random_range(0..=slowest));
        let earliest = self.under_way.back().map_or_else(Instant::now, |(due, ..)| *due);
        self.under_way.push_back((earliest.max(Instant::now() + takes), job));
    }
}

impl TopicLog for Store {
    fn submit(&mut self, request: LogRequest, wall_ms: u64) {
        self.give(Job::Request(request, wall_ms));
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)> {
        loop {
            let Some((due, ..)) = self.under_way.front() else { return Poll::Pending };
            if *due > Instant::now() {
                let due = *due;
                self.sleep.as_mut().reset(due);
                if self.sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            let Some((_, job)) = self.under_way.pop_front() else { continue };
            let outcome = held(&self.disk).carry_out(job);
            if let Some(outcome) = outcome {
                return Poll::Ready(outcome);
            }
        }
    }

    fn sweep(&mut self, _: u64) {}

    fn note(&mut self, note: Bytes) {
        self.give(Job::Note(note));
    }

    fn noted(&self) -> Option<Bytes> {
        self.noted.clone()
    }
}

impl Drop for Store {
    /// Of what was under way when the process ended, some was written.
    fn drop(&mut self) {
        let mut disk = held(&self.disk);
        if disk.lives != self.life {
            return;
        }
        // Of what is gone with the process nobody knows how far it was.
        if disk.kind == Kind::Memory && !disk.ending {
            return;
        }
        let all = self.under_way.len();
        let written = if disk.ending { all } else { disk.entropy.random_range(0..=all) };
        for (_, job) in self.under_way.drain(..).take(written) {
            disk.carry_out(job);
        }
    }
}
