//! A place in a topic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where one is in a room or an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Names one unbroken history. Offsets of different epochs can't be compared.
    pub epoch: String,
    /// Counts from 1 with no gap; 0 is before the first message.
    pub offset: u64,
}

impl Position {
    /// The position `offset` in `epoch`.
    pub fn new(epoch: impl Into<String>, offset: u64) -> Self {
        Self { epoch: epoch.into(), offset }
    }
}

/// `EPOCH:OFFSET`, as the query's `inbox` takes it.
impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.epoch, self.offset)
    }
}
