//! The progress of a load, as a bar.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use trunkline_bench::{Plan, Progress, Stage};

/// How often the bar is drawn.
const STEP: Duration = Duration::from_millis(100);

/// A bar that follows the load until it is finished.
pub(crate) struct Bar {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Begins to show the progress; nothing is shown where there is no terminal.
pub(crate) fn watch(plan: &Arc<Plan>, progress: &Arc<Progress>) -> Bar {
    let over = Arc::new(AtomicBool::new(false));
    let (plan, progress, done) = (Arc::clone(plan), Arc::clone(progress), Arc::clone(&over));
    let thread = thread::spawn(move || follow(&plan, &progress, &done));
    Bar { over, thread }
}

impl Bar {
    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.over.store(true, Ordering::Relaxed);
        // A bar that panicked has nothing to say of the load.
        let _ = self.thread.join();
    }
}

fn follow(plan: &Plan, progress: &Progress, over: &AtomicBool) {
    let clients = plan.clients as u64;
    let load = plan.warm_up + plan.duration;
    let bar = ProgressBar::new(clients);
    // The template is a constant, and right.
    if let Ok(style) = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len}{prefix}") {
        bar.set_style(style);
    }
    let mut started = None;
    while !over.load(Ordering::Relaxed) {
        let stage = progress.stage();
        bar.set_message(match stage {
            Stage::Connecting => "connecting",
            Stage::WarmingUp => "warming up",
            Stage::Measuring => "measuring",
            Stage::Draining => "draining",
        });
        if stage == Stage::Connecting {
            bar.set_position(progress.connected());
        } else {
            let started = *started.get_or_insert_with(Instant::now);
            bar.set_prefix(" s");
            bar.set_length(load.as_secs());
            bar.set_position(started.elapsed().min(load).as_secs());
        }
        thread::sleep(STEP);
    }
    bar.finish_and_clear();
}
