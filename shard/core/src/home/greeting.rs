//! From a client's coming to its welcome. What it says meanwhile waits, and so does what its
//! topics deliver: who has been welcomed misses nothing, and hears nothing before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::socketio::Packet;
use crate::message::Record;
use crate::output::Part;
use crate::peer::Recalled;
use crate::position::Epoch;
use crate::session_id::SessionId;
use crate::time::Mono;
use crate::topic::Topic;

/// Messages that a client may send before it has been welcomed. Routers let it have fewer
/// unacknowledged.
const EAGER: usize = 128;

/// What a client that comes back to a session may have missed, all topics together. The welcome
/// carries it in one piece, and a connection takes no more of answers than 4 MiB.
const MISSED_MAX: usize = 2 << 20;

/// Whether the client has had its welcome.
#[derive(Debug)]
pub(super) enum Greeting {
    Due(Box<Due>),
    Done,
}

impl Default for Greeting {
    fn default() -> Self {
        Self::Due(Box::default())
    }
}

/// What waits for the welcome.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// What the client has said, with the sequences.
    pub(super) said: Vec<(u64, Heard)>,
    /// Joins that have not been answered.
    pub(super) joins: u32,
    /// What its topics have delivered.
    pub(super) held: Vec<Held>,
    /// The sequence of the client's own request to connect.
    pub(super) connect: u64,
    /// What the client gave when it connected: a JSON object.
    pub(super) auth: Option<Arc<str>>,
    /// Bytes of what was missed, in `held`.
    pub(super) missed_bytes: usize,
    /// What it comes back to: what it missed since is asked for.
    pub(super) recalled: Option<Box<Recalled>>,
    /// Routers were asked for what it comes back to.
    pub(super) sought: bool,
    /// Until when it waits for topics that can't be reached; then it begins anew.
    pub(super) patience: Mono,
    /// These of them.
    pub(super) out_of_reach: BTreeSet<Topic>,
    /// What the application wants done once it is welcomed: JSON objects.
    pub(super) actions: Vec<String>,
}

/// Something that a client has said.
#[derive(Debug)]
pub(super) enum Heard {
    Native(Bytes),
    Event(Box<Packet>),
}

/// Something that a topic has delivered.
#[derive(Debug)]
pub(super) enum Held {
    /// What was missed before the session was let in.
    Missed(Topic, Epoch, Arc<Record>),
    /// What was kept since.
    Live(Topic, Epoch, Arc<Record>),
    /// What is gone since, up to an offset.
    Gap(Topic, Epoch, u64),
    /// Something that has no place in a topic.
    Parts(Vec<Part>),
}

/// Too much was said before the welcome.
#[derive(Debug)]
pub(super) struct TooEager;

impl Due {
    pub(super) fn hear(&mut self, sequence: u64, heard: Heard) -> Result<(), TooEager> {
        if self.said.len() >= EAGER {
            return Err(TooEager);
        }
        self.said.push((sequence, heard));
        Ok(())
    }

    /// Holds what a session has missed of a topic. False if that is more than can be caught up
    /// with in one go.
    pub(super) fn hold_missed(
        &mut self,
        topic: &Topic,
        epoch: &Epoch,
        missed: Vec<Arc<Record>>,
        session: SessionId,
    ) -> bool {
        for record in missed.into_iter().filter(|record| record.is_heard_by(session)) {
            self.missed_bytes += record.size();
            self.held.push(Held::Missed(topic.clone(), epoch.clone(), record));
        }
        self.missed_bytes <= MISSED_MAX
    }

    /// What is held in the order in which it is to be passed on: what was missed first, by the
    /// owners' clocks, then what came since.
    pub(super) fn take_held(&mut self) -> Vec<Held> {
        // No topic's own order is touched: a record counts as no older than those before it,
        // whatever the clock has done.
        let mut newest: BTreeMap<Topic, u64> = BTreeMap::new();
        let mut held: Vec<((u8, u64), Held)> = std::mem::take(&mut self.held)
            .into_iter()
            .map(|held| match &held {
                Held::Missed(topic, _, record) => {
                    let newest = newest.entry(topic.clone()).or_default();
                    *newest = record.time_ms.max(*newest);
                    ((0, *newest), held)
                }
                Held::Live(..) | Held::Gap(..) | Held::Parts(_) => ((1, 0), held),
            })
            .collect();
        held.sort_by_key(|(place, _)| *place);
        held.into_iter().map(|(_, held)| held).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Arguments, Body};
    use crate::name::UserId;

    #[test]
    fn what_was_missed_is_in_the_order_of_clocks_but_each_topic_in_its_own() {
        let topic = |user| Topic::Inbox(UserId::parse(user).unwrap());
        let record = |offset, time_ms| {
            let arguments = Arguments::new("", 0);
            let body = Body { event: "e".into(), arguments, attachments: Vec::new() };
            let (from, session) = (UserId::parse("bob").unwrap(), SessionId([1; 24]));
            let echo = true;
            Arc::new(Record { offset, time_ms, from, session, sequence: 1, key: None, echo, body })
        };
        let mut due = Due::default();
        let epoch = Epoch::new("e");
        let mut hold = |user, missed| {
            assert!(due.hold_missed(&topic(user), &epoch, missed, SessionId([2; 24])));
        };
        hold("a", vec![record(1, 50), record(2, 10), record(3, 60)]);
        hold("b", vec![record(7, 20), record(8, 55)]);
        let offsets = due.take_held().into_iter().map(|held| match held {
            Held::Missed(_, _, record) => record.offset,
            _ => 0,
        });
        assert_eq!(offsets.collect::<Vec<_>>(), [7, 1, 2, 8, 3]);
    }
}
