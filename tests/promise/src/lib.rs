//! Proves by real processes that clients never notice what happens to a cluster.
//!
//! Many clients, native and of Socket.IO by WebSocket and by polling, talk at a steady rate over two
//! routers and some shards, while one disruption after the other is done to the cluster. Everything
//! that they said, were answered and got is kept, with when; in the end a judge that knows nothing of
//! clusters says whether any of them was disconnected, lost a message, got one twice or in another
//! order, and how long they had to wait. The clients are those of the load tool.

mod cluster;
mod crowd;
mod history;
mod judge;
mod kind;
mod load;
/// The store's own tests have the same servers, and use all of it.
#[allow(dead_code)]
#[path = "../../../shard/log/tests/conformance/jetstream/nats.rs"]
mod nats;
mod network;
mod outcome;
mod plan;
/// Whole clusters of other tests take their ports from the same place.
#[allow(clippy::unwrap_used)]
#[path = "../../cluster/harness/ports.rs"]
mod ports;
mod process;
mod script;
mod table;

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use cluster::{Cluster, Parts};
use crowd::Census;
use load::{Load, Phase, carry};
use ports::free;
use script::Script;

pub use kind::{Kind, Store};
pub use network::Network;
pub use outcome::{Disruption, Figures, Outcome};
pub use plan::Plan;

/// How long clients may take to get in.
const COMING: Duration = Duration::from_secs(120);
/// How long the last disruptions may take beyond the time that there is.
const OVERTIME: Duration = Duration::from_secs(300);

/// Why nothing is proved.
#[derive(Debug, thiserror::Error)]
pub enum PromiseError {
    /// The cluster doesn't do what it is told to.
    #[error("{0}")]
    Cluster(String),
    /// A client can't get in.
    #[error("the clients are not in: {0}")]
    Clients(String),
    /// The plan contradicts itself.
    #[error("{0}")]
    Plan(&'static str),
    /// It was asked to end.
    #[error("interrupted")]
    Interrupted,
    /// Everything has its deadline, and this is the last.
    #[error("it takes too long")]
    Late,
    /// A file, process or thread is not to be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Carries the plan out and says what clients have noticed. `tell` hears what goes on. Blocks, and
/// leaves nothing running.
///
/// # Errors
/// See [`PromiseError`]. That clients have noticed something is no error but an outcome.
pub fn run(plan: &Plan, tell: &dyn Fn(&str)) -> Result<Outcome, PromiseError> {
    plan.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminated, mut interrupted) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            outcome = timeout(COMING + plan.time + OVERTIME, prove(plan, tell)) => {
                outcome.map_err(|_| PromiseError::Late)?
            }
            _ = terminated.recv() => Err(PromiseError::Interrupted),
            _ = interrupted.recv() => Err(PromiseError::Interrupted),
        }
    })
}

async fn prove(plan: &Plan, tell: &dyn Fn(&str)) -> Result<Outcome, PromiseError> {
    tell(&format!("starting {} shards and their routers", plan.shards));
    let parts = Parts {
        program: plan.program.clone(),
        folder: plan.folder.clone(),
        store: plan.store,
        network: plan.network,
        shards: plan.shards,
    };
    let mut cluster = Cluster::start(parts).await?;
    let origin = Instant::now();
    let (phase, watch) = watch::channel(Phase::Coming);
    let (ready, is_ready) = oneshot::channel();
    let load = Load {
        census: Census {
            urls: cluster.urls(),
            speeches: plan.speeches.clone(),
            clients: plan.clients,
            rooms: plan.rooms(),
        },
        rate: plan.rate,
        longest: plan.time + OVERTIME,
        seed: plan.seed,
        origin,
        phase: watch,
        ready,
    };
    tell(&format!("{} clients come", plan.clients));
    // The runtime waits for it, and it ends when the phase does.
    let clients = tokio::task::spawn_blocking(|| carry(load));
    match timeout(COMING, is_ready).await {
        Ok(Ok(entered)) => entered.map_err(PromiseError::Clients)?,
        Ok(Err(_)) => return Err(PromiseError::Clients("their thread has ended".to_owned())),
        Err(_) => return Err(PromiseError::Clients("they take too long".to_owned())),
    }
    let _ = phase.send(Phase::Talking);
    let mut script = Script {
        kinds: plan.kinds(),
        quiet: plan.quiet,
        settle: plan.settle,
        until: Instant::now() + plan.time,
        chance: StdRng::seed_from_u64(plan.seed),
        origin,
        tell,
    };
    let spans = script.play(&mut cluster).await?;
    let seconds = origin.elapsed().as_secs_f64();
    let _ = phase.send(Phase::Ending);
    tell("what is on its way is waited for");
    let mut history = clients.await.map_err(std::io::Error::other)??;
    history.spans = spans;
    cluster.has_not_panicked()?;
    Ok(Outcome::of(plan, &history, seconds))
}
