//! The way of a request to its session: to the shard where that belongs, and on if it has gone
//! elsewhere. Views differ for a moment when sessions move, and who asks too early asks again; a
//! shard that serves again, or that a map has brought, is told of before there is a trunk to it.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::trunk::Trunk;
use crate::worker::Worker;

/// How long a session may be on its way, or its shard out of reach.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before it is asked again where it was not.
const PAUSE: Duration = Duration::from_millis(20);
/// At how many shards a session is looked for when its own can't be reached.
const LOOKS: usize = 3;

/// Where to ask next.
pub(super) struct Way<'a> {
    worker: &'a Worker,
    session: &'a [u8],
    asked: Option<Rc<Trunk>>,
    /// When it ends, once a shard has sent the request on or could not be asked.
    until: Option<Instant>,
    /// At how many shards the session was looked for that isn't at its own.
    looked: usize,
}

impl<'a> Way<'a> {
    pub(super) fn new(worker: &'a Worker, session: &'a [u8]) -> Self {
        Self { worker, session, asked: None, until: None, looked: 0 }
    }

    /// Where to ask first; none if no shard could be asked for too long.
    pub(super) async fn begin(&mut self) -> Option<Rc<Trunk>> {
        self.reach("").await
    }

    /// Where to ask when the last shard has said that it is at `shard`, or if that is empty, where it
    /// belongs. None when that has gone on for too long.
    pub(super) async fn go_on(&mut self, shard: &str) -> Option<Rc<Trunk>> {
        let is_first = self.until.is_none();
        let until = self.until();
        let next = self.find(shard);
        let is_same = next.as_ref().zip(self.asked.as_ref()).is_some_and(|(a, b)| Rc::ptr_eq(a, b));
        if is_same || !is_first {
            if Instant::now() > until {
                return None;
            }
            // The view may be another after it.
            sleep(PAUSE).await;
        }
        self.reach(shard).await
    }

    /// Waits until there is a trunk to where to ask. A session whose shard has not been there yet is
    /// where it was, which was the next in its order, one that has gone away since, or one behind it.
    async fn reach(&mut self, shard: &str) -> Option<Rc<Trunk>> {
        loop {
            let news = self.worker.trunk_news();
            let mut next = self.find(shard).filter(|trunk| trunk.is_up());
            if next.is_none() && self.looked < LOOKS {
                next = self.worker.trunks_of(self.session).nth(self.looked);
                self.looked += 1;
            }
            if next.is_some() {
                self.asked.clone_from(&next);
                return next;
            }
            timeout_at(self.until(), news).await.ok()?;
        }
    }

    fn until(&mut self) -> Instant {
        *self.until.get_or_insert_with(|| Instant::now() + PATIENCE)
    }

    fn find(&self, shard: &str) -> Option<Rc<Trunk>> {
        let named = (!shard.is_empty()).then(|| self.worker.trunk_to(shard)).flatten();
        let named = named.filter(|trunk| trunk.is_up());
        named.or_else(|| self.worker.trunk_of(self.session))
    }
}
