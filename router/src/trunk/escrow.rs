//! What shards have deposited of clients that poll: what it takes to go on with them when their shard
//! has died, and they come back to another. The router doesn't understand it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use trunkline_proto::trunk::Deposit;

use crate::metrics::Deposits;

/// What all deposits of a worker may take, in bytes. What finds no room is not kept, and its client begins
/// anew when its shard dies.
const BYTES: usize = 64 << 20;
/// About what one takes beside its state, in bytes.
const DEPOSIT: usize = 256;

/// The deposits of a worker, by shard and session.
pub(super) struct Escrow {
    /// How long a client may take to come back.
    recovery: Duration,
    inside: RefCell<Inside>,
}

struct Inside {
    deposits: BTreeMap<Key, Entry>,
    by_private_id: BTreeMap<Box<[u8]>, BTreeSet<Key>>,
    bytes: usize,
    /// Of the whole router.
    metrics: Deposits,
    /// Those of shards whose trunk is broken, and until when they are kept, the first first.
    orphans: VecDeque<(Instant, Key)>,
}

type Key = (u16, Box<[u8]>);

struct Entry {
    private_ids: Vec<Box<[u8]>>,
    /// A copy: what came with a batch would keep all of its memory.
    state: Box<[u8]>,
    until: Option<Instant>,
}

impl Entry {
    fn size(&self) -> usize {
        DEPOSIT + self.state.len()
    }
}

impl Escrow {
    pub(super) fn new(recovery: Duration, metrics: Deposits) -> Self {
        let (deposits, by_private_id) = (BTreeMap::new(), BTreeMap::new());
        let (bytes, orphans) = (0, VecDeque::new());
        let inside = Inside { deposits, by_private_id, bytes, metrics, orphans };
        Self { recovery, inside: RefCell::new(inside) }
    }

    /// Takes what a shard deposits, in place of what it had of that session; if that is nothing, there
    /// is none any more.
    pub(super) fn take(&self, shard: u16, deposit: &Deposit) {
        let mut inside = self.inside.borrow_mut();
        let key = (shard, Box::from(&*deposit.session));
        inside.remove(&key);
        if deposit.state.is_empty() {
            return;
        }
        let private_ids = deposit.private_ids.iter().map(|id| Box::from(&**id)).collect();
        let state = Box::from(&*deposit.state);
        let entry = Entry { private_ids, state, until: None };
        if inside.bytes + entry.size() <= BYTES {
            inside.insert(key, entry);
        } else {
            inside.metrics.dropped.inc();
        }
    }

    /// Gives away all that there is of a session: it goes on.
    pub(super) fn give(&self, private_id: &[u8]) -> Vec<Deposit> {
        let mut inside = self.inside.borrow_mut();
        let keys = inside.by_private_id.get(private_id).cloned().unwrap_or_default();
        let give = |key: Key| {
            let entry = inside.remove(&key)?;
            let (session, state) = (Bytes::from(key.1), Bytes::from(entry.state));
            Some(Deposit { session, private_ids: Vec::new(), state })
        };
        keys.into_iter().filter_map(give).collect()
    }

    /// The trunk to a shard is broken. If the shard lives it deposits again what it still has.
    pub(super) fn orphan(&self, shard: u16, now: Instant) {
        let Inside { deposits, orphans, .. } = &mut *self.inside.borrow_mut();
        let of_shard = (shard, Box::default())..(shard.saturating_add(1), Box::default());
        for (key, entry) in deposits.range_mut(of_shard).filter(|(_, it)| it.until.is_none()) {
            let until = now + self.recovery;
            entry.until = Some(until);
            orphans.push_back((until, key.clone()));
        }
    }

    pub(super) fn has_orphans(&self) -> bool {
        !self.inside.borrow().orphans.is_empty()
    }

    /// Forgets those whose clients have not come back in time.
    pub(super) fn forget_orphans(&self, now: Instant) {
        let mut inside = self.inside.borrow_mut();
        while let Some((until, key)) = inside.orphans.pop_front_if(|(until, _)| *until <= now) {
            if inside.deposits.get(&key).is_some_and(|entry| entry.until == Some(until)) {
                inside.remove(&key);
            }
        }
    }
}

impl Inside {
    fn insert(&mut self, key: Key, entry: Entry) {
        for id in &entry.private_ids {
            self.by_private_id.entry(id.clone()).or_default().insert(key.clone());
        }
        self.bytes += entry.size();
        self.metrics.bytes.add(gauged(entry.size()));
        self.metrics.kept.inc();
        self.deposits.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.deposits.remove(key)?;
        self.bytes -= entry.size();
        self.metrics.bytes.sub(gauged(entry.size()));
        self.metrics.kept.dec();
        for id in &entry.private_ids {
            if let Some(keys) = self.by_private_id.get_mut(id) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_private_id.remove(id);
                }
            }
        }
        Some(entry)
    }
}

fn gauged(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::metrics::Metrics;

    const RECOVERY: Duration = Duration::from_secs(120);

    fn escrow() -> Escrow {
        let metrics = Metrics::register(&Registry::new()).expect("registers");
        Escrow::new(RECOVERY, metrics.deposits)
    }

    fn deposit(session: &'static str, ids: &[&'static str], state: &str) -> Deposit {
        let bytes = |text: &&'static str| Bytes::from_static(text.as_bytes());
        let private_ids = ids.iter().map(bytes).collect();
        Deposit { session: bytes(&session), private_ids, state: state.to_owned().into() }
    }

    fn given(escrow: &Escrow, id: &str) -> Vec<String> {
        let text = |it: Deposit| String::from_utf8(it.state.to_vec()).expect("a text");
        escrow.give(id.as_bytes()).into_iter().map(text).collect()
    }

    fn is_empty(escrow: &Escrow) -> bool {
        let inside = escrow.inside.borrow();
        assert_eq!(shown(escrow), [inside.deposits.len(), inside.bytes]);
        inside.deposits.is_empty() && inside.by_private_id.is_empty() && inside.bytes == 0
    }

    /// What an operator sees.
    fn shown(escrow: &Escrow) -> [usize; 2] {
        let Deposits { kept, bytes, .. } = &escrow.inside.borrow().metrics;
        [kept, bytes].map(|gauge| usize::try_from(gauge.get()).expect("not below zero"))
    }

    #[test]
    fn the_newest_of_each_shard_is_given_away_once_by_any_of_its_ids() {
        let escrow = escrow();
        escrow.take(1, &deposit("s", &["a"], "old"));
        escrow.take(1, &deposit("s", &["a", "b"], "new"));
        escrow.take(2, &deposit("s", &["b"], "elsewhere"));
        escrow.take(2, &deposit("t", &["c"], "other"));
        assert_eq!(shown(&escrow), [3, 3 * DEPOSIT + "new, elsewhere, other".len() - 4]);
        assert_eq!(given(&escrow, "b"), ["new", "elsewhere"]);
        assert_eq!(shown(&escrow), [1, DEPOSIT + "other".len()]);
        assert_eq!([given(&escrow, "a"), given(&escrow, "b")], [vec![""; 0], vec![""; 0]]);
        escrow.take(2, &deposit("t", &[], ""));
        assert!(is_empty(&escrow));
    }

    #[test]
    fn what_is_of_a_shard_that_is_gone_is_kept_as_long_as_its_clients_may_take() {
        let (escrow, now) = (escrow(), Instant::now());
        escrow.take(1, &deposit("s", &["a"], "gone"));
        escrow.take(1, &deposit("t", &["b"], "back"));
        escrow.take(2, &deposit("u", &["c"], "other"));
        escrow.orphan(1, now);
        escrow.take(1, &deposit("t", &["b"], "again"));
        escrow.forget_orphans(now + RECOVERY - Duration::from_millis(1));
        assert!(escrow.has_orphans());
        escrow.forget_orphans(now + RECOVERY);
        assert!(!escrow.has_orphans());
        let kept = ["a", "b", "c"].map(|id| given(&escrow, id));
        assert_eq!(kept, [vec![""; 0], vec!["again"], vec!["other"]]);
        assert!(is_empty(&escrow));
    }

    #[test]
    fn what_finds_no_room_is_not_kept_and_neither_is_what_was_before() {
        let escrow = escrow();
        escrow.take(1, &deposit("s", &["a"], "small"));
        escrow.take(1, &deposit("s", &["a"], &"x".repeat(BYTES)));
        assert_eq!(escrow.inside.borrow().metrics.dropped.get(), 1);
        assert!(is_empty(&escrow));
    }
}
