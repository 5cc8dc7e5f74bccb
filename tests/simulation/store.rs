//! What shards keep: it outlives their processes, takes its time, and fails now and then.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, Sleep, sleep_until};
use trunkline_core::{CoreSettings, LogOutcome, LogRequest, Ticket};
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
    /// None until the first life.
    model: Option<ModelLog>,
    /// Whether topics are still there in the next life.
    durable: bool,
    /// The longest that a request takes, in milliseconds.
    slowest_ms: u64,
    /// How often a request fails.
    failures: f64,
    /// The process ends in order: what it has given is written.
    ending: bool,
    lives: u64,
}

/// How stores behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorePlan {
    pub(crate) durable: bool,
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
    ) -> Self {
        let StorePlan { durable, slowest_ms, failures } = plan;
        let entropy = StdRng::seed_from_u64(seed);
        let (model, ending, lives) = (None, false, 0);
        Self {
            shard,
            settings,
            truth,
            entropy,
            model,
            durable,
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

    fn carry_out(&mut self, request: LogRequest, wall_ms: u64) -> Option<(Ticket, LogOutcome)> {
        let fate = match self.failures > 0.0 && self.entropy.random_bool(self.failures) {
            false => Fate::Done,
            true if self.entropy.random() => Fate::FailedBefore,
            true => Fate::FailedAfter,
        };
        let model = self.model.as_mut()?;
        let (outcome, kept) = model.submit((self.shard, self.lives), request, wall_ms, fate);
        let mut truth = held(&self.truth);
        for kept in &kept {
            truth.keep(self.shard, kept);
        }
        outcome
    }
}

/// A shard's store for one of its lives.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Arc<Mutex<Disk>>,
    life: u64,
    under_way: VecDeque<(Instant, LogRequest, u64)>,
    sleep: Pin<Box<Sleep>>,
}

impl Store {
    pub(crate) fn open(disk: &Arc<Mutex<Disk>>) -> Self {
        let mut opened = held(disk);
        opened.lives += 1;
        opened.ending = false;
        if !opened.durable || opened.model.is_none() {
            let epoch = format!("e{}x{}", opened.shard, opened.lives);
            opened.model = Some(ModelLog::new(&epoch, &opened.settings));
            held(&opened.truth).forget(opened.shard);
        }
        let (under_way, sleep) = (VecDeque::new(), Box::pin(sleep_until(Instant::now())));
        Self { disk: Arc::clone(disk), life: opened.lives, under_way, sleep }
    }
}

impl TopicLog for Store {
    fn submit(&mut self, request: LogRequest, wall_ms: u64) {
        let mut disk = held(&self.disk);
        let slowest = disk.slowest_ms;
        let takes = Duration::from_millis(disk.entropy.random_range(0..=slowest));
        let earliest = self.under_way.back().map_or_else(Instant::now, |(due, ..)| *due);
        self.under_way.push_back((earliest.max(Instant::now() + takes), request, wall_ms));
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
            let Some((_, request, wall_ms)) = self.under_way.pop_front() else { continue };
            let outcome = held(&self.disk).carry_out(request, wall_ms);
            if let Some(outcome) = outcome {
                return Poll::Ready(outcome);
            }
        }
    }

    fn sweep(&mut self, _: u64) {}
}

impl Drop for Store {
    /// Of what was under way when the process ended, some was written.
    fn drop(&mut self) {
        let mut disk = held(&self.disk);
        if disk.lives != self.life || !disk.durable {
            return;
        }
        let all = self.under_way.len();
        let written = if disk.ending { all } else { disk.entropy.random_range(0..=all) };
        for (_, request, wall_ms) in self.under_way.drain(..).take(written) {
            disk.carry_out(request, wall_ms);
        }
    }
}
