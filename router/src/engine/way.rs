//! The way of a request to its session: to the shard where that belongs, and on if it has gone
//! elsewhere. Views differ for a moment when sessions move, and who asks too early asks again.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::trunk::Trunk;
use crate::worker::Worker;

/// How long a session may be on its way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before it is asked again where it was not.
const PAUSE: Duration = Duration::from_millis(20);

/// Where to ask next.
pub(super) struct Way<'a> {
    worker: &'a Worker,
    session: &'a [u8],
    asked: Option<Rc<Trunk>>,
    /// When the first shard has sent it on.
    moved: Option<Instant>,
}

impl<'a> Way<'a> {
    pub(super) fn new(worker: &'a Worker, session: &'a [u8]) -> Self {
        Self { worker, session, asked: None, moved: None }
    }

    /// Where to ask first; none if no shard can be asked.
    pub(super) fn begin(&mut self) -> Option<Rc<Trunk>> {
        self.asked = self.worker.trunk_of(self.session);
        self.asked.clone()
    }

    /// Where to ask when the last shard has said that it is at `shard`, or if that is empty, where it
    /// belongs. None when that has gone on for too long.
    pub(super) async fn go_on(&mut self, shard: &str) -> Option<Rc<Trunk>> {
        let is_first = self.moved.is_none();
        let since = *self.moved.get_or_insert_with(Instant::now);
        let mut next = self.find(shard);
        let is_same = next.as_ref().zip(self.asked.as_ref()).is_some_and(|(a, b)| Rc::ptr_eq(a, b));
        if is_same || !is_first {
            if since.elapsed() > PATIENCE {
                return None;
            }
            sleep(PAUSE).await;
            // The view may be another by now.
            next = self.find(shard);
        }
        self.asked.clone_from(&next);
        next
    }

    fn find(&self, shard: &str) -> Option<Rc<Trunk>> {
        let named = (!shard.is_empty()).then(|| self.worker.trunk_to(shard)).flatten();
        named.or_else(|| self.worker.trunk_of(self.session))
    }
}
