//! Which of a session's attachments to shards speaks. Sessions go from shard to shard and come back, and
//! what an earlier home still says of one may reach an owner late. Each time that a session is attached
//! the count is one higher, and all that homes say to owners of who is in a topic carries it: so an owner
//! knows what is late by that alone.

/// Counts a session's attachments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment(pub u32);

/// The least significant bits count those of one connection. Above them is how often the session was
/// recovered by another: whatever the last connection's router still does with it comes before.
const BITS: u32 = 16;
const MOST: u32 = (1 << BITS) - 1;

impl Attachment {
    /// The `nth` again of a connection, by which a session goes on that was recovered so often.
    pub(crate) fn new(recoveries: u32, nth: u32) -> Self {
        Self((recoveries.min(MOST) << BITS) | nth.min(MOST))
    }

    /// How often the session was recovered by another connection.
    pub(crate) fn recoveries(self) -> u32 {
        self.0 >> BITS
    }

    /// Whether there was none before, of which something might be said.
    pub(crate) fn is_first(self) -> bool {
        self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovered_session_comes_after_all_attachments_of_the_connection_that_it_had() {
        let old = Attachment::new(3, 70_000);
        let recovered = Attachment::new(old.recoveries() + 1, 0);
        assert!(Attachment::new(3, 2) < old && old < recovered);
        assert_eq!(Attachment::new(u32::MAX, 1).recoveries(), MOST);
        assert!(Attachment::new(0, 0).is_first() && !old.is_first());
    }
}
