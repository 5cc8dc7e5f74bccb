//! Which sessions have changed to a WebSocket: a late poll of theirs is a bad request, not that
//! of an unknown session. Only so many are remembered; of the rest it is said that they are
//! unknown, which ends a client's polling as well.

use std::collections::{BTreeSet, VecDeque};

use trunkline_core::SessionId;

/// Changes that are remembered. A late poll comes within seconds.
const REMEMBERED: usize = 4096;

#[derive(Default)]
pub(super) struct Former {
    order: VecDeque<SessionId>,
    known: BTreeSet<SessionId>,
}

impl Former {
    pub(super) fn remember(&mut self, id: SessionId) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, id: &SessionId) -> bool {
        self.known.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> SessionId {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        SessionId(bytes)
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut former = Former::default();
        (0..=REMEMBERED).for_each(|number| former.remember(id(number)));
        former.remember(id(REMEMBERED));
        assert!(!former.contains(&id(0)));
        assert!(former.contains(&id(1)) && former.contains(&id(REMEMBERED)));
        assert_eq!(former.order.len(), former.known.len());
    }
}
