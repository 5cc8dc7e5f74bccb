//! What is to be proved.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_bench::Speech;

use crate::PromiseError;
use crate::kind::{Kind, Store};
use crate::network::Network;

/// How many clients share a room.
const ROOM: usize = 20;

/// What is to be proved.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program `trunkline`.
    pub program: PathBuf,
    /// Where the cluster's files are while it runs, and stay to be looked at. What is there already
    /// is removed.
    pub folder: PathBuf,
    /// Where shards keep what they have.
    pub store: Store,
    /// What is between routers and shards.
    pub network: Network,
    /// How many shards there are at first.
    pub shards: usize,
    /// How many clients.
    pub clients: usize,
    /// How they speak: one after the other.
    pub speeches: Vec<Speech>,
    /// Messages a second, all clients together.
    pub rate: f64,
    /// How long disruptions go on.
    pub time: Duration,
    /// How long nothing is done before the first.
    pub quiet: Duration,
    /// How long nothing is done after each.
    pub settle: Duration,
    /// These disruptions only; empty: all that there can be.
    pub only: Vec<Kind>,
    /// Chooses who speaks and who suffers.
    pub seed: u64,
}

impl Plan {
    /// What is done, in this order.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        if !self.only.is_empty() {
            return self.only.clone();
        }
        let all = [
            Kind::Restart,
            Kind::Kill,
            Kind::Drain,
            Kind::Add,
            Kind::Remove,
            Kind::Dead,
            Kind::Partition,
        ];
        all.into_iter().filter(|kind| self.can(*kind).is_ok()).collect()
    }

    pub(crate) fn rooms(&self) -> usize {
        (self.clients / ROOM).max(1)
    }

    pub(crate) fn check(&self) -> Result<(), PromiseError> {
        let wrong = |what| Err(PromiseError::Plan(what));
        if self.clients < 2 {
            return wrong("there must be two clients at least, who can write to each other");
        }
        if self.shards == 0 || self.speeches.is_empty() {
            return wrong("there must be shards, and a dialect");
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return wrong("the rate must be more than 0");
        }
        if self.network == Network::Namespaces && self.store == Store::JetStream {
            return wrong("there is no NATS server between namespaces");
        }
        self.only.iter().try_for_each(|kind| self.can(*kind))
    }

    fn can(&self, kind: Kind) -> Result<(), PromiseError> {
        match kind {
            Kind::Dead if self.store != Store::JetStream => Err(PromiseError::Plan(
                "only with jetstream another shard takes a dead one's place",
            )),
            Kind::Partition if self.network != Network::Namespaces => {
                Err(PromiseError::Plan("partitions need namespaces: tests/promise/partition"))
            }
            _ => Ok(()),
        }
    }
}
