//! A disk in memory that does what disks do at the worst moment.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::StorageBackend;

/// What happens after so many operations (from the last plan's end), for so many of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    after: u64,
    count: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Crash,
    Fail,
    Full,
    Lie,
    ShortRead,
}

impl Plan {
    /// The machine stops at this write or sync.
    pub(crate) fn crash(after: u64) -> Self {
        Self { after, count: 1, what: What::Crash }
    }

    /// Writes and syncs fail.
    pub(crate) fn fail(after: u64, count: u64) -> Self {
        Self { after, count, what: What::Fail }
    }

    /// What would take more room fails.
    pub(crate) fn full(after: u64, count: u64) -> Self {
        Self { after, count, what: What::Full }
    }

    /// Syncs say that they have been done, and haven't.
    pub(crate) fn lie(after: u64, count: u64) -> Self {
        Self { after, count, what: What::Lie }
    }

    /// Reads fail, after so many.
    pub(crate) fn short_reads(after: u64, count: u64) -> Self {
        Self { after, count, what: What::ShortRead }
    }
}

/// A disk that whoever holds it sees the same.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

struct State {
    durable: Vec<u8>,
    visible: Vec<u8>,
    /// What has been done since the last sync.
    unsynced: Vec<Change>,
    plans: VecDeque<Plan>,
    passed: u64,
    operations: u64,
    crashed: bool,
    lied: bool,
    short: bool,
    entropy: StdRng,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }
}

/// What a plan says to an operation.
enum Verdict {
    Go,
    Fail(ErrorKind),
    Lie,
    Crash,
}

impl Disk {
    pub(crate) fn new(seed: u64, plans: Vec<Plan>) -> Self {
        Self(Arc::new(Mutex::new(State {
            durable: Vec::new(),
            visible: Vec::new(),
            unsynced: Vec::new(),
            plans: plans.into(),
            passed: 0,
            operations: 0,
            crashed: false,
            lied: false,
            short: false,
            entropy: StdRng::seed_from_u64(seed),
        })))
    }

    pub(crate) fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// Whether a sync has ever been a lie.
    pub(crate) fn lied(&self) -> bool {
        self.state().lied
    }

    /// Whether a read has been short since this was last asked.
    pub(crate) fn was_short(&self) -> bool {
        std::mem::take(&mut self.state().short)
    }

    /// How many writes and syncs there were.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The machine stops now, wherever it is.
    pub(crate) fn stop(&self) {
        self.state().crash();
    }

    /// The machine starts again.
    pub(crate) fn start(&self) {
        let mut state = self.state();
        state.crashed = false;
        state.visible = state.durable.clone();
    }

    /// Nothing is left of it.
    pub(crate) fn wipe(&self) {
        let mut state = self.state();
        state.durable.clear();
        state.visible.clear();
        state.unsynced.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// All, none or some of what wasn't synced has reached the disk, in any order, and of some
    /// writes only a part.
    fn crash(&mut self) {
        self.crashed = true;
        let odds = [0.0, 0.1, 0.5, 0.9, 1.0][self.entropy.random_range(0..5)];
        for change in std::mem::take(&mut self.unsynced) {
            if !self.entropy.random_bool(odds) {
                continue;
            }
            match change {
                Change::Write(at, data) if self.entropy.random_bool(0.2) => {
                    let part = self.entropy.random_range(0..=data.len());
                    Change::Write(at, data[..part].to_vec()).apply(&mut self.durable);
                }
                change => change.apply(&mut self.durable),
            }
        }
    }

    fn verdict(&mut self, operation: What) -> Verdict {
        if self.crashed {
            return Verdict::Fail(ErrorKind::Other);
        }
        let Some(plan) = self.plans.front().copied() else { return Verdict::Go };
        if (plan.what == What::ShortRead) != (operation == What::ShortRead) {
            return Verdict::Go;
        }
        self.passed += 1;
        if self.passed < plan.after {
            return Verdict::Go;
        }
        if self.passed + 1 >= plan.after + plan.count {
            self.plans.pop_front();
            self.passed = 0;
        }
        match plan.what {
            What::Crash => Verdict::Crash,
            What::Fail => Verdict::Fail(ErrorKind::Other),
            What::Full if operation == What::Full => Verdict::Fail(ErrorKind::StorageFull),
            What::Lie if operation == What::Lie => Verdict::Lie,
            What::Full | What::Lie => Verdict::Go,
            What::ShortRead => Verdict::Fail(ErrorKind::UnexpectedEof),
        }
    }

    fn change(&mut self, change: Change, grows: bool) -> Result<()> {
        self.operations += 1;
        match self.verdict(if grows { What::Full } else { What::Fail }) {
            Verdict::Fail(kind) => return Err(Error::from(kind)),
            Verdict::Crash => {
                self.unsynced.push(change);
                self.crash();
                return Err(Error::other("the machine stops"));
            }
            Verdict::Go | Verdict::Lie => {}
        }
        change.apply(&mut self.visible);
        self.unsynced.push(change);
        Ok(())
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("a disk of this size fits in memory")
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.state().visible.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        if let Verdict::Fail(kind) = state.verdict(What::ShortRead) {
            state.short = true;
            return Err(Error::from(kind));
        }
        let at = place(offset);
        let there = state.visible.get(at..at + out.len());
        out.copy_from_slice(there.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state();
        let grows = place(len) > state.visible.len();
        state.change(Change::Length(place(len)), grows)
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.state();
        state.operations += 1;
        match state.verdict(What::Lie) {
            Verdict::Go => {
                let State { durable, unsynced, .. } = &mut *state;
                unsynced.drain(..).for_each(|change| change.apply(durable));
                Ok(())
            }
            Verdict::Lie => {
                state.lied = true;
                Ok(())
            }
            Verdict::Fail(kind) => Err(Error::from(kind)),
            Verdict::Crash => {
                state.crash();
                Err(Error::other("the machine stops"))
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.state().change(Change::Write(place(offset), data.to_vec()), false)
    }
}
