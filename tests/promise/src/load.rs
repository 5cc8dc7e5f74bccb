//! What the clients say, and when: an open loop that waits for nobody.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{oneshot, watch};
use trunkline_bench::Pace;

use crate::crowd::{Census, Crowd};
use crate::history::{History, To};

/// How many clients are on their way in at once.
const ENTERING: usize = 32;
/// How long what is on its way is waited for in the end.
const DRAIN: Duration = Duration::from_secs(30);
/// How often it is looked whether all has arrived.
const DRAIN_STEP: Duration = Duration::from_millis(50);
/// Of so many messages one is private.
const PRIVATE: usize = 4;

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients come.
    Coming,
    /// They talk.
    Talking,
    /// What is on its way is waited for.
    Ending,
}

/// What the clients' thread is given.
pub(crate) struct Load {
    pub(crate) census: Census,
    /// Messages a second.
    pub(crate) rate: f64,
    /// The longest that they may talk.
    pub(crate) longest: Duration,
    pub(crate) seed: u64,
    pub(crate) origin: Instant,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Told when all are in, or why one is not.
    pub(crate) ready: oneshot::Sender<Result<(), String>>,
}

/// Carries all clients to the end. Blocks.
///
/// # Errors
/// If there is no runtime to be had.
pub(crate) fn carry(load: Load) -> std::io::Result<History> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, run(load)))
}

async fn run(load: Load) -> History {
    let Load { census, rate, longest, seed, origin, phase, ready } = load;
    let crowd = Crowd::new(census, origin);
    let entered = tokio::select! {
        entered = enter(&crowd) => entered,
        // Nobody lets them talk before they are in.
        _ = reaches(&phase, Phase::Talking) => Err("nobody waits for them".to_owned()),
    };
    let is_in = entered.is_ok();
    let _ = ready.send(entered);
    if is_in {
        reaches(&phase, Phase::Talking).await;
        let pace = Pace { rate, thread: 0, threads: 1, start: Instant::now(), span: longest };
        let is_ending = tokio::select! {
            () = talk(&crowd, pace, seed) => true,
            is_ending = reaches(&phase, Phase::Ending) => is_ending,
        };
        if is_ending {
            drain(&crowd).await;
        }
    }
    crowd.into_history()
}

/// Waits for a phase; false if nobody is there any more who could begin it.
async fn reaches(phase: &watch::Receiver<Phase>, wanted: Phase) -> bool {
    phase.clone().wait_for(|phase| *phase == wanted).await.is_ok()
}

async fn enter(crowd: &Rc<Crowd>) -> Result<(), String> {
    let entering = stream::iter(0..crowd.census.clients).map(|client| crowd.enter(client));
    // In their order, by which the crowd knows them.
    let mut entering = entering.buffered(ENTERING);
    while let Some(entered) = entering.try_next().await? {
        crowd.admit(entered);
    }
    Ok(())
}

async fn talk(crowd: &Rc<Crowd>, pace: Pace, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let clients = crowd.census.clients;
    let mut due = pace.begin();
    while let Some(moment) = due.recv().await {
        let from = chance.random_range(0..clients);
        let to = if chance.random_range(0..PRIVATE) == 0 {
            To::User((from + chance.random_range(1..clients)) % clients)
        } else {
            To::Room(crowd.census.room(from))
        };
        crowd.speak(from, to, moment);
    }
}

async fn drain(crowd: &Crowd) {
    let deadline = Instant::now() + DRAIN;
    while Instant::now() < deadline && !crowd.is_drained() {
        tokio::time::sleep(DRAIN_STEP).await;
    }
}
