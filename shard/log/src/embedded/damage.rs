//! What is damaged, as people are told.

use std::fmt;
use std::ops::RangeInclusive;

/// What has become of a topic's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDamage {
    /// Its name, as far as it can be read.
    pub topic: String,
    /// What is wrong.
    pub what: String,
    /// The offsets of the records that there should be; empty if that can't be read.
    pub should_be: RangeInclusive<u64>,
    /// The offsets of those that can be kept without a gap; `None` if none can.
    pub kept: Option<RangeInclusive<u64>>,
    /// Whether the newest record is among what is lost: the topic then begins a new epoch, and
    /// clients that come back begin anew.
    pub new_epoch: bool,
}

impl TopicDamage {
    /// How many records are lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let count = |range: &RangeInclusive<u64>| {
            if range.is_empty() { 0 } else { range.end() - range.start() + 1 }
        };
        count(&self.should_be).saturating_sub(self.kept.as_ref().map_or(0, count))
    }
}

impl fmt::Display for TopicDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, what, should_be, .. } = self;
        write!(f, "{topic}: {what}")?;
        if should_be.is_empty() {
            return Ok(());
        }
        write!(f, ", of {}-{}", should_be.start(), should_be.end())?;
        match &self.kept {
            Some(kept) => write!(f, " {}-{} can be kept", kept.start(), kept.end()),
            None => write!(f, " none can be kept"),
        }
    }
}
