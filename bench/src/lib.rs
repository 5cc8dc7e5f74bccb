//! A load tool: many clients in one process, an open loop of messages, and what they cost.
//!
//! It holds the clients' sockets itself, sends each message when its time has come whether or
//! not the last has arrived, and counts latency from that intended moment, so that a server that
//! stands still is not forgiven for what was held back meanwhile. What the servers cost is read
//! from the operating system: the CPU time and the memory of all their processes together.
//!
//! How its clients connect, speak and hear is open to other tools that need many of them.
//!
//! It says when it was itself what was too slow. It deliberately knows nothing of what is inside
//! the servers, so that different ones can be measured by the same work.

mod client;
mod dialect;
mod driver;
mod entry;
mod hub;
mod identity;
mod load;
mod outcome;
mod pace;
mod plan;
mod progress;
mod servers;
mod storm;
mod tally;

pub use client::{Sink, Stream};
pub use dialect::{Dialect, Heard, Say, Stamp, payload};
pub use entry::{Arrival, Entered};
pub use identity::Identity;
pub use outcome::{Driver, Latency, Outcome, Process, Servers};
pub use pace::Pace;
pub use plan::{Plan, Scenario, Speech};
pub use progress::{Progress, Stage};
pub use servers::Selection;

use std::sync::Arc;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A client could not connect or join.
    #[error("client {client} can't get in: {why}")]
    Client {
        /// Its number.
        client: usize,
        /// What went wrong, and what to do.
        why: String,
    },
    /// The processes to be measured could not be read.
    #[error("cannot measure the servers: {0}")]
    Servers(String),
    /// The plan contradicts itself.
    #[error("{0}")]
    Plan(String),
    /// A thread or a runtime could not be had.
    #[error("cannot start the load: {0}")]
    Start(#[from] std::io::Error),
}

/// Carries the plan out and says what came of it. Blocks until it is over; bounded by the plan's
/// durations and the deadlines of its clients.
///
/// # Errors
/// See [`BenchError`]. That servers answer slowly, wrongly or not at all once all clients are in
/// is not an error but an outcome.
pub fn run(plan: &Arc<Plan>, progress: &Arc<Progress>) -> Result<Outcome, BenchError> {
    plan.check()?;
    driver::run(plan, progress)
}
