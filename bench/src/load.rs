//! Clients that stay and speak, or stay and are silent.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::BenchError;
use crate::dialect::{Say, Stamp, payload};
use crate::driver::Thread;
use crate::entry::enter;
use crate::hub::Hub;
use crate::pace::Pace;
use crate::plan::{Plan, Scenario};
use crate::tally::Tally;

/// How many clients of a thread are on their way in at once.
const ENTERING: usize = 32;
/// How long what is on its way is waited for.
const DRAIN: Duration = Duration::from_secs(5);
/// How often it is looked whether all has arrived.
const DRAIN_STEP: Duration = Duration::from_millis(5);
/// Chooses who speaks: the same in every run.
const SEED: u64 = 1;
/// How often a recipient is drawn that suits the sender before the message is left out: with two
/// shards, every second draw suits.
const DRAWS: usize = 64;

/// Lets all clients of this thread in, lets them speak from the signal on, and counts.
pub(crate) async fn run(mut thread: Thread) -> Result<Tally, BenchError> {
    let plan = Arc::clone(&thread.plan);
    let hub = Hub::new(thread.origin, Arc::clone(&thread.progress));
    let mine: Vec<usize> = (thread.index..plan.clients).step_by(plan.threads).collect();
    let joins = plan.scenario != Scenario::Idle;
    let entering = stream::iter(&mine).map(|&client| {
        let (plan, progress) = (&plan, &thread.progress);
        async move {
            let room = joins.then(|| plan.room(plan.room_of(client)));
            let entered = enter(plan, client, room.as_deref()).await;
            progress.one_more();
            entered.map_err(|why| BenchError::Client { client, why })
        }
    });
    // In their order, so that a client's place in the hub is its place here.
    let mut entering = entering.buffered(ENTERING);
    while let Some(entered) = entering.try_next().await? {
        hub.admit(entered);
    }
    drop(entering);
    thread.ready();
    let Some(start) = thread.start().await else { return Ok(hub.into_tally()) };
    let counted = start + plan.warm_up;
    hub.count_from(hub.time(counted));
    if plan.scenario != Scenario::Idle {
        let (rate, span) = (plan.rate, plan.warm_up + plan.duration);
        let pace = Pace { rate, thread: thread.index, threads: plan.threads, start, span };
        speak(&plan, &hub, &mine, pace).await;
        drain(&hub).await;
    } else {
        tokio::time::sleep_until((counted + plan.duration).into()).await;
    }
    thread.ready();
    thread.finish().await;
    Ok(hub.into_tally())
}

/// Waits for what is on its way.
async fn drain(hub: &Rc<Hub>) {
    let deadline = Instant::now() + DRAIN;
    while Instant::now() < deadline && !hub.is_drained() {
        tokio::time::sleep(DRAIN_STEP).await;
    }
}

async fn speak(plan: &Plan, hub: &Hub, mine: &[usize], pace: Pace) {
    let mut speaker = Speaker {
        plan,
        hub,
        mine,
        rng: StdRng::seed_from_u64(SEED + pace.thread as u64),
        // 1 was each client's join.
        number: 1,
    };
    let mut due = pace.begin();
    while let Some(moment) = due.recv().await {
        speaker.speak(hub.time(moment));
    }
}

struct Speaker<'a> {
    plan: &'a Plan,
    hub: &'a Hub,
    mine: &'a [usize],
    rng: StdRng,
    number: u64,
}

impl Speaker<'_> {
    /// One message, meant for `time`.
    fn speak(&mut self, time: u64) {
        self.number += 1;
        match self.plan.scenario {
            Scenario::Fanout | Scenario::HotRoom => self.publish(time, false),
            Scenario::Private => self.private(time),
            Scenario::Mixed => match self.rng.random_range(0..100) {
                0..70 => self.publish(time, false),
                70..85 => self.private(time),
                85..95 => self.publish(time, true),
                _ => self.visit(time),
            },
            Scenario::Idle | Scenario::Storm => {}
        }
    }

    /// One of this thread's clients: its place in the hub, and its number.
    fn someone(&mut self) -> (usize, usize) {
        let index = self.rng.random_range(0..self.mine.len());
        (index, self.mine[index])
    }

    fn publish(&mut self, time: u64, typing: bool) {
        let (index, client) = self.someone();
        let room = self.plan.room_of(client);
        let payload = &payload(Stamp { time, number: self.number }, self.plan.payload);
        let members = self.plan.members(room);
        let room = &self.plan.room(room);
        let (what, expected) = if typing {
            (Say::Typing { room, payload }, members - 1)
        } else {
            (Say::Publish { room, payload, key: None }, members)
        };
        self.hub.say(index, &what, self.asks(!typing), time, expected);
    }

    fn private(&mut self, time: u64) {
        let (index, client) = self.someone();
        let mut draws = (0..DRAWS).map(|_| self.rng.random_range(0..self.plan.clients));
        let recipient = draws.find(|&to| self.plan.may_write(client, to));
        let Some(recipient) = recipient else {
            let why = "no user of another shard was found to write to; is --apart this cluster's?";
            return self.hub.tally(|tally| tally.fail(why));
        };
        let payload = &payload(Stamp { time, number: self.number }, self.plan.payload);
        let user = &self.plan.user(recipient);
        let what = Say::Private { user, payload, key: None };
        self.hub.say(index, &what, self.asks(true), time, 1);
    }

    /// A look into a room of its own, which nobody publishes to.
    fn visit(&mut self, time: u64) {
        let (index, client) = self.someone();
        let room = &format!("{}-aside", self.plan.user(client));
        self.hub.say(index, &Say::Join { room }, Some(self.number), time, 0);
        self.number += 1;
        self.hub.say(index, &Say::Leave { room }, Some(self.number), time, 0);
    }

    fn asks(&self, may: bool) -> Option<u64> {
        (may && self.plan.acknowledged).then_some(self.number)
    }
}
