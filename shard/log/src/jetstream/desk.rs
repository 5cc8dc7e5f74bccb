//! The task that hands out jobs: one at a time for each topic, in the order in which they came,
//! and those of different topics beside each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use trunkline_core::{LogFailure, LogOutcome, LogRequest, Ticket, Topic};

use super::entry::AppendId;
use super::held::Held;
use super::job::{Chore, Done, Job, Shared, Task};
use super::patience::Patience;
use super::stream::longest_age;
use super::tidying::Tidying;
use crate::epoch::new_epoch;
use crate::settings::millis;

/// How long a mark waits for an append to go with.
const MARK_DELAY: Duration = Duration::from_millis(50);

/// What the log asks of its task.
#[derive(Debug)]
pub(super) enum Command {
    Request { request: LogRequest, wall_ms: u64 },
    Sweep { wall_ms: u64 },
}

/// All topics that this process has, or has something to do about.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    slots: BTreeMap<Topic, Slot>,
    jobs: JoinSet<(Topic, Done)>,
    tidying: Tidying,
    /// When marks are to be kept, soonest first.
    marks: VecDeque<(Instant, Topic)>,
    entropy: StdRng,
    outcomes: UnboundedSender<(Ticket, LogOutcome)>,
}

/// A topic.
#[derive(Debug, Default)]
struct Slot {
    held: Option<Held>,
    /// A job has `held` with it.
    busy: bool,
    queue: VecDeque<Job>,
}

impl Desk {
    pub(super) fn new(
        shared: Arc<Shared>,
        entropy: StdRng,
        outcomes: UnboundedSender<(Ticket, LogOutcome)>,
    ) -> Self {
        let (slots, jobs, marks) = (BTreeMap::new(), JoinSet::new(), VecDeque::new());
        let tidying = Tidying::new(Arc::clone(&shared));
        Self { shared, slots, jobs, tidying, marks, entropy, outcomes }
    }

    /// Works until the log is dropped; what is under way then is abandoned, as at a crash.
    pub(super) async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        loop {
            let mark = self.marks.front().map(|(at, _)| *at);
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Request { request, wall_ms }) => self.request(request, wall_ms),
                    Some(Command::Sweep { wall_ms }) => self.sweep(wall_ms),
                    None => return,
                },
                Some(done) = self.jobs.join_next() => match done {
                    Ok((topic, done)) => self.finish(topic, done),
                    Err(error) => tracing::error!(%error, "a job of the log was lost"),
                },
                () = sleep_until(mark.unwrap_or_else(Instant::now)), if mark.is_some() => {
                    if let Some((_, topic)) = self.marks.pop_front() {
                        self.enqueue(topic, Task::KeepMark, 0);
                    }
                }
            }
        }
    }

    fn request(&mut self, request: LogRequest, wall_ms: u64) {
        let (topic, task) = match request {
            LogRequest::Open { ticket, topic } => {
                let epoch = new_epoch(&mut self.entropy);
                (topic, Task::Open { ticket, epoch })
            }
            LogRequest::Cede { ticket, topic } => (topic, Task::Cede { ticket }),
            LogRequest::TakeUp { ticket, topic, deed } => {
                let epoch = new_epoch(&mut self.entropy);
                (topic, Task::TakeUp { ticket, deed, epoch })
            }
            LogRequest::Append { ticket, topic, after, records } => {
                (topic, Task::Append { ticket, after, records })
            }
            LogRequest::Read { ticket, topic, query } => (topic, Task::Read { ticket, query }),
            LogRequest::Mark { topic, handed } => (topic, Task::Mark { handed }),
            // All shards share the stream: who opens a topic has it.
            LogRequest::List { ticket, .. } => {
                return self.give(ticket, LogOutcome::Topics { topics: Vec::new(), more: false });
            }
            LogRequest::Export { ticket, .. } => {
                return self.give(ticket, LogOutcome::Exported(None));
            }
            LogRequest::Import { ticket, .. } => {
                return self.give(ticket, LogOutcome::Failed(LogFailure::Unavailable));
            }
            LogRequest::Remove { .. } => return,
        };
        self.enqueue(topic, task, wall_ms);
    }

    fn give(&self, ticket: Ticket, outcome: LogOutcome) {
        // If nobody takes outcomes any more, the log is being dropped.
        let _ = self.outcomes.send((ticket, outcome));
    }

    fn enqueue(&mut self, topic: Topic, task: Task, wall_ms: u64) {
        let append = AppendId(self.entropy.random());
        let job = Job { task, append, wall_ms, patience: Patience::of_request() };
        self.slots.entry(topic.clone()).or_default().queue.push_back(job);
        self.next(topic);
    }

    /// Begins a topic's next job, unless one is under way.
    fn next(&mut self, topic: Topic) {
        let Some(slot) = self.slots.get_mut(&topic) else { return };
        if slot.busy {
            return;
        }
        let Some(job) = slot.queue.pop_front() else {
            if slot.held.is_none() {
                self.slots.remove(&topic);
            }
            return;
        };
        slot.busy = true;
        let (held, shared) = (slot.held.take(), Arc::clone(&self.shared));
        self.jobs.spawn(async move {
            let done = job.run(&shared, &topic, held).await;
            (topic, done)
        });
    }

    fn finish(&mut self, topic: Topic, done: Done) {
        let Done { held, outcome, mark_noted, chores } = done;
        for chore in chores {
            self.tidying.begin(&topic, chore);
        }
        if let Some((ticket, outcome)) = outcome {
            self.give(ticket, outcome);
        }
        if mark_noted {
            self.marks.push_back((Instant::now() + MARK_DELAY, topic.clone()));
        }
        if let Some(slot) = self.slots.get_mut(&topic) {
            (slot.held, slot.busy) = (held, false);
        }
        self.next(topic);
    }

    /// Lets go of what has reached its age. What is empty and not asked for is *spent*: the next
    /// who opens it begins another history. It stays known, though, for the core may still
    /// have it open, and appends then where it stood; its newest message stays in the stream for that.
    fn sweep(&mut self, wall_ms: u64) {
        let settings = self.shared.settings;
        let since_ms = settings.window_start(wall_ms);
        let forgotten_ms = millis(longest_age(&settings));
        let tidying = &mut self.tidying;
        self.slots.retain(|topic, slot| {
            let Some(held) = &mut slot.held else { return slot.busy };
            let retention = settings.retention(topic);
            let needed_ms = millis(retention.age.max(settings.window));
            held.rest(needed_ms, wall_ms);
            held.trim(retention, since_ms, wall_ms);
            if let Some(before) = held.take_purge() {
                tidying.begin(topic, Chore::Purge(before));
            }
            let unused_ms = wall_ms.saturating_sub(held.used_ms);
            held.spent |= held.is_empty() && unused_ms > needed_ms;
            // By then the stream has let go of its newest message too.
            !(held.spent && unused_ms > forgotten_ms)
        });
    }
}
