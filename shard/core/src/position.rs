//! A place in a topic's history.

use std::fmt;
use std::sync::Arc;

/// Names one unbroken history of a topic. Two histories never share it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// An epoch of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The message `offset` of the history `epoch`; offsets count from 1 with no gap, 0 is before
/// the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The history.
    pub epoch: Epoch,
    /// The message.
    pub offset: u64,
}
