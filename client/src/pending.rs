//! The requests that have no reply yet, and how the connection ended once it has.
//!
//! Each ends exactly once: by its reply, by the end of the connection, or by its asker giving up.
//! Its size is bounded by the askers, each of whom waits for one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::{Closed, RequestError};

/// The reply as JSON.
pub(crate) type Outcome = Result<String, RequestError>;

#[derive(Debug, Default)]
struct Waiting {
    last_id: u64,
    askers: HashMap<u64, oneshot::Sender<Outcome>>,
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Mutex<Waiting>,
    closed: watch::Sender<Option<Closed>>,
    stalled: AtomicBool,
}

/// One request's place; dropping it gives up.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    reply: oneshot::Receiver<Outcome>,
    pending: Arc<Pending>,
}

impl Pending {
    // A panic while the lock is held leaves a number and a map that are still consistent.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Result<Ticket, Closed> {
        let mut waiting = self.lock();
        if let Some(closed) = self.closed.borrow().clone() {
            return Err(closed);
        }
        waiting.last_id += 1;
        let id = waiting.last_id;
        let (tell, reply) = oneshot::channel();
        waiting.askers.insert(id, tell);
        Ok(Ticket { id, reply, pending: Arc::clone(self) })
    }

    /// Hands over a reply. One that nobody waits for any more is dropped: its asker was told that
    /// the outcome is not known.
    pub(crate) fn resolve(&self, id: u64, outcome: Outcome) {
        let asker = self.lock().askers.remove(&id);
        if let Some(asker) = asker {
            let _ = asker.send(outcome);
        }
    }

    /// Ends all that wait and all that would.
    pub(crate) fn close(&self, closed: &Closed) {
        let mut waiting = self.lock();
        self.closed.send_replace(Some(closed.clone()));
        for (_, asker) in waiting.askers.drain() {
            let _ = asker.send(Err(closed.clone().into()));
        }
    }

    /// Waits for the end.
    pub(crate) async fn closed(&self) -> Closed {
        let mut closed = self.closed.subscribe();
        match closed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(closed)) => closed.clone(),
            // The sender is `self`, which outlives this.
            Ok(None) | Err(_) => Closed::broken("the connection has ended"),
        }
    }

    /// Notes whether reading from the server waits for the events to be read.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }
}

impl Ticket {
    pub(crate) async fn reply(&mut self) -> Outcome {
        match (&mut self.reply).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Closed::broken("the connection has ended").into()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.lock().askers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_gives_up_leaves_nothing_behind_and_a_late_reply_is_dropped() {
        let pending = Arc::new(Pending::default());
        let given_up = pending.begin().unwrap();
        let id = given_up.id;
        drop(given_up);
        assert!(pending.lock().askers.is_empty());
        pending.resolve(id, Ok("{}".to_owned()));

        let mut other = pending.begin().unwrap();
        assert_ne!(other.id, id);
        pending.resolve(other.id, Ok("{}".to_owned()));
        assert_eq!(other.reply().await.unwrap(), "{}");
    }

    #[tokio::test]
    async fn the_end_reaches_those_who_wait_and_those_who_come_later() {
        let pending = Arc::new(Pending::default());
        let mut waiting = pending.begin().unwrap();
        let end = Closed::broken("unplugged");
        pending.close(&end);
        assert!(
            matches!(waiting.reply().await, Err(RequestError::Closed(closed)) if closed == end)
        );
        assert_eq!(pending.begin().unwrap_err(), end);
        assert_eq!(pending.closed().await, end);
    }
}
