//! Whether a shard serves: what it says of itself, and its way out when it is to go away.

use std::collections::BTreeSet;
use std::fmt;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use trunkline_core::ShardIndex;
use trunkline_proto::cluster::{Cluster, Outlook};
use trunkline_proto::net::Clock;
use trunkline_proto::watch::{self, Closed};

use crate::driver::Signs;
use crate::health::Word;
use crate::remaining::Remaining;

/// From one line in the log that says what is left to the next.
const SAY: Duration = Duration::from_secs(5);

/// How long a shard that goes away has no link to one that serves until it gives up on them: those
/// who end with it may have gone without a word.
const ALONE: Duration = Duration::from_secs(3);

/// What a shard says of itself. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Serving {
    cluster: Cluster,
    id: String,
    clock: Clock,
    wanted: watch::Sender<Wanted>,
    remaining: watch::Receiver<Remaining>,
    linked: watch::Receiver<BTreeSet<ShardIndex>>,
    /// Another shard may have taken over what this one has, behind the fence of a shared log.
    fenced: bool,
}

/// What a shard is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Serve,
    GoAway,
    /// Go away, and end: there is no way back, for the process goes when nothing is left, or in time.
    End,
}

/// The shard is about to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending;

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
        signs: &Signs,
        fenced: bool,
    ) -> Self {
        cluster.say(&id, false, clock());
        let (remaining, linked) = (signs.remaining.subscribe(), signs.linked.subscribe());
        Self {
            cluster,
            id,
            clock,
            wanted: watch::Sender::new(Wanted::Serve),
            remaining,
            linked,
            fenced,
        }
    }

    /// Has the shard go away, or serve again.
    ///
    /// # Errors
    /// When it has been asked to end, which it does.
    pub(crate) fn want(&self, serves: bool) -> Result<(), Ending> {
        let wanted = if serves { Wanted::Serve } else { Wanted::GoAway };
        self.change(wanted).then_some(()).ok_or(Ending)
    }

    fn change(&self, wanted: Wanted) -> bool {
        let changes = self.wanted.send_if_modified(|now| {
            let goes_on = *now != Wanted::End;
            if goes_on {
                *now = wanted;
            }
            goes_on
        });
        if changes {
            self.say(wanted == Wanted::Serve);
        }
        changes
    }

    fn say(&self, serves: bool) {
        let said = self.cluster.say(&self.id, !serves, (self.clock)());
        info!(shard = self.id, stamp_ms = said.stamp_ms, "this shard {}", verb(serves));
    }

    /// Sees to it that what is known of the shard is what it says: a process before this one may
    /// have said otherwise, by a clock that was ahead, or others may have found it dead. Who was
    /// found dead serves again only when it has let go of everything and its `words` are heard.
    pub(crate) async fn insist(self, mut words: Option<watch::Receiver<Word>>) {
        let (mut outlooks, mut remaining) = (self.cluster.subscribe(), self.remaining.clone());
        let mut wanted = self.wanted.subscribe();
        loop {
            let serves = *wanted.borrow_and_update() == Wanted::Serve;
            let known = outlooks.borrow_and_update().statuses.of(&self.id);
            let is_mistaken = known.is_none_or(|known| known.away == serves);
            let has_nothing = {
                let (outlook, left) = (self.cluster.outlook(), remaining.borrow_and_update());
                left.view == outlook.view.id() && left.settled && !left.serves
            };
            let is_heard = words.as_mut().is_none_or(|it| *it.borrow_and_update() != Word::Unsaid);
            let may_say = !serves || !self.fenced || (has_nothing && is_heard);
            if is_mistaken && may_say {
                warn!(shard = self.id, "others took this shard for what it isn't");
                self.say(serves);
                continue;
            }
            tokio::select! {
                biased;
                changed = outlooks.changed() => if changed.is_err() { return },
                changed = remaining.changed() => if changed.is_err() { return },
                () = changed(words.as_mut()) => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    /// How it gets on; changes may come when [`Serving::changes`] says so.
    pub(crate) fn draining(&self) -> Draining {
        let (outlook, left) = (self.cluster.outlook(), *self.remaining.borrow());
        if self.others(&outlook).next().is_none() {
            Draining::Alone
        } else if left.view == outlook.view.id() && left.is_nothing() {
            Draining::Done
        } else {
            Draining::Left(left)
        }
    }

    /// What to watch while the shard goes away.
    pub(crate) fn changes(&self) -> Changes {
        Changes { remaining: self.remaining.clone(), linked: self.linked.clone() }
    }

    /// Whether there is nobody at the moment who could take over what this shard has.
    pub(crate) fn is_alone(&self) -> bool {
        let (outlook, linked) = (self.cluster.outlook(), self.linked.borrow());
        !self.others(&outlook).any(|other| linked.contains(&other))
    }

    /// The other shards that serve and can't be reached: what is theirs stays until they can.
    pub(crate) fn unreachable(&self) -> Vec<String> {
        let (outlook, linked) = (self.cluster.outlook(), self.linked.borrow());
        let missing = self.others(&outlook).filter(|other| !linked.contains(other));
        missing.map(|other| outlook.name(other.0).to_owned()).collect()
    }

    /// The other shards that serve.
    fn others<'a>(&'a self, outlook: &'a Outlook) -> impl Iterator<Item = ShardIndex> + 'a {
        let view = &outlook.view;
        let others =
            view.shards().filter(|(number, it)| it.id != self.id && !view.is_away(*number));
        others.map(|(number, _)| ShardIndex(number))
    }

    /// Goes away: tells everybody, and waits until nothing is left, or `timeout` is over.
    pub(crate) async fn drain(&self, timeout: Duration) {
        if self.is_alone() {
            return info!("no other shard can take over what this one has; ending at once");
        }
        let is_placed = self.cluster.outlook().view.map().index_of(&self.id).is_some();
        if is_placed {
            self.change(Wanted::End);
        }
        let mut changes = self.changes();
        let over = Instant::now() + timeout;
        let mut say = Instant::now();
        let mut alone_since = None;
        loop {
            let left = match self.draining() {
                Draining::Left(left) => left,
                Draining::Done => return info!("nothing is left of this shard"),
                Draining::Alone => return warn!("no other shard serves any more; ending at once"),
            };
            alone_since = match alone_since {
                _ if !self.is_alone() => None,
                None => Some(Instant::now()),
                since => since,
            };
            if alone_since.is_some_and(|since| since.elapsed() >= ALONE) {
                return warn!("no other shard is there any more; ending with what is left");
            }
            if Instant::now() >= over {
                let Remaining { topics, connections, .. } = left;
                return warn!(
                    topics,
                    connections, "drain.timeout is over; ending with what is left"
                );
            }
            if Instant::now() >= say {
                let Remaining { topics, connections, .. } = left;
                let unreachable = self.unreachable();
                info!(topics, connections, ?unreachable, "moving to other shards what is left");
                say = Instant::now() + SAY;
            }
            let gives_up = alone_since.map_or(over, |since| since + ALONE);
            let next = say.min(over).min(gives_up);
            tokio::select! {
                biased;
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(next) => {}
            }
        }
    }
}

/// What there is to see of a shard that goes away.
pub(crate) struct Changes {
    remaining: watch::Receiver<Remaining>,
    linked: watch::Receiver<BTreeSet<ShardIndex>>,
}

impl Changes {
    /// Waits for the next.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn changed(&mut self) -> Result<(), Closed> {
        let Self { remaining, linked } = self;
        tokio::select! {
            biased;
            changed = remaining.changed() => changed,
            changed = linked.changed() => changed,
        }
    }
}

/// Waits for another word, if there are any.
async fn changed(words: Option<&mut watch::Receiver<Word>>) {
    let changed = match words {
        Some(words) => words.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        pending::<()>().await;
    }
}

fn verb(serves: bool) -> &'static str {
    if serves { "serves" } else { "goes away" }
}

#[cfg(test)]
mod tests;
