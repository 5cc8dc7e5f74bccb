//! Removing from the stream what is of no more use, beside everything else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use trunkline_core::Topic;

use super::job::{Chore, Shared};
use super::patience::{Late, Patience};
use super::subject::subject;

/// Removals at once: they must not keep the server from appends.
const AT_ONCE: usize = 4;
/// Removals that wait; those beyond are left to the next one of the topic, or to the stream's own
/// age.
const WAITING: usize = 4096;
/// How long a removal is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// Removals under way.
#[derive(Debug)]
pub(super) struct Tidying {
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
    chores: JoinSet<()>,
}

impl Tidying {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, turns: Arc::new(Semaphore::new(AT_ONCE)), chores: JoinSet::new() }
    }

    /// Begins one. Nobody waits for it.
    pub(super) fn begin(&mut self, topic: &Topic, chore: Chore) {
        while self.chores.try_join_next().is_some() {}
        if self.chores.len() >= WAITING {
            return;
        }
        let (shared, turns, topic) =
            (Arc::clone(&self.shared), Arc::clone(&self.turns), topic.clone());
        self.chores.spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            if carry_out(&shared, &topic, chore).await.is_err() {
                tracing::warn!(%topic, ?chore, "old messages could not be removed yet");
            }
        });
    }
}

async fn carry_out(shared: &Shared, topic: &Topic, chore: Chore) -> Result<(), Late> {
    let server = &shared.server;
    let mut patience = Patience::new(PATIENCE);
    loop {
        let done = match chore {
            Chore::Purge(before) => {
                let subject = subject(server.stream(), topic);
                patience.wait(server.purge(&subject, before)).await?
            }
            Chore::Delete(sequence) => patience.wait(server.delete(sequence)).await?,
        };
        match done {
            Ok(()) => return Ok(()),
            Err(failure) => tracing::debug!(%topic, ?chore, %failure, "a removal is tried again"),
        }
        patience.pause().await?;
    }
}
