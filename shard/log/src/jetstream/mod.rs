//! The store for those who outgrow one machine: NATS JetStream.
//!
//! All topics are in one stream, each under a subject of its own. A topic stands where the newest
//! message of its subject says (`entry`), and every append names the message that it takes for the
//! newest: the server refuses it if there is another. That is the fence. Opening a topic appends a
//! message too, so that whoever had it before is refused from then on (`open`). A topic that its owner
//! gives to another need not be opened: that one is told what the owner knew of it, and goes on from
//! there if nobody else has written since (`ceding`).
//!
//! An append is one message, or an atomic batch of them if its records don't fit into one. When its answer fails to come, the newest
//! message tells by the append's ID whether it was kept (`publish`). What can't be decided in time is
//! [`LogFailure::Unavailable`](trunkline_core::LogFailure::Unavailable), and opening the topic
//! again sees to it that it can't be kept later either.
//!
//! Retention is exact for those who read, and lazy in the stream (`held`). What no shard looks
//! after any more goes by the stream's own age, which leaves a silent topic a day beyond the age of
//! its messages before its history ends.

mod append;
mod bucket;
mod ceding;
mod connect;
mod desk;
mod entry;
mod health;
mod held;
mod job;
mod load;
mod mark;
mod open;
mod patience;
mod publish;
mod reached;
mod read;
mod server;
mod stream;
mod subject;
mod sync;
mod tidying;

use std::sync::Arc;
use std::task::{Context, Poll};

use rand::rngs::StdRng;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use trunkline_config::store::JetStreamSettings;
use trunkline_core::{LogOutcome, LogRequest, Ticket};

pub use bucket::{BucketError, MapBucket, StoredMap};
pub use connect::ConnectError;
pub use health::{HealthBucket, HealthEntry, HealthError, HealthWatch, Vital};

use crate::TopicLog;
use crate::epoch::new_epoch;
use crate::settings::LogSettings;
use desk::{Command, Desk};
use job::Shared;

/// Opens and reads at once.
const READERS: usize = 64;

/// Topics in a stream of NATS JetStream. It needs a tokio runtime, and works in a task of it until
/// it is dropped.
#[derive(Debug)]
pub struct JetStreamLog {
    /// No longer than there are tickets, and marks of topics whose job is under way.
    commands: UnboundedSender<Command>,
    outcomes: UnboundedReceiver<(Ticket, LogOutcome)>,
    desk: JoinHandle<()>,
}

impl JetStreamLog {
    /// Connects as `shard`, and makes the stream if it isn't there: at most 30 seconds. Appends are known
    /// by what comes from `entropy`: no two logs may be given the same.
    ///
    /// # Errors
    /// [`ConnectError`] says what is wrong and what to do about it.
    pub async fn connect(
        servers: &JetStreamSettings,
        shard: &str,
        settings: LogSettings,
        mut entropy: StdRng,
    ) -> Result<Self, ConnectError> {
        let server = connect::connect(servers, shard, &settings).await?;
        let owner = format!("{shard}/{}", new_epoch(&mut entropy));
        let readers = Semaphore::new(READERS);
        let shared = Arc::new(Shared { server, settings, owner, readers });
        let (commands, submitted) = unbounded_channel();
        let (done, outcomes) = unbounded_channel();
        let desk = tokio::spawn(Desk::new(shared, entropy, done).run(submitted));
        Ok(Self { commands, outcomes, desk })
    }
}

impl TopicLog for JetStreamLog {
    fn submit(&mut self, request: LogRequest, wall_ms: u64) {
        // The task ends only with the runtime.
        let _ = self.commands.send(Command::Request { request, wall_ms });
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, LogOutcome)> {
        match self.outcomes.poll_recv(cx) {
            Poll::Ready(Some(outcome)) => Poll::Ready(outcome),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn sweep(&mut self, wall_ms: u64) {
        let _ = self.commands.send(Command::Sweep { wall_ms });
    }
}

impl Drop for JetStreamLog {
    fn drop(&mut self) {
        self.desk.abort();
    }
}
