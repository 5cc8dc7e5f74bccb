//! What the writing thread is asked for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use bytes::Bytes;
use trunkline_core::{Held, Position, Record, Ticket, Topic};

use super::fault::Fault;
use super::reader::Reading;

/// One request.
pub(super) enum Job {
    Open {
        ticket: Ticket,
        topic: Topic,
        wall_ms: u64,
    },
    Append {
        ticket: Ticket,
        topic: Topic,
        after: Position,
        records: Vec<Arc<Record>>,
        wall_ms: u64,
    },
    Mark {
        topic: Topic,
        handed: u64,
    },
    Import {
        ticket: Ticket,
        topic: Topic,
        held: Box<Held>,
        wall_ms: u64,
    },
    Remove {
        topic: Topic,
    },
    /// To be read when what came before is kept. The way to the reader comes with it, for who has
    /// a way to the other waits for it in the end.
    Ask {
        ticket: Ticket,
        asked: Asked,
        wall_ms: u64,
        reader: Sender<Reading>,
    },
    Note(Bytes),
    Sweep {
        wall_ms: u64,
    },
    /// A read has met a fault.
    Fault(Fault),
}

/// What is read of the store as it was when it was asked for.
#[derive(Clone)]
pub(super) enum Asked {
    List { after: Option<Topic>, limit: usize },
    Export { topic: Topic },
}

impl Job {
    /// What its records take.
    pub(super) fn size(&self) -> usize {
        match self {
            Job::Append { records, .. } => size(records),
            Job::Import { held, .. } => size(&held.records),
            _ => 0,
        }
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        match self {
            Job::Open { ticket, .. }
            | Job::Append { ticket, .. }
            | Job::Import { ticket, .. }
            | Job::Ask { ticket, .. } => Some(*ticket),
            Job::Mark { .. }
            | Job::Remove { .. }
            | Job::Note(_)
            | Job::Sweep { .. }
            | Job::Fault(_) => None,
        }
    }

    /// The topic that is another shard's from now on.
    pub(super) fn removed(&self) -> Option<&Topic> {
        match self {
            Job::Remove { topic } => Some(topic),
            _ => None,
        }
    }

    /// What it changes or looks at.
    fn topic(&self) -> Option<&Topic> {
        match self {
            Job::Open { topic, .. }
            | Job::Append { topic, .. }
            | Job::Mark { topic, .. }
            | Job::Import { topic, .. }
            | Job::Remove { topic } => Some(topic),
            Job::Ask { .. } | Job::Note(_) | Job::Sweep { .. } | Job::Fault(_) => None,
        }
    }
}

/// What records take.
pub(super) fn size(records: &[Arc<Record>]) -> usize {
    records.iter().map(|record| record.size()).sum()
}

/// Takes from a batch what has to wait until the rest is kept: what is exported is read when the
/// transaction is over, and must not have in it what came later.
pub(super) fn later(batch: &mut VecDeque<Job>) -> VecDeque<Job> {
    let mut exported = BTreeSet::new();
    let end = batch.iter().position(|job| match job {
        Job::Ask { asked: Asked::Export { topic }, .. } => {
            exported.insert(topic.clone());
            false
        }
        job => job.topic().is_some_and(|topic| exported.contains(topic)),
    });
    end.map_or_else(VecDeque::new, |end| batch.split_off(end))
}
