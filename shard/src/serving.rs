//! Whether a shard serves: what it says of itself, and its way out when it is to go away.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use trunkline_proto::cluster::{Cluster, Outlook};
use trunkline_proto::net::Clock;

use crate::remaining::Remaining;

/// From one line in the log that says what is left to the next.
const SAY: Duration = Duration::from_secs(5);

/// What a shard says of itself. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Serving {
    cluster: Cluster,
    id: String,
    clock: Clock,
    /// Whether the shard is to serve.
    wanted: watch::Sender<bool>,
    remaining: watch::Receiver<Remaining>,
    /// Another shard may have taken over what this one has, behind the fence of a shared log.
    fenced: bool,
}

/// How a shard that goes away gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draining {
    /// What is left.
    Left(Remaining),
    /// Nothing is left, and nothing will come.
    Done,
    /// Nobody else serves.
    Alone,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Serving {
    /// Says that the shard serves, later than anything that is known of it.
    pub(crate) fn begin(
        cluster: Cluster,
        id: String,
        clock: Clock,
        remaining: watch::Receiver<Remaining>,
        fenced: bool,
    ) -> Self {
        cluster.say(&id, false, clock());
        Self { cluster, id, clock, wanted: watch::Sender::new(true), remaining, fenced }
    }

    /// Has the shard go away, or serve again.
    pub(crate) fn want(&self, serves: bool) {
        self.wanted.send_replace(serves);
        self.say(serves);
    }

    fn say(&self, serves: bool) {
        let said = self.cluster.say(&self.id, !serves, (self.clock)());
        info!(shard = self.id, stamp_ms = said.stamp_ms, "this shard {}", verb(serves));
    }

    /// Sees to it that what is known of the shard is what it says: a process before this one may
    /// have said otherwise, by a clock that was ahead, or others may have found it dead. Who was
    /// found dead serves again only when it has let go of everything.
    pub(crate) async fn insist(self) {
        let (mut outlooks, mut remaining) = (self.cluster.subscribe(), self.remaining.clone());
        let mut wanted = self.wanted.subscribe();
        loop {
            let serves = *wanted.borrow_and_update();
            let known = outlooks.borrow_and_update().statuses.of(&self.id);
            let is_mistaken = known.is_none_or(|known| known.away == serves);
            let may_say = {
                let (outlook, left) = (self.cluster.outlook(), remaining.borrow_and_update());
                !serves
                    || !self.fenced
                    || (left.view == outlook.view.id() && left.settled && !left.serves)
            };
            if is_mistaken && may_say {
                warn!(shard = self.id, "others took this shard for what it isn't");
                self.say(serves);
                continue;
            }
            tokio::select! {
                changed = outlooks.changed() => if changed.is_err() { return },
                changed = remaining.changed() => if changed.is_err() { return },
                changed = wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    /// How it gets on; changes may come when [`Serving::changes`] says so.
    pub(crate) fn draining(&self) -> Draining {
        let (outlook, left) = (self.cluster.outlook(), *self.remaining.borrow());
        if !self.has_others(&outlook) {
            Draining::Alone
        } else if left.view == outlook.view.id() && left.is_nothing() {
            Draining::Done
        } else {
            Draining::Left(left)
        }
    }

    /// What to watch while the shard goes away.
    pub(crate) fn changes(&self) -> watch::Receiver<Remaining> {
        self.remaining.clone()
    }

    /// Whether another shard serves.
    fn has_others(&self, outlook: &Outlook) -> bool {
        let others = outlook.view.shards().filter(|(_, shard)| shard.id != self.id);
        others.into_iter().any(|(number, _)| !outlook.view.is_away(number))
    }

    /// Goes away: tells everybody, and waits until nothing is left, or `timeout` is over.
    pub(crate) async fn drain(&self, timeout: Duration) {
        let is_placed = self.cluster.outlook().view.map().index_of(&self.id).is_some();
        if is_placed {
            self.want(false);
        }
        let mut changes = self.changes();
        let over = Instant::now() + timeout;
        let mut say = Instant::now();
        loop {
            let left = match self.draining() {
                Draining::Left(left) => left,
                Draining::Done => return info!("nothing is left of this shard"),
                Draining::Alone => return info!("no other shard serves; ending at once"),
            };
            if Instant::now() >= over {
                let Remaining { topics, connections, .. } = left;
                return warn!(
                    topics,
                    connections, "drain.timeout is over; ending with what is left"
                );
            }
            if Instant::now() >= say {
                let Remaining { topics, connections, .. } = left;
                info!(topics, connections, "moving to other shards what is left");
                say = Instant::now() + SAY;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(say.min(over)) => {}
            }
        }
    }
}

fn verb(serves: bool) -> &'static str {
    if serves { "serves" } else { "goes away" }
}
