//! From a client's coming to its welcome. What it says meanwhile waits, and so does what its
//! topics deliver: who has been welcomed misses nothing, and hears nothing before.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::socketio::Packet;
use crate::message::Record;
use crate::output::Part;
use crate::position::Epoch;
use crate::topic::Topic;

/// Messages that a client may send before it has been welcomed. Routers let it have fewer
/// unacknowledged.
const EAGER: usize = 128;

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
    /// It comes back to a session: what it missed is asked for.
    pub(super) recovers: bool,
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

    /// What is held in the order in which it is to be passed on: what was missed first, by the
    /// owners' clocks, then what came since.
    pub(super) fn take_held(&mut self) -> Vec<Held> {
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|held| match held {
            Held::Missed(_, _, record) => (0, record.time_ms),
            Held::Live(..) | Held::Gap(..) | Held::Parts(_) => (1, 0),
        });
        held
    }
}
