//! Which polling clients hear one topic. What a group means is the core's business.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trunkline_core::GroupId;
use trunkline_proto::opaque::Opaque;

#[derive(Default)]
struct Group {
    members: BTreeSet<u64>,
    /// What all of them have had.
    position: Opaque,
}

/// Groups by number, and the groups of each session, so that both ways are short.
#[derive(Default)]
pub(super) struct Groups {
    groups: BTreeMap<GroupId, Group>,
    of: BTreeMap<u64, BTreeSet<GroupId>>,
}

impl Groups {
    /// `position` is what the session has had, and so have all of the group.
    pub(super) fn join(&mut self, group: GroupId, session: u64, position: Option<&Bytes>) {
        self.groups.entry(group).or_default().members.insert(session);
        self.has_had(group, position);
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
        let group = self.groups.get(&group);
        group.into_iter().flat_map(|group| &group.members).copied().collect()
    }

    /// The members have had their topic up to here.
    pub(super) fn has_had(&mut self, group: GroupId, position: Option<&Bytes>) {
        if let (Some(group), Some(position)) = (self.groups.get_mut(&group), position) {
            group.position.replace(position);
        }
    }

    /// What a session has had of each of its groups.
    pub(super) fn positions(&self, session: u64) -> Vec<Bytes> {
        let groups = self.of.get(&session).into_iter().flatten();
        let positions = groups.filter_map(|group| Some(&self.groups.get(group)?.position));
        positions.filter(|position| !position.is_empty()).map(Opaque::to_bytes).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.of.is_empty()
    }

    fn take_out(&mut self, group: GroupId, session: u64) {
        if let Some(Group { members, .. }) = self.groups.get_mut(&group) {
            members.remove(&session);
            if members.is_empty() {
                self.groups.remove(&group);
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
        groups.join(GroupId(7), 1, None);
        groups.join(GroupId(7), 2, None);
        groups.join(GroupId(8), 1, None);
        assert_eq!(groups.members(GroupId(7)), [1, 2]);
        groups.leave(GroupId(7), 1);
        groups.leave(GroupId(7), 1);
        assert_eq!(groups.members(GroupId(7)), [2]);
        groups.leave_all(1);
        groups.leave(GroupId(7), 2);
        assert!(groups.is_empty());
        assert_eq!(groups.members(GroupId(7)), [0; 0]);
    }

    #[test]
    fn a_member_has_had_what_its_groups_have() {
        let mut groups = Groups::default();
        let [a, b] = ["a", "b"].map(|text| Bytes::from_static(text.as_bytes()));
        groups.join(GroupId(7), 1, Some(&a));
        groups.join(GroupId(8), 1, None);
        groups.join(GroupId(9), 2, Some(&a));
        groups.has_had(GroupId(7), None);
        assert_eq!(groups.positions(1), std::slice::from_ref(&a));
        groups.has_had(GroupId(7), Some(&b));
        assert_eq!((groups.positions(1), groups.positions(2)), (vec![b], vec![a]));
        groups.leave(GroupId(7), 1);
        assert!(groups.positions(1).is_empty());
    }
}
