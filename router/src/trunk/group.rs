//! Who is on the other side of a trunk: its connections, and the groups that hear one topic.
//!
//! What a group means is the shard's business, and so is the position up to which its members have
//! had their topic: it is only kept. A fan walks a dense list; joining and leaving
//! cost the same however large the group is, because each member knows its places in the lists.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use trunkline_proto::opaque::Opaque;

use crate::connection::Connection;

struct Member {
    connection: Rc<Connection>,
    joined: Vec<Place>,
}

/// Where in a group's list a member is.
struct Place {
    group: u64,
    index: usize,
}

/// The connections and groups of one trunk, for as long as its stream lives.
#[derive(Default)]
pub(super) struct Members {
    connections: HashMap<u64, Member>,
    groups: HashMap<u64, Group>,
}

/// Those who hear one topic.
#[derive(Default)]
pub(super) struct Group {
    pub(super) members: Vec<Rc<Connection>>,
    /// What all of them have had.
    position: Opaque,
}

impl Group {
    /// The members have had the topic up to here; an empty position says nothing.
    pub(super) fn has_had(&mut self, position: &[u8]) {
        if !position.is_empty() {
            self.position.replace(position);
        }
    }
}

impl Members {
    pub(super) fn attach(&mut self, connection: &Rc<Connection>) {
        let member = Member { connection: Rc::clone(connection), joined: Vec::new() };
        self.connections.insert(connection.alias(), member);
    }

    /// Takes a connection out of its groups. False if it is not attached.
    pub(super) fn detach(&mut self, connection: u64) -> bool {
        let Some(member) = self.connections.remove(&connection) else { return false };
        for place in member.joined {
            self.take_out(&place);
        }
        true
    }

    /// Takes a connection out of its groups, and gives their positions; none if it is not attached.
    pub(super) fn part_with(&mut self, connection: u64) -> Option<Vec<Bytes>> {
        let member = self.connections.get(&connection)?;
        let groups = member.joined.iter().filter_map(|place| self.groups.get(&place.group));
        let known = groups.map(|group| group.position.to_bytes());
        let keeps = !trunkline_planted::is("move without positions");
        let positions = known.filter(|position| keeps && !position.is_empty()).collect();
        self.detach(connection);
        Some(positions)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Every connection, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Rc<Connection>> {
        self.connections.values().map(|member| &member.connection)
    }

    pub(super) fn get(&self, connection: u64) -> Option<&Rc<Connection>> {
        self.connections.get(&connection).map(|member| &member.connection)
    }

    /// Every connection in order of its number, with the positions of the groups that it was in.
    pub(super) fn part(self) -> impl Iterator<Item = (Rc<Connection>, Vec<Bytes>)> {
        let Self { connections, groups } = self;
        let known = groups.into_iter().filter(|(_, group)| !group.position.is_empty());
        let positions: HashMap<u64, Bytes> =
            known.map(|(number, group)| (number, group.position.to_bytes())).collect();
        let mut connections: Vec<_> = connections.into_iter().collect();
        connections.sort_unstable_by_key(|(number, _)| *number);
        connections.into_iter().map(move |(_, Member { connection, joined })| {
            let of = |place: &Place| positions.get(&place.group).cloned();
            (connection, joined.iter().filter_map(of).collect())
        })
    }

    pub(super) fn group(&mut self, group: u64) -> Option<&mut Group> {
        self.groups.get_mut(&group)
    }

    /// Adds a connection to a group, which the first member makes. A connection that is gone
    /// is not added: the shard will hear so by its Detach. `position` is what it has had, and so
    /// have all of the group.
    pub(super) fn join(&mut self, group: u64, connection: u64, position: &[u8]) {
        let Some(member) = self.connections.get_mut(&connection) else { return };
        let place = member.place(group);
        let joined = self.groups.entry(group).or_default();
        joined.has_had(position);
        if place.is_some() {
            return;
        }
        let members = &mut joined.members;
        // Most are in one group at most.
        if member.joined.is_empty() {
            member.joined.reserve_exact(1);
        }
        member.joined.push(Place { group, index: members.len() });
        members.push(Rc::clone(&member.connection));
    }

    /// Takes a connection out of a group.
    pub(super) fn leave(&mut self, group: u64, connection: u64) {
        let Some(member) = self.connections.get_mut(&connection) else { return };
        if let Some(joined) = member.place(group) {
            let place = member.joined.swap_remove(joined);
            self.take_out(&place);
        }
    }

    /// Takes who is at a place out of the group; the last of the list moves there.
    fn take_out(&mut self, place: &Place) {
        let Some(Group { members, .. }) = self.groups.get_mut(&place.group) else { return };
        members.swap_remove(place.index);
        if members.is_empty() {
            self.groups.remove(&place.group);
        } else if let Some(moved) = members.get(place.index)
            && let Some(moved) = self.connections.get_mut(&moved.alias())
            && let Some(joined) = moved.place(place.group)
        {
            moved.joined[joined].index = place.index;
        }
    }
}

impl Member {
    /// Which of its places is in a group.
    fn place(&self, group: u64) -> Option<usize> {
        self.joined.iter().position(|place| place.group == group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::testing::connection;

    fn members(count: u64) -> Members {
        let mut members = Members::default();
        for number in 1..=count {
            members.attach(&connection(number).0);
        }
        members
    }

    fn numbers(members: &Members, group: u64) -> Vec<u64> {
        let group = members.groups.get(&group);
        let mut numbers: Vec<u64> =
            group.iter().flat_map(|group| &group.members).map(|c| c.number).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn leaving_keeps_the_others_whatever_the_order() {
        let mut members = members(4);
        for connection in 1..=4 {
            members.join(9, connection, b"");
        }
        members.leave(9, 1);
        assert_eq!(numbers(&members, 9), [2, 3, 4]);
        members.leave(9, 4);
        members.leave(9, 4);
        assert_eq!(numbers(&members, 9), [2, 3]);
        members.join(9, 1, b"");
        assert_eq!(numbers(&members, 9), [1, 2, 3]);
    }

    #[test]
    fn joining_twice_is_joining_once() {
        let mut members = members(1);
        members.join(9, 1, b"");
        members.join(9, 1, b"");
        assert_eq!(numbers(&members, 9), [1]);
        members.leave(9, 1);
        assert!(numbers(&members, 9).is_empty());
    }

    #[test]
    fn who_detaches_leaves_all_groups_and_empty_groups_are_dropped() {
        let mut members = members(2);
        members.join(7, 1, b"");
        members.join(8, 1, b"");
        members.join(8, 2, b"");
        assert!(members.detach(1));
        assert!(!members.detach(1));
        assert_eq!(members.groups.len(), 1);
        assert_eq!(numbers(&members, 8), [2]);
        members.join(8, 1, b"");
        assert_eq!(numbers(&members, 8), [2]);
    }

    #[test]
    fn one_that_parts_takes_along_what_it_has_had_and_the_others_stay() {
        let mut members = members(2);
        members.join(7, 1, b"a");
        members.join(8, 1, b"");
        members.join(7, 2, b"");
        members.group(7).expect("a group").has_had(b"b");
        assert_eq!(members.part_with(1), Some(vec![Bytes::from_static(b"b")]));
        assert_eq!(members.part_with(1), None);
        assert_eq!((numbers(&members, 7), members.groups.len()), (vec![2], 1));
        assert!(members.all().map(|connection| connection.number).eq([2]));
    }

    #[test]
    fn who_parts_has_the_newest_position_of_each_group_that_it_is_in() {
        let mut members = members(3);
        members.join(7, 1, b"a");
        members.join(8, 1, b"b");
        members.join(9, 1, b"");
        members.join(7, 2, b"c");
        members.join(7, 2, b"");
        members.group(8).expect("a group").has_had(b"d");
        members.leave(7, 1);
        members.join(6, 99, b"of nobody");
        let mut parted: Vec<_> =
            members.part().map(|(connection, had)| (connection.number, had)).collect();
        parted.sort_unstable();
        assert_eq!(
            parted,
            [(1, vec![Bytes::from_static(b"d")]), (2, vec![Bytes::from_static(b"c")]), (3, vec![])]
        );
    }
}
