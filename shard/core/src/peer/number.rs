//! What a question is recognised by when it is answered.

use crate::awaited;

/// A home's number for a request; unique while the link lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    pub(crate) fn new(count: u64, is_awaited: bool) -> Self {
        Self(awaited::number(count, is_awaited))
    }

    /// Whether somebody waits for the reply.
    #[must_use]
    pub fn is_awaited(self) -> bool {
        awaited::is_awaited(self.0)
    }
}

/// An owner's number for handing a private message over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandoverId(pub u64);

impl HandoverId {
    pub(crate) fn new(count: u64, is_awaited: bool) -> Self {
        Self(awaited::number(count, is_awaited))
    }

    /// Whether somebody waits for the report.
    #[must_use]
    pub fn is_awaited(self) -> bool {
        awaited::is_awaited(self.0)
    }
}

/// An owner's number for a message that clients are asked to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatherId(pub u64);
