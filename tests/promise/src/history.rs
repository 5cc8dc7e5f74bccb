//! What happened: what clients have said, were answered and got, and what was done to the cluster
//! meanwhile. All times are microseconds since the start.

use std::collections::BTreeMap;

use trunkline_bench::Speech;

use crate::kind::Kind;

/// All that happened.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By their number.
    pub(crate) clients: Vec<Client>,
    /// By their number.
    pub(crate) messages: Vec<Message>,
    /// In the order of their beginnings. Each lasts until the next. How long anybody waited before
    /// the first does not count.
    pub(crate) spans: Vec<Span>,
    /// By how much the latest message was said later than it was to be: the fault of this program.
    pub(crate) late: u64,
    /// Why connections have ended, and what clients were told that they should not be, with how
    /// often: for people.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    /// How it speaks.
    pub(crate) speech: Speech,
    /// The room that it is in.
    pub(crate) room: usize,
    /// What it got, in the order in which it came.
    pub(crate) got: Vec<Got>,
    /// When it was away.
    pub(crate) breaks: Vec<Break>,
    /// Who was said to have come or gone.
    pub(crate) announced: Vec<Announced>,
    /// When it was told what no client should be.
    pub(crate) errors: Vec<u64>,
}

/// A message that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Got {
    pub(crate) number: usize,
    pub(crate) at: u64,
}

/// Somebody was said to have come (`is_here`) or gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    pub(crate) at: u64,
    pub(crate) user: usize,
    pub(crate) is_here: bool,
}

/// A connection has ended, and perhaps another has taken its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    pub(crate) from: u64,
    pub(crate) until: Option<u64>,
    /// It is the same session again, in its rooms and with what it missed.
    pub(crate) recovered: bool,
}

/// A message that was said.
#[derive(Debug)]
pub(crate) struct Message {
    /// Which client says it.
    pub(crate) from: usize,
    /// Whom to.
    pub(crate) to: To,
    /// When it was to be said.
    pub(crate) intended: u64,
    /// How often it was answered `unavailable`, and said again.
    pub(crate) refused: u32,
    /// How often it was granted.
    pub(crate) granted: u32,
    /// Its client's connection has ended, so that nobody knows what became of it.
    pub(crate) abandoned: bool,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The members of a room.
    Room(usize),
    /// A client.
    User(usize),
}

/// From here on the cluster suffers this.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) kind: Kind,
    pub(crate) from: u64,
}

impl Client {
    /// A client that has just come.
    #[must_use]
    pub(crate) fn new(speech: Speech, room: usize) -> Self {
        Self {
            speech,
            room,
            got: Vec::new(),
            breaks: Vec::new(),
            announced: Vec::new(),
            errors: Vec::new(),
        }
    }
}

impl Message {
    /// A message that is about to be said.
    #[must_use]
    pub(crate) fn new(from: usize, to: To, intended: u64) -> Self {
        Self { from, to, intended, refused: 0, granted: 0, abandoned: false }
    }

    /// Whether its answer is still to come.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        self.granted == 0 && !self.abandoned
    }
}

impl History {
    /// Which span a time falls into; what is before the first counts to that.
    pub(crate) fn span_at(&self, time: u64) -> usize {
        self.spans.partition_point(|span| span.from <= time).saturating_sub(1)
    }
}
