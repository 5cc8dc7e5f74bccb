//! A worker's trunks: one to each shard of the map, made when the map brings the shard and ended when
//! it is in the map no more and carries nobody any more.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use rand::RngCore;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use trunkline_config::{Digest, Settings, View};

use super::Trunk;
use super::dial::{Dialer, keep_up};
use super::escrow::Escrow;
use super::moves::Moves;
use crate::metrics::Metrics;
use crate::pace::Pace;

/// How long shards may take to hear that the router goes away.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often is looked after those who could not be moved, and trunks that are to end.
const LOOK: Duration = Duration::from_secs(1);

/// A worker's trunks, and the view by which connections are placed on them.
pub(crate) struct Trunks {
    view: RefCell<View>,
    /// By the shard's number.
    entries: RefCell<BTreeMap<u16, Entry>>,
    lines: RefCell<JoinSet<()>>,
    pub(super) dialer: Rc<Dialer>,
    metrics: Rc<Metrics>,
    patience: Duration,
    escrow: Rc<Escrow>,
    entropy: RefCell<StdRng>,
    /// Told when any trunk has come up or gone down.
    changed: Rc<Notify>,
    /// Tells all who wait for a trunk when that, or the view, has changed.
    news: Notify,
}

struct Entry {
    trunk: Rc<Trunk>,
    line: AbortHandle,
}

impl Trunks {
    /// Begins to dial every shard of the map. `patience` is how long connections are held, `recovery` how
    /// long what is deposited of clients that poll.
    pub(crate) fn new(
        dialer: Dialer,
        metrics: Rc<Metrics>,
        patience: Duration,
        recovery: Duration,
        entropy: StdRng,
    ) -> Self {
        let view = dialer.cluster.outlook().view;
        let trunks = Self {
            view: RefCell::new(view.clone()),
            entries: RefCell::default(),
            lines: RefCell::default(),
            dialer: Rc::new(dialer),
            escrow: Rc::new(Escrow::new(recovery, metrics.deposits.clone())),
            metrics,
            patience,
            entropy: RefCell::new(entropy),
            changed: Rc::default(),
            news: Notify::new(),
        };
        trunks.take(view);
        trunks
    }

    pub(crate) fn view(&self) -> Ref<'_, View> {
        self.view.borrow()
    }

    /// The trunk to a shard, by number.
    pub(crate) fn get(&self, shard: u16) -> Option<Rc<Trunk>> {
        self.entries.borrow().get(&shard).map(|entry| Rc::clone(&entry.trunk))
    }

    /// The trunk to the shard to which a digest belongs now.
    pub(crate) fn of(&self, digest: Digest) -> Option<Rc<Trunk>> {
        let shard = self.view().owner_of(digest);
        self.get(shard)
    }

    /// The trunks that are up, in the order in which a digest belongs to their shards, be they away
    /// or not.
    pub(crate) fn in_order(&self, digest: Digest) -> impl Iterator<Item = Rc<Trunk>> {
        let order: Vec<u16> = self.view().order_of(digest).collect();
        order.into_iter().filter_map(|shard| self.get(shard)).filter(|trunk| trunk.is_up())
    }

    /// The trunk to a shard by its ID.
    pub(crate) fn named(&self, shard: &str) -> Option<Rc<Trunk>> {
        let number = self.dialer.cluster.outlook().directory.number_of(shard)?;
        self.get(number)
    }

    pub(super) fn all(&self) -> Vec<Rc<Trunk>> {
        self.entries.borrow().values().map(|entry| Rc::clone(&entry.trunk)).collect()
    }

    /// Goes over to each new view, and moves connections to where they belong, `settings.moves` a
    /// second; for ever.
    pub(crate) async fn follow(&self, settings: &Settings) -> Infallible {
        let mut outlooks = self.dialer.cluster.subscribe();
        // The cluster may have changed since the first view.
        outlooks.mark_changed();
        let mut moves = Moves::new(self.metrics.moving.clone());
        let mut pace = Pace::per_second(settings.moves.sessions);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Ok(()) = outlooks.changed() => {
                    let view = outlooks.borrow_and_update().view.clone();
                    if view.id() != self.view().id() {
                        self.take(view);
                        moves.begin(self);
                    }
                }
                () = self.changed.notified() => moves.resume(self),
                lot = pace.lot(), if moves.are_ready() => moves.step(self, lot),
                _ = looks.tick(), if moves.wait() || self.has_leaving() || self.escrow.has_orphans() => {
                    self.escrow.forget_orphans(Instant::now());
                    moves.resume(self);
                }
            }
            self.end_leaving();
            self.news.notify_waiters();
        }
    }

    /// Told from now on when any trunk has come up or gone down, or the view is another.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    pub(super) fn take(&self, view: View) {
        for (number, _) in view.shards() {
            self.entries.borrow_mut().entry(number).or_insert_with(|| self.begin(number));
        }
        *self.view.borrow_mut() = view;
        self.dialer.board.refresh();
    }

    fn begin(&self, number: u16) -> Entry {
        let (cluster, changed) = (self.dialer.cluster.clone(), Rc::clone(&self.changed));
        let (escrow, metrics) = (Rc::clone(&self.escrow), Rc::clone(&self.metrics));
        let trunk = Trunk::new(number, cluster, self.patience, escrow, changed, metrics);
        let trunk = Rc::new(trunk);
        let seed = self.entropy.borrow_mut().next_u64();
        let line = keep_up(Rc::clone(&trunk), Rc::clone(&self.dialer), seed);
        Entry { trunk, line: self.lines.borrow_mut().spawn_local(line) }
    }

    fn is_leaving(&self, number: u16) -> bool {
        self.view().shard(number).is_none()
    }

    fn has_leaving(&self) -> bool {
        self.entries.borrow().keys().any(|number| self.is_leaving(*number))
    }

    /// Ends the trunks to shards that are in the map no more, once they carry nobody.
    fn end_leaving(&self) {
        self.entries.borrow_mut().retain(|number, entry| {
            let stays = !self.is_leaving(*number) || !entry.trunk.is_idle();
            if !stays && entry.trunk.is_up() {
                entry.trunk.finish();
            } else if !stays {
                entry.line.abort();
            }
            stays
        });
        let mut lines = self.lines.borrow_mut();
        while lines.try_join_next().is_some() {}
    }

    /// Ends all streams after what is queued for the shards.
    pub(crate) async fn finish(&self) {
        let trunks = self.all();
        // What is down has nobody to say goodbye to.
        let up = trunks.iter().filter(|trunk| trunk.is_up()).count();
        trunks.iter().for_each(|trunk| trunk.finish());
        let mut lines = self.lines.take();
        let farewell = async {
            for _ in 0..up {
                lines.join_next().await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}
