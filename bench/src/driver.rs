//! The threads that carry the clients, and the measurements around their work.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::outcome::{Driver, Latency, Outcome, Servers};
use crate::plan::{Plan, Scenario};
use crate::progress::{Progress, Stage};
use crate::servers::{Cost, OwnTime, Snapshot};
use crate::tally::Tally;
use crate::{BenchError, load, storm};

/// From the signal to the first message: time for every thread to hear it.
const RUN_UP: Duration = Duration::from_millis(50);
/// From the last client's entry to the measurement of idle ones: what its entry leaves to do.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Wait,
    /// The load begins at this moment.
    Start(Instant),
    Finish,
}

/// How far a thread has come.
enum Reached {
    Stage,
    /// It has failed; its result tells why.
    Failure,
}

/// What one thread is given.
pub(crate) struct Thread {
    pub(crate) index: usize,
    pub(crate) plan: Arc<Plan>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) origin: Instant,
    signal: watch::Receiver<Signal>,
    ready: mpsc::Sender<Reached>,
}

impl Thread {
    /// Tells that this thread has come to the end of a stage.
    pub(crate) fn ready(&self) {
        // Nobody hears it when another thread has failed; the signal then ends too.
        let _ = self.ready.send(Reached::Stage);
    }

    /// When the load begins; none when it doesn't.
    pub(crate) async fn start(&mut self) -> Option<Instant> {
        match *self.signal.wait_for(|signal| !matches!(signal, Signal::Wait)).await.ok()? {
            Signal::Start(start) => Some(start),
            Signal::Wait | Signal::Finish => None,
        }
    }

    /// Waits until everything has been measured.
    pub(crate) async fn finish(&mut self) {
        // An error means that nobody is there to signal, which is the end too.
        let _ = self.signal.wait_for(|signal| matches!(signal, Signal::Finish)).await;
    }
}

pub(crate) fn run(plan: &Arc<Plan>, progress: &Arc<Progress>) -> Result<Outcome, BenchError> {
    let before = plan.servers.read()?;
    let (signal, watch) = watch::channel(Signal::Wait);
    let (ready, all_ready) = mpsc::channel();
    let origin = Instant::now();
    let threads: Vec<_> = (0..plan.threads)
        .map(|index| {
            let (plan, progress) = (Arc::clone(plan), Arc::clone(progress));
            let (signal, ready) = (watch.clone(), ready.clone());
            let thread = Thread { index, plan, progress, origin, signal, ready };
            thread::Builder::new().name(format!("clients-{index}")).spawn(|| carry(thread))
        })
        .collect::<Result<_, _>>()?;
    drop((ready, watch));
    let all_there = || (0..plan.threads).all(|_| matches!(all_ready.recv(), Ok(Reached::Stage)));
    let measured = all_there().then(|| measure(plan, progress, &signal, all_there));
    let _ = signal.send(Signal::Finish);
    let mut tally = Tally::new();
    for thread in threads {
        let failed = |_| BenchError::Plan("a thread of the driver has panicked".to_owned());
        tally.add(thread.join().map_err(failed)??);
    }
    let measured =
        measured.ok_or_else(|| BenchError::Plan("the clients did not get in".to_owned()))??;
    Ok(outcome(plan, &tally, &before, &measured))
}

fn carry(thread: Thread) -> Result<Tally, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let reached = thread.ready.clone();
    let result = match thread.plan.scenario {
        Scenario::Storm => local.block_on(&runtime, storm::run(thread)),
        _ => local.block_on(&runtime, load::run(thread)),
    };
    if result.is_err() {
        let _ = reached.send(Reached::Failure);
    }
    result
}

/// What was read around the measured span.
struct Measured {
    cost: Cost,
    after: Snapshot,
    seconds: f64,
    driver_cpu: Duration,
    driver_busiest: Duration,
}

fn measure(
    plan: &Plan,
    progress: &Progress,
    signal: &watch::Sender<Signal>,
    all_there: impl Fn() -> bool,
) -> Result<Measured, BenchError> {
    if plan.scenario == Scenario::Idle {
        thread::sleep(SETTLE);
    }
    let start = Instant::now() + RUN_UP;
    let _ = signal.send(Signal::Start(start));
    progress.enter(Stage::WarmingUp);
    let counted = start + plan.warm_up;
    thread::sleep(counted.saturating_duration_since(Instant::now()));
    let (before, own_before) = (plan.servers.read()?, OwnTime::read());
    progress.enter(Stage::Measuring);
    let end = counted + plan.duration;
    thread::sleep(end.saturating_duration_since(Instant::now()));
    progress.enter(Stage::Draining);
    // A thread that fails here tells why in its result.
    all_there();
    let (after, own_after) = (plan.servers.read()?, OwnTime::read());
    let (driver_cpu, driver_busiest) = own_after.since(&own_before);
    let seconds = counted.elapsed().as_secs_f64();
    Ok(Measured { cost: after.since(&before), after, seconds, driver_cpu, driver_busiest })
}

fn outcome(plan: &Plan, tally: &Tally, before: &Snapshot, measured: &Measured) -> Outcome {
    let Measured { cost, after, seconds, driver_cpu, driver_busiest } = measured;
    let cpu_seconds = cost.user_seconds + cost.system_seconds;
    // Counts and bytes are far below 2^53, where an f64 is still exact.
    #[allow(clippy::cast_precision_loss)]
    let server = (!plan.servers.is_empty()).then(|| Servers {
        cpu_seconds,
        user_seconds: cost.user_seconds,
        system_seconds: cost.system_seconds,
        per_cpu_second: tally.delivered as f64 / cpu_seconds.max(0.001),
        rss_before: before.rss(),
        rss_after: after.rss(),
        per_connection: (after.rss() as f64 - before.rss() as f64) / plan.clients as f64,
        processes: cost.processes.clone(),
        gone: cost.gone,
    });
    // A lateness is far below 2^53 microseconds.
    #[allow(clippy::cast_precision_loss)]
    let lag = tally.lag.value_at_quantile(0.99) as f64 / 1000.0;
    Outcome {
        scenario: plan.scenario.name(),
        dialect: plan.speech.name(),
        clients: plan.clients,
        rooms: plan.rooms(),
        rate: plan.rate,
        payload: plan.payload,
        seconds: *seconds,
        sent: tally.sent,
        delivered: tally.delivered,
        expected: tally.expected,
        errors: tally.errors,
        error: tally.error.clone(),
        lost: tally.lost,
        latency_ms: Latency::of(&tally.latency),
        acknowledged_ms: (!tally.acknowledged.is_empty()).then(|| Latency::of(&tally.acknowledged)),
        server,
        driver: Driver::new(driver_cpu.as_secs_f64(), driver_busiest.as_secs_f64() / seconds, lag),
    }
}
