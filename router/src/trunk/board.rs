//! Which trunks of the whole router are up: what `/readyz`, `trunk_up` and whoever waits for the
//! router want to know. The only state that workers share; it changes when a trunk breaks or
//! comes back, or the view does, never per message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntGaugeVec;
use trunkline_config::Shard;
use trunkline_proto::cluster::{Cluster, Outlook};
use trunkline_proto::watch;

#[derive(Debug)]
pub(crate) struct Board {
    workers: usize,
    cluster: Cluster,
    state: Mutex<State>,
    ready: watch::Sender<bool>,
    gauge: IntGaugeVec,
}

#[derive(Debug, Default)]
struct State {
    /// Per shard, by number, how many workers' trunks to it are up.
    up: BTreeMap<u16, usize>,
    /// The shards that the gauge tells of, by ID.
    told: BTreeSet<String>,
    going_away: bool,
}

impl Board {
    pub(crate) fn new(workers: usize, cluster: Cluster, gauge: IntGaugeVec) -> Self {
        let (state, ready) = (Mutex::default(), watch::Sender::new(false));
        let board = Self { workers, cluster, state, ready, gauge };
        board.refresh();
        board
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// True while every worker's trunk to every shard that serves is up.
    pub(crate) fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Why the router can't serve every key now, if it can't.
    pub(crate) fn hindrance(&self) -> Option<String> {
        let state = self.lock();
        if state.going_away {
            return Some("this router goes away".to_owned());
        }
        let outlook = self.cluster.outlook();
        let missing: Vec<&str> = self.missing(&state, &outlook).map(|it| it.id.as_str()).collect();
        (!missing.is_empty()).then(|| format!("no trunk to {}", missing.join(", ")))
    }

    /// The router takes no new clients any more.
    pub(crate) fn go_away(&self) {
        self.lock().going_away = true;
        self.refresh();
    }

    /// The view has changed.
    pub(super) fn refresh(&self) {
        self.judge(&mut self.lock());
    }

    /// A worker's trunk to a shard has come up.
    pub(super) fn came_up(&self, shard: u16) {
        let mut state = self.lock();
        *state.up.entry(shard).or_default() += 1;
        self.judge(&mut state);
    }

    /// A worker's trunk to a shard has gone down.
    pub(super) fn went_down(&self, shard: u16) {
        let mut state = self.lock();
        let up = state.up.entry(shard).or_default();
        *up = up.saturating_sub(1);
        self.judge(&mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_up(&self, state: &State, shard: u16) -> bool {
        state.up.get(&shard).is_some_and(|up| *up >= self.workers)
    }

    /// The shards that serve and that not every worker reaches.
    fn missing<'a>(
        &'a self,
        state: &'a State,
        outlook: &'a Outlook,
    ) -> impl Iterator<Item = &'a Shard> {
        let view = &outlook.view;
        let missing = |number: &u16| !view.is_away(*number) && !self.is_up(state, *number);
        view.shards().filter(move |(number, _)| missing(number)).map(|(_, shard)| shard)
    }

    fn judge(&self, state: &mut State) {
        let outlook = self.cluster.outlook();
        let mut shards = BTreeSet::new();
        for (number, shard) in outlook.view.shards() {
            let up = self.is_up(state, number);
            self.gauge.with_label_values(&[&shard.id]).set(i64::from(up));
            shards.insert(shard.id.clone());
        }
        for gone in state.told.difference(&shards) {
            // An error is a gauge that is gone already.
            let _ = self.gauge.remove_label_values(&[gone]);
        }
        state.told = shards;
        let ready = !state.going_away && self.missing(state, &outlook).next().is_none();
        self.ready.send_if_modified(|told| std::mem::replace(told, ready) != ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::testing::{cluster, map};
    use prometheus::Opts;
    use prometheus::core::Collector;
    use trunkline_config::ShardStatus;

    fn board(workers: usize) -> (Board, Cluster, IntGaugeVec) {
        let gauge = IntGaugeVec::new(Opts::new("up", "up"), &["shard"]).expect("a gauge");
        let cluster = cluster(&["a", "b"]);
        (Board::new(workers, cluster.clone(), gauge.clone()), cluster, gauge)
    }

    #[test]
    fn a_router_is_ready_when_every_worker_reaches_every_shard() {
        let (board, _, gauge) = board(2);
        let ready = board.readiness();
        for shard in [0, 0, 1] {
            board.came_up(shard);
        }
        assert!(!*ready.borrow());
        assert_eq!(board.hindrance().as_deref(), Some("no trunk to b"));
        assert_eq!(gauge.with_label_values(&["a"]).get(), 1);
        board.came_up(1);
        assert!(*ready.borrow());
        assert_eq!(board.hindrance(), None);
        board.went_down(0);
        assert!(!*ready.borrow());
        assert_eq!(gauge.with_label_values(&["a"]).get(), 0);
    }

    #[test]
    fn shards_that_are_away_or_in_no_map_are_not_missed_and_new_ones_are() {
        let (board, cluster, gauge) = board(1);
        let ready = board.readiness();
        board.came_up(0);
        let status = |stamp_ms, away| ShardStatus { shard: "b".to_owned(), stamp_ms, away };
        cluster.learn(&status(1, true));
        board.refresh();
        assert!(*ready.borrow());
        cluster.learn(&status(2, false));
        board.refresh();
        assert_eq!(board.hindrance().as_deref(), Some("no trunk to b"));
        cluster.take_map(map(2, &["c", "a"])).expect("newer");
        board.refresh();
        assert_eq!(board.hindrance().as_deref(), Some("no trunk to c"));
        assert_eq!(gauge.collect()[0].get_metric().len(), 2);
        board.came_up(2);
        assert!(*ready.borrow());
    }

    #[test]
    fn a_router_that_goes_away_is_never_ready() {
        let (board, ..) = board(1);
        board.came_up(0);
        board.came_up(1);
        board.go_away();
        board.came_up(1);
        assert!(!*board.readiness().borrow());
        assert_eq!(board.hindrance().as_deref(), Some("this router goes away"));
    }
}
