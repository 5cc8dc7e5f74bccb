//! In which epochs topics begin that nothing is kept of.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use trunkline_core::{Epoch, Topic};

use crate::epoch::{GONE_MAX, new_epoch};

/// One epoch for all topics that nobody has written to, so that those take no memory, and one of its
/// own for each that has gone to another shard.
#[derive(Debug)]
pub(super) struct Beginnings {
    common: Epoch,
    gone: BTreeMap<Topic, Epoch>,
    entropy: StdRng,
}

impl Beginnings {
    pub(super) fn new(mut entropy: StdRng) -> Self {
        Self { common: new_epoch(&mut entropy), gone: BTreeMap::new(), entropy }
    }

    pub(super) fn of(&self, topic: &Topic) -> &Epoch {
        self.gone.get(topic).unwrap_or(&self.common)
    }

    /// A topic that has gone begins in another epoch, should it come again. The others keep theirs:
    /// clients have been told where they stand.
    pub(super) fn begin_elsewhere(&mut self, topic: &Topic) {
        if self.gone.len() >= GONE_MAX {
            return self.begin_all_elsewhere();
        }
        let epoch = new_epoch(&mut self.entropy);
        self.gone.insert(topic.clone(), epoch);
    }

    pub(super) fn begin_all_elsewhere(&mut self) {
        self.common = new_epoch(&mut self.entropy);
        self.gone.clear();
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use trunkline_core::UserId;

    use super::*;

    fn inbox(number: usize) -> Topic {
        Topic::Inbox(UserId::parse(&format!("user-{number}")).unwrap())
    }

    #[test]
    fn when_too_many_have_gone_all_begin_in_another_epoch() {
        let mut beginnings = Beginnings::new(StdRng::seed_from_u64(7));
        let common = beginnings.of(&inbox(GONE_MAX)).clone();
        for number in 0..GONE_MAX {
            beginnings.begin_elsewhere(&inbox(number));
        }
        let first = beginnings.of(&inbox(0)).clone();
        assert_eq!(beginnings.of(&inbox(GONE_MAX)), &common);
        beginnings.begin_elsewhere(&inbox(GONE_MAX));
        let anew = beginnings.of(&inbox(0));
        assert_eq!(anew, beginnings.of(&inbox(GONE_MAX)));
        assert!(![&common, &first].contains(&anew));
    }
}
