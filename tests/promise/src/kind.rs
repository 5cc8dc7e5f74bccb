//! The kinds of disruption.

use clap::ValueEnum;
use serde::Serialize;

/// Where the shards keep what they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// In the process
    Memory,
    /// In a file of each shard's
    Embedded,
    /// On a NATS server
    #[value(name = "jetstream")]
    JetStream,
}

impl Store {
    /// Its name in `cluster.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Embedded => "embedded",
            Self::JetStream => "jetstream",
        }
    }
}

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing: what clients see by themselves
    #[value(skip)]
    Quiet,
    /// A shard is asked to end, and started again
    Restart,
    /// A shard is killed, and started again
    Kill,
    /// A shard is drained, and resumed
    Drain,
    /// A map with one more shard, which is started
    Add,
    /// A map with one shard less, which ends
    Remove,
    /// A shard is killed and stays dead for a while, so that another takes over
    Dead,
    /// Routers and shards can't reach each other for a while, without being told
    Partition,
}

impl Kind {
    /// What a table calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "nothing",
            Self::Restart => "restart",
            Self::Kill => "kill -9",
            Self::Drain => "drain, resume",
            Self::Add => "add a shard",
            Self::Remove => "remove a shard",
            Self::Dead => "kill -9, dead",
            Self::Partition => "partition",
        }
    }

    /// Whether who polls may be cut off, and must recover: nobody holds a request when its shard
    /// has crashed or can't be reached.
    #[must_use]
    pub fn may_cut_off(self) -> bool {
        match self {
            Self::Kill | Self::Dead | Self::Partition => true,
            Self::Quiet | Self::Restart | Self::Drain | Self::Add | Self::Remove => false,
        }
    }

    /// Whether messages that were acknowledged may be lost, and who polls may have to begin anew:
    /// with what is only in a process's memory, when that process is killed.
    #[must_use]
    pub fn may_lose(self, store: Store) -> bool {
        store == Store::Memory && self == Self::Kill
    }
}
