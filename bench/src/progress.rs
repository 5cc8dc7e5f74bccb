//! How far it is, for whoever watches.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Clients connect and join.
    #[default]
    Connecting,
    /// The load runs, not yet measured.
    WarmingUp,
    /// The load runs and is measured.
    Measuring,
    /// What is on its way is waited for.
    Draining,
}

/// How far it is.
#[derive(Debug, Default)]
pub struct Progress {
    stage: Mutex<Stage>,
    connected: AtomicU64,
    /// Deliveries that are still to come. One thread sends what another's clients receive, so it
    /// is below zero at times.
    outstanding: AtomicI64,
}

impl Progress {
    /// What is going on.
    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients are in.
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self, deliveries: i64) {
        self.outstanding.fetch_add(deliveries, Ordering::Relaxed);
    }

    /// Whether everything has arrived that should.
    pub(crate) fn is_drained(&self) -> bool {
        self.outstanding.load(Ordering::Relaxed) <= 0
    }

    pub(crate) fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub(crate) fn one_more(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }
}
