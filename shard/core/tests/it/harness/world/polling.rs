//! Clients that poll: their shard's shell queues for them, and deposits with their router what they were
//! given, before each answer. When the shard dies the router has that, and nothing that was queued.

use std::collections::BTreeMap;

use bytes::Bytes;
use trunkline_core::{Given, Input, Ledger, Rescue, SessionId, Ticket};

use super::{On, World};
use crate::harness::router::ClientId;

/// All that the world knows of them.
#[derive(Debug, Default)]
pub(super) struct Polling {
    ledgers: BTreeMap<ClientId, Ledger>,
    /// By router and connection.
    deposits: BTreeMap<(usize, SessionId), Deposit>,
    /// How many that came back were found so.
    pub(super) found: u64,
}

#[derive(Debug)]
struct Deposit {
    private_ids: Vec<SessionId>,
    rescue: Rescue,
}

impl World {
    /// The next so many parts of what is queued for a client are its next answer. By asking for it,
    /// it has told that it has had the last one.
    pub(crate) fn answer_poll(&mut self, client: ClientId, parts: usize) {
        let Some(ledger) = self.polling.ledgers.get_mut(&client) else { return };
        let Some(socket) = self.sockets.get(client) else { return };
        ledger.poll();
        (0..parts).for_each(|_| ledger.give());
        let Some((router, shard)) = self.network.slot(socket.trunk) else { return };
        let Some(core) = &self.shards[shard].core else { return };
        let Some(rescue) = ledger.deposit(core.newest_stamp(), socket.kept.settled) else { return };
        let line = socket.session;
        let private_ids = core.private_ids(&line).collect();
        self.polling.deposits.insert((router, line), Deposit { private_ids, rescue });
    }

    /// How many that came back routers had something of.
    pub(crate) fn found(&self) -> u64 {
        self.polling.found
    }

    pub(super) fn begins_to_poll(&mut self, client: ClientId) {
        if self.plan.polls {
            self.polling.ledgers.insert(client, Ledger::default());
        }
    }

    /// A client is gone, and its shard withdraws what it has deposited.
    pub(super) fn polls_no_more(&mut self, client: ClientId, router: usize, line: SessionId) {
        if self.polling.ledgers.remove(&client).is_some() {
            self.polling.deposits.remove(&(router, line));
        }
    }

    /// What is queued for it goes with it to another shard.
    pub(super) fn polls_elsewhere(&mut self, client: ClientId) {
        if let Some(ledger) = self.polling.ledgers.get_mut(&client) {
            *ledger = Ledger::of_moved(ledger.moved());
        }
    }

    /// What its shard has deposited stays.
    pub(super) fn loses_its_shard(&mut self, client: ClientId) {
        self.polling.ledgers.remove(&client);
    }

    pub(super) fn queued(&mut self, client: ClientId, parts: usize) {
        if let Some(ledger) = self.polling.ledgers.get_mut(&client) {
            ledger.queue(parts);
        }
    }

    pub(super) fn given(&mut self, client: ClientId, given: Given) {
        if let Some(ledger) = self.polling.ledgers.get_mut(&client) {
            ledger.note(given);
        }
    }

    /// A shard has nothing more to say for now.
    pub(super) fn end_turn(&mut self) {
        self.polling.ledgers.values_mut().for_each(Ledger::end_turn);
    }

    pub(super) fn checkpointed(&mut self, client: ClientId, state: &Bytes) {
        if let Some(ledger) = self.polling.ledgers.get_mut(&client) {
            ledger.checkpoint(state);
        }
    }

    /// All routers that can be reached are asked for a session.
    pub(super) fn seek(&mut self, shard: usize, ticket: Ticket, private_id: SessionId) {
        let network = &self.network;
        // Whoever is asked gives it away: the session goes on, and there will be newer.
        let asked = self.polling.deposits.extract_if(.., |(router, _), deposit| {
            network.trunk((*router, shard)).is_some() && deposit.private_ids.contains(&private_id)
        });
        let found: Vec<Rescue> = asked.map(|(_, it)| it.rescue).collect();
        self.polling.found += u64::from(!found.is_empty());
        let delay = self.draw(&self.plan.trunk.clone());
        self.input(self.now + delay, shard, On::Nothing, Input::Found { ticket, found });
    }
}
