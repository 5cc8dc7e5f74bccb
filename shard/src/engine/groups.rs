//! Which polling clients hear one topic. What a group means is the core's business.

use std::collections::{BTreeMap, BTreeSet};

use trunkline_core::GroupId;

/// Groups by number, and the groups of each session, so that both ways are short.
#[derive(Default)]
pub(super) struct Groups {
    members: BTreeMap<GroupId, BTreeSet<u64>>,
    of: BTreeMap<u64, BTreeSet<GroupId>>,
}

impl Groups {
    pub(super) fn join(&mut self, group: GroupId, session: u64) {
        self.members.entry(group).or_default().insert(session);
        self.of.entry(session).or_default().insert(group);
    }

    pub(super) fn leave(&mut self, group: GroupId, session: u64) {
        self.take_out(group, session);
        if let Some(groups) = self.of.get_mut(&session) {
            groups.remove(&group);
            if groups.is_empty() {
                self.of.remove(&session);
            }
        }
    }

    pub(super) fn leave_all(&mut self, session: u64) {
        for group in self.of.remove(&session).unwrap_or_default() {
            self.take_out(group, session);
        }
    }

    pub(super) fn members(&self, group: GroupId) -> Vec<u64> {
        self.members.get(&group).into_iter().flatten().copied().collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.of.is_empty()
    }

    fn take_out(&mut self, group: GroupId, session: u64) {
        if let Some(members) = self.members.get_mut(&group) {
            members.remove(&session);
            if members.is_empty() {
                self.members.remove(&group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_gone_with_its_last_member_and_a_member_with_its_last_group() {
        let mut groups = Groups::default();
        groups.join(GroupId(7), 1);
        groups.join(GroupId(7), 2);
        groups.join(GroupId(8), 1);
        assert_eq!(groups.members(GroupId(7)), [1, 2]);
        groups.leave(GroupId(7), 1);
        groups.leave(GroupId(7), 1);
        assert_eq!(groups.members(GroupId(7)), [2]);
        groups.leave_all(1);
        groups.leave(GroupId(7), 2);
        assert!(groups.is_empty());
        assert_eq!(groups.members(GroupId(7)), [0; 0]);
    }
}
