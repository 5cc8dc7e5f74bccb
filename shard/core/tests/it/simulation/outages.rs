//! Which pairs of shards could see each other for how long, and which shards have died.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The history of links and processes, as far as presence depends on it.
#[derive(Debug)]
pub(super) struct Outages {
    /// An outage longer than this may let members go.
    longest: Duration,
    /// How long it may take until everybody knows.
    slack: Duration,
    cut_since: BTreeMap<(usize, usize), Duration>,
    last_cut: BTreeMap<(usize, usize), Duration>,
    whole_since: BTreeMap<(usize, usize), Duration>,
    calm_since: BTreeMap<(usize, usize), Duration>,
    crashed: BTreeSet<usize>,
    /// Topics and sessions move: any shard may have to do with any.
    moves: bool,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Outages {
    pub(super) fn new(grace: Duration, slack: Duration, moves: bool) -> Self {
        let longest = grace.saturating_sub(slack);
        Self {
            longest,
            slack,
            cut_since: BTreeMap::new(),
            last_cut: BTreeMap::new(),
            whole_since: BTreeMap::new(),
            calm_since: BTreeMap::new(),
            crashed: BTreeSet::new(),
            moves,
        }
    }

    pub(super) fn cut(&mut self, a: usize, b: usize, now: Duration) {
        let pair = pair(a, b);
        // A link that was whole for too short a time to claim anything was not whole.
        let whole = self.whole_since.get(&pair).filter(|whole| now - **whole < self.slack);
        let before = whole.and_then(|_| self.last_cut.get(&pair)).copied();
        let since = before.unwrap_or(now);
        self.cut_since.insert(pair, since);
        self.last_cut.insert(pair, since);
    }

    pub(super) fn whole(&mut self, a: usize, b: usize, now: Duration) {
        self.whole_since.insert(pair(a, b), now);
        if let Some(since) = self.cut_since.remove(&pair(a, b))
            && now - since > self.longest
        {
            self.calm_since.insert(pair(a, b), now + self.slack);
        }
    }

    pub(super) fn crash(&mut self, shard: usize) {
        self.crashed.insert(shard);
    }

    pub(super) fn has_crashed(&self, shard: usize) -> bool {
        self.crashed.contains(&shard) || (self.moves && !self.crashed.is_empty())
    }

    /// Whether something that lasted like this may let members go.
    pub(super) fn is_long(&self, since: Duration, until: Duration) -> bool {
        until.saturating_sub(since) > self.longest
    }

    /// Whether any link ever broke.
    pub(super) fn were_cut(&self) -> bool {
        !self.last_cut.is_empty()
    }

    /// Whether not everybody may know yet that something is over.
    pub(super) fn is_recent(&self, until: Duration, now: Duration) -> bool {
        now <= until + self.slack
    }

    /// Whether the link of two shards has been whole all the time since then.
    pub(super) fn is_whole_since(&self, a: usize, b: usize, since: Duration) -> bool {
        if self.moves {
            let whole = self.whole_since.values().all(|whole| *whole < since);
            return whole && self.cut_since.is_empty();
        }
        let whole = self.whole_since.get(&pair(a, b)).is_none_or(|whole| *whole < since);
        whole && !self.cut_since.contains_key(&pair(a, b))
    }

    /// Whether nothing that lasted has come between two shards since some time ago.
    pub(super) fn were_together(&self, a: usize, b: usize, since: Duration, now: Duration) -> bool {
        if self.moves {
            let calm = self.calm_since.values().max().copied().unwrap_or_default();
            let out = self.cut_since.values().any(|cut| now - *cut > self.longest);
            return !out && calm.max(since) + self.slack < now;
        }
        let calm = self.calm_since.get(&pair(a, b)).copied().unwrap_or_default();
        let out = self.cut_since.get(&pair(a, b)).is_some_and(|cut| now - *cut > self.longest);
        !out && calm.max(since) + self.slack < now
    }
}
