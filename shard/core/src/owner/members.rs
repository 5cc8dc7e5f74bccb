//! Who is in a topic: sessions, the users they speak for, and the shards that must hear of it.

use std::collections::BTreeSet;

use super::left::Left;
use crate::attachment::Attachment;
use crate::link::ShardIndex;
use crate::name::UserId;
use crate::peer::{Member, UserPresence};
use crate::session_id::SessionId;
use crate::small_map::SmallMap;
use crate::time::Mono;

/// The members of one topic.
#[derive(Debug, Default)]
pub(super) struct Members {
    sessions: SmallMap<SessionId, Standing>,
    users: SmallMap<UserId, u32>,
    /// How many sure members each shard has; what has none is not delivered to.
    subscribers: SmallMap<ShardIndex, u32>,
    doubted: usize,
    left: Option<Box<Left>>,
}

#[derive(Debug)]
struct Standing {
    user: UserId,
    home: ShardIndex,
    /// By which of its attachments it is one.
    attachment: Attachment,
    /// Why it may be gone without us knowing; `None` for a sure member.
    doubt: Option<Doubt>,
}

/// Why a member may be gone without the owner knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Its home can't see its router, since the nth time that there was reason to doubt; the home will
    /// say when to forget it.
    Router(u64),
    /// The link to its home broke, or it arrived, the nth time.
    Link(u64),
    /// Its home has claimed it, and is being brought up to date.
    Claimed,
}

/// What a change means for those who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The user came with its first session, or went with its last.
    User,
    /// Only the number of its sessions changed, or nothing did.
    Nothing,
}

impl Members {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Members that are known to be there.
    pub(super) fn sure(&self) -> usize {
        self.sessions.len() - self.doubted
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// Whether a shard's session is a sure member.
    pub(super) fn contains(&self, home: ShardIndex, session: SessionId) -> bool {
        let standing = self.sessions.get(&session);
        standing.is_some_and(|standing| standing.doubt.is_none() && standing.home == home)
    }

    /// By which of its attachments a session is in.
    pub(super) fn present(&self, session: SessionId) -> Option<Attachment> {
        self.sessions.get(&session).map(|standing| standing.attachment)
    }

    /// The newest of a session's attachments that is known to have been in.
    pub(super) fn attachment(&self, session: SessionId) -> Option<Attachment> {
        self.present(session).max(self.left.as_ref().and_then(|left| left.attachment(session)))
    }

    /// Whether what is said of a session by one of its attachments is late.
    pub(super) fn is_late(&self, session: SessionId, attachment: Attachment) -> bool {
        !trunkline_planted::is("hear who is late")
            && self.attachment(session).is_some_and(|newest| attachment < newest)
    }

    /// A session has left by one of its attachments, which is known for a while.
    pub(super) fn has_left(&mut self, session: SessionId, attachment: Attachment, until: Mono) {
        self.left.get_or_insert_default().note(session, attachment, until);
    }

    /// Who has left of late.
    pub(super) fn left(&self) -> Vec<(SessionId, Attachment)> {
        self.left.as_ref().map(|left| left.all().collect()).unwrap_or_default()
    }

    /// Whether it is known of anybody who has left.
    pub(super) fn remember(&mut self, now: Mono) -> bool {
        if let Some(left) = &mut self.left {
            left.expire(now);
        }
        self.left.take_if(|left| left.is_empty());
        self.left.is_some()
    }

    /// Whether every member is known to be there.
    pub(super) fn are_sure(&self) -> bool {
        self.doubted == 0
    }

    /// The shards that have sure members, in order.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = ShardIndex> {
        self.subscribers.keys().copied()
    }

    /// Whether a shard has sure members.
    pub(super) fn is_subscribed(&self, home: ShardIndex) -> bool {
        self.subscribers.contains_key(&home)
    }

    /// Adds a member, or makes sure of one, wherever it was before.
    pub(super) fn join(&mut self, home: ShardIndex, member: Member) -> Change {
        let Member { session, user, attachment } = member;
        let change = match self.sessions.get_mut(&session) {
            Some(standing) if standing.doubt.is_none() && standing.home == home => {
                standing.attachment = attachment;
                return Change::Nothing;
            }
            Some(standing) => {
                let sure = Standing { user, home, attachment, doubt: None };
                let before = std::mem::replace(standing, sure);
                match before.doubt {
                    Some(_) => self.doubted -= 1,
                    None => self.unsubscribe(before.home),
                }
                Change::Nothing
            }
            None => {
                let connections = self.users.get_or_insert_with(user.clone(), || 0);
                *connections += 1;
                if trunkline_planted::is("count a user twice") {
                    *connections += 1;
                }
                let is_first = *connections == 1;
                let sure = Standing { user, home, attachment, doubt: None };
                self.sessions.insert(session, sure);
                if is_first { Change::User } else { Change::Nothing }
            }
        };
        *self.subscribers.get_or_insert_with(home, || 0) += 1;
        change
    }

    /// Removes a member. Gives its user and whether that was the user's last session.
    pub(super) fn leave(&mut self, session: SessionId) -> Option<(UserId, Change)> {
        let Standing { user, home, attachment: _, doubt } = self.sessions.remove(&session)?;
        match doubt {
            Some(_) => self.doubted -= 1,
            None => self.unsubscribe(home),
        }
        let connections = self.users.get_mut(&user)?;
        *connections -= 1;
        if *connections == 0 {
            self.users.remove(&user);
            return Some((user, Change::User));
        }
        Some((user, Change::Nothing))
    }

    /// A member may be gone. Whether there is such a member.
    pub(super) fn doubt(&mut self, session: SessionId, why: Doubt) -> bool {
        let Some(standing) = self.sessions.get_mut(&session) else { return false };
        if standing.doubt.replace(why).is_none() {
            let home = standing.home;
            self.doubted += 1;
            self.unsubscribe(home);
        }
        true
    }

    /// A home can't see a member's router. If it knows the member by a later attachment, it is its own by
    /// now.
    pub(super) fn suspend(
        &mut self,
        home: ShardIndex,
        session: SessionId,
        by: Attachment,
        nth: u64,
    ) {
        self.doubt(session, Doubt::Router(nth));
        self.is_of(home, session, by);
    }

    fn is_of(&mut self, home: ShardIndex, session: SessionId, by: Attachment) {
        if let Some(standing) = self.sessions.get_mut(&session)
            && standing.doubt.is_some()
            && standing.attachment < by
        {
            (standing.home, standing.attachment) = (home, by);
        }
    }

    /// Another owner had it as a member, who is in doubt since the nth time that there was reason
    /// to. One that is known already by this attachment or a later one stays as it is.
    pub(super) fn arrive(&mut self, home: ShardIndex, member: Member, nth: u64) {
        let Member { session, user, attachment } = member;
        if self.attachment(session).is_some_and(|known| known >= attachment) {
            return;
        }
        if let Some(standing) = self.sessions.get_mut(&session) {
            let before = standing.home;
            (standing.home, standing.attachment) = (home, attachment);
            if standing.doubt.replace(Doubt::Link(nth)).is_none() {
                self.doubted += 1;
                self.unsubscribe(before);
            }
            return;
        }
        *self.users.get_or_insert_with(user.clone(), || 0) += 1;
        self.doubted += 1;
        self.sessions
            .insert(session, Standing { user, home, attachment, doubt: Some(Doubt::Link(nth)) });
    }

    /// Whether a member may be gone since a link broke, or since it arrived.
    pub(super) fn is_doubted(&self, session: SessionId) -> bool {
        let standing = self.sessions.get(&session);
        standing.is_some_and(|it| matches!(it.doubt, Some(Doubt::Link(_))))
    }

    /// All members may be gone, those included who were in doubt before.
    pub(super) fn doubt_all(&mut self, nth: u64) {
        for standing in self.sessions.values_mut() {
            standing.doubt = Some(Doubt::Link(nth));
        }
        self.doubted = self.sessions.len();
        self.subscribers = SmallMap::default();
    }

    /// All members, and by which home.
    pub(super) fn all(&self) -> Vec<(Member, ShardIndex)> {
        let member = |(session, standing): (&SessionId, &Standing)| {
            let Standing { user, home, attachment, doubt: _ } = standing;
            let (session, user, attachment) = (*session, user.clone(), *attachment);
            (Member { session, user, attachment }, *home)
        };
        self.sessions.iter().map(member).collect()
    }

    /// The homes of all members.
    pub(super) fn homes(&self) -> BTreeSet<ShardIndex> {
        self.sessions.values().map(|standing| standing.home).collect()
    }

    /// All members of a shard may be gone, those included whose router it couldn't see. Those
    /// who were in doubt since an earlier break stay so. Whether there was any.
    pub(super) fn doubt_shard(&mut self, home: ShardIndex, nth: u64) -> bool {
        let mut any = false;
        for standing in self.sessions.values_mut().filter(|standing| standing.home == home) {
            any = true;
            match standing.doubt {
                Some(Doubt::Link(_)) => {}
                Some(Doubt::Router(_) | Doubt::Claimed) => standing.doubt = Some(Doubt::Link(nth)),
                None => {
                    standing.doubt = Some(Doubt::Link(nth));
                    self.doubted += 1;
                }
            }
        }
        self.subscribers.remove(&home);
        any
    }

    /// A shard has claimed a member in time; until it hears the topic again the member stays in
    /// doubt, but no grace ends it.
    pub(super) fn claimed(&mut self, home: ShardIndex, session: SessionId, by: Attachment) {
        if let Some(standing) = self.sessions.get_mut(&session)
            && matches!(standing.doubt, Some(Doubt::Link(_)))
        {
            standing.doubt = Some(Doubt::Claimed);
        }
        self.is_of(home, session, by);
    }

    /// The members who have been in doubt since the nth time that there was reason to.
    pub(super) fn doubted_since(&self, nth: u64) -> Vec<SessionId> {
        if self.are_sure() {
            return Vec::new();
        }
        let since = |(session, standing): (&SessionId, &Standing)| {
            let (Doubt::Link(since) | Doubt::Router(since)) = standing.doubt? else { return None };
            (since == nth).then_some(*session)
        };
        self.sessions.iter().filter_map(since).collect()
    }

    /// Users in the order of their names, after `after`, at most `limit`.
    pub(super) fn page(&self, after: Option<&UserId>, limit: usize) -> Vec<UserPresence> {
        self.users
            .after(after)
            .take(limit)
            .map(|(user, connections)| UserPresence {
                user: user.clone(),
                connections: *connections,
            })
            .collect()
    }

    fn unsubscribe(&mut self, home: ShardIndex) {
        if let Some(count) = self.subscribers.get_mut(&home) {
            *count -= 1;
            if *count == 0 {
                self.subscribers.remove(&home);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ShardIndex = ShardIndex(0);
    const B: ShardIndex = ShardIndex(1);

    fn member(number: u8, user: &str) -> Member {
        let user = UserId::parse(user).unwrap();
        Member { session: SessionId([number; 24]), user, attachment: Attachment::default() }
    }

    #[test]
    fn a_user_comes_with_the_first_session_and_goes_with_the_last() {
        let mut members = Members::default();
        assert_eq!(members.join(A, member(1, "alice")), Change::User);
        assert_eq!(members.join(B, member(2, "alice")), Change::Nothing);
        assert_eq!(members.users(), 1);
        assert_eq!(members.leave(SessionId([1; 24])).unwrap().1, Change::Nothing);
        assert_eq!(members.leave(SessionId([2; 24])).unwrap().1, Change::User);
        assert!(members.is_empty());
        assert_eq!(members.leave(SessionId([2; 24])), None);
    }

    #[test]
    fn a_shard_is_delivered_to_while_it_has_a_sure_member() {
        let mut members = Members::default();
        members.join(A, member(1, "alice"));
        members.join(B, member(2, "bob"));
        members.doubt(SessionId([2; 24]), Doubt::Router(1));
        assert_eq!(members.subscribers().collect::<Vec<_>>(), [A]);
        assert!(!members.are_sure());
        members.join(B, member(2, "bob"));
        assert_eq!(members.subscribers().collect::<Vec<_>>(), [A, B]);
        assert!(members.are_sure());
    }

    #[test]
    fn a_member_that_comes_by_another_shard_is_delivered_to_there_alone() {
        let mut members = Members::default();
        members.join(A, member(1, "alice"));
        assert_eq!(members.join(B, member(1, "alice")), Change::Nothing);
        assert_eq!(members.subscribers().collect::<Vec<_>>(), [B]);
        assert_eq!(members.leave(SessionId([1; 24])).unwrap().1, Change::User);
        assert_eq!(members.subscribers().count(), 0);
    }

    #[test]
    fn the_newest_attachment_is_known_of_who_is_in_who_has_left_and_who_arrives() {
        let mut members = Members::default();
        let by = |attachment| Member { attachment: Attachment(attachment), ..member(1, "alice") };
        let (alice, until) = (SessionId([1; 24]), Mono(std::time::Duration::from_secs(1)));
        members.join(A, by(1));
        members.join(B, by(2));
        assert_eq!(members.attachment(alice), Some(Attachment(2)));
        members.arrive(A, by(1), 7);
        assert!(members.contains(B, alice), "what arrives is older");
        members.arrive(A, by(3), 7);
        assert_eq!(members.all(), [(by(3), A)]);
        assert!(members.is_doubted(alice) && members.subscribers().next().is_none());
        members.leave(alice);
        members.has_left(alice, Attachment(3), until);
        members.arrive(B, by(3), 8);
        assert!(members.is_empty(), "it has left since");
        assert_eq!(members.attachment(alice), Some(Attachment(3)));
        assert!(!members.remember(until));
        assert_eq!(members.attachment(alice), None);
    }

    #[test]
    fn who_is_not_claimed_after_a_broken_link_is_found_by_its_break() {
        let mut members = Members::default();
        members.join(B, member(1, "alice"));
        members.join(B, member(2, "bob"));
        assert!(members.doubt_shard(B, 7));
        members.join(B, member(1, "alice"));
        assert_eq!(members.doubted_since(7), [SessionId([2; 24])]);
        assert!(members.doubted_since(6).is_empty());
    }

    #[test]
    fn presence_is_paged_in_the_order_of_names() {
        let mut members = Members::default();
        for (number, user) in ["carol", "alice", "bob"].into_iter().enumerate() {
            members.join(A, member(u8::try_from(number).unwrap(), user));
        }
        let names = |page: Vec<UserPresence>| {
            page.into_iter().map(|it| it.user.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(members.page(None, 2)), ["alice", "bob"]);
        let bob = UserId::parse("bob").unwrap();
        assert_eq!(names(members.page(Some(&bob), 2)), ["carol"]);
    }
}
