//! What a token lets its bearer do in which rooms.

use crate::name::RoomId;

/// One entry of the token's `rooms` claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRight {
    /// A room's ID, or a prefix followed by `*`.
    pub pattern: String,
    /// May join.
    pub join: bool,
    /// May publish, joined or not.
    pub publish: bool,
    /// May read the history, joined or not.
    pub history: bool,
}

impl RoomRight {
    fn names(&self, room: &RoomId) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => room.as_str().starts_with(prefix),
            None => room.as_str() == self.pattern,
        }
    }
}

/// The `rooms` claim. Without it every room may be joined, and what is joined may be published
/// to and read. With it only what an entry names is allowed, and `publish` and `history` need
/// no join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(pub Option<Vec<RoomRight>>);

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// Allowed to those who have joined the room.
    IfJoined,
    Forbidden,
}

impl Rights {
    pub(crate) fn join(&self, room: &RoomId) -> Verdict {
        self.verdict(room, |right| right.join, Verdict::Allowed)
    }

    pub(crate) fn publish(&self, room: &RoomId) -> Verdict {
        self.verdict(room, |right| right.publish, Verdict::IfJoined)
    }

    pub(crate) fn history(&self, room: &RoomId) -> Verdict {
        self.verdict(room, |right| right.history, Verdict::IfJoined)
    }

    fn verdict(
        &self,
        room: &RoomId,
        grants: impl Fn(&RoomRight) -> bool,
        without_claim: Verdict,
    ) -> Verdict {
        match &self.0 {
            None => without_claim,
            Some(rights) if rights.iter().any(|right| grants(right) && right.names(room)) => {
                Verdict::Allowed
            }
            Some(_) => Verdict::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: &str) -> RoomId {
        RoomId::parse(id).unwrap()
    }

    #[test]
    fn without_the_claim_every_room_may_be_joined_and_joined_rooms_used() {
        let rights = Rights(None);
        assert_eq!(rights.join(&room("lobby")), Verdict::Allowed);
        assert_eq!(rights.publish(&room("lobby")), Verdict::IfJoined);
        assert_eq!(rights.history(&room("lobby")), Verdict::IfJoined);
    }

    #[test]
    fn with_the_claim_only_what_it_names_is_allowed() {
        let team =
            RoomRight { pattern: "team-*".to_owned(), join: true, publish: true, history: false };
        let news =
            RoomRight { pattern: "news".to_owned(), join: true, publish: false, history: false };
        let rights = Rights(Some(vec![team, news]));
        assert_eq!(rights.join(&room("team-a")), Verdict::Allowed);
        assert_eq!(rights.publish(&room("team-a")), Verdict::Allowed);
        assert_eq!(rights.history(&room("team-a")), Verdict::Forbidden);
        assert_eq!(rights.join(&room("news")), Verdict::Allowed);
        assert_eq!(rights.publish(&room("news")), Verdict::Forbidden);
        assert_eq!(rights.join(&room("newsroom")), Verdict::Forbidden);
    }

    #[test]
    fn an_empty_claim_allows_nothing() {
        assert_eq!(Rights(Some(Vec::new())).join(&room("lobby")), Verdict::Forbidden);
    }
}
