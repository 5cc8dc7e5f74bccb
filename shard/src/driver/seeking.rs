//! A client that polled comes back, and its shard is no more: routers are asked what that has deposited.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use trunkline_core::{Given, Input, Mono, Rescue, SessionId, Ticket, TrunkId};
use trunkline_proto::outbox::Haste;
use trunkline_proto::trunk::{Deposit, Down, Found, Seek, down};

use super::Driver;
use super::sending::Gathered;
use crate::wire::{BadItem, decode_rescue, session};

/// How long routers may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// A process that is younger may not have all its routers yet: it waits for them if nobody has anything.
const YOUTH: Duration = Duration::from_secs(2);
/// Sessions that are asked for at once; of more nothing is found.
const MOST: usize = 1024;
/// About what an item takes, in bytes.
const ITEM: usize = 64;

/// What routers are asked.
#[derive(Default)]
pub(crate) struct Seeks {
    last: u64,
    of: BTreeMap<u64, Sought>,
    /// Until when each is waited for, the first first.
    deadlines: VecDeque<(Mono, u64)>,
}

struct Sought {
    ticket: Ticket,
    private_id: SessionId,
    awaited: BTreeSet<TrunkId>,
    found: Vec<Rescue>,
    /// Routers that come meanwhile are asked too.
    waits: bool,
}

impl Sought {
    fn is_complete(&self) -> bool {
        self.awaited.is_empty() && !(self.waits && self.found.is_empty())
    }
}

impl Seeks {
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    fn take_complete(&mut self) -> Option<Sought> {
        let number = self.of.iter().find(|(_, it)| it.is_complete()).map(|(it, _)| *it)?;
        self.of.remove(&number)
    }
}

impl Driver {
    /// Asks all routers.
    pub(super) fn seek(&mut self, gathered: &mut Gathered, ticket: Ticket, private_id: &SessionId) {
        let is_full = self.seeks.of.len() >= MOST;
        let awaited: BTreeSet<TrunkId> = self.trunks.keys().filter(|_| !is_full).copied().collect();
        self.seeks.last += 1;
        let number = self.seeks.last;
        for trunk in &awaited {
            gathered.trunks.entry(*trunk).or_default().add(
                ask(number, private_id),
                ITEM,
                Haste::Now,
            );
        }
        let waits = !is_full && self.now().mono < Mono(YOUTH);
        let (private_id, found) = (*private_id, Vec::new());
        self.seeks.of.insert(number, Sought { ticket, private_id, awaited, found, waits });
        self.seeks.deadlines.push_back((self.now().mono + PATIENCE, number));
        self.tell_found();
    }

    /// Takes what a router has.
    pub(super) fn found(&mut self, trunk: TrunkId, found: Found) -> Result<(), BadItem> {
        let Found { number, deposits } = found;
        let mut rescues = Vec::with_capacity(deposits.len());
        for Deposit { session: id, private_ids: _, state } in deposits {
            let line = session(&id)?;
            rescues.extend(self.opened(&line, decode_rescue(state)?));
        }
        if let Some(sought) = self.seeks.of.get_mut(&number)
            && sought.awaited.remove(&trunk)
        {
            sought.found.extend(rescues);
        }
        self.tell_found();
        Ok(())
    }

    /// A deposit in which each state can be trusted; `None` if one can't.
    fn opened(&self, line: &SessionId, mut rescue: Rescue) -> Option<Rescue> {
        for given in rescue.before.iter_mut().chain(&mut rescue.sent) {
            if let Given::Checkpoint(state) = given {
                *state = self.seal.unseal(line, state)?;
            }
        }
        Some(rescue)
    }

    /// A router worker has come.
    pub(super) fn seek_by(&mut self, trunk: TrunkId) {
        let Some(outbox) = self.trunks.get(&trunk) else { return };
        for (number, sought) in &mut self.seeks.of {
            // One that has no room already is cut for that by others.
            if outbox.push(ask(*number, &sought.private_id), ITEM).is_ok() {
                sought.awaited.insert(trunk);
            }
        }
    }

    /// A router worker is gone.
    pub(super) fn seek_without(&mut self, trunk: TrunkId) {
        for sought in self.seeks.of.values_mut() {
            sought.awaited.remove(&trunk);
        }
        self.tell_found();
    }

    /// Goes on without those who have not answered in time.
    pub(super) fn give_up_seeks(&mut self) {
        let now = self.now().mono;
        while let Some((_, number)) = self.seeks.deadlines.pop_front_if(|(at, _)| *at <= now) {
            if let Some(sought) = self.seeks.of.get_mut(&number) {
                sought.waits = false;
                sought.awaited.clear();
            }
        }
        self.tell_found();
    }

    fn tell_found(&mut self) {
        while let Some(Sought { ticket, found, .. }) = self.seeks.take_complete() {
            self.handle(Input::Found { ticket, found });
        }
    }
}

fn ask(number: u64, private_id: &SessionId) -> Down {
    let seek = Seek { number, private_id: private_id.0.to_vec().into() };
    Down { item: Some(down::Item::Seek(seek)) }
}
