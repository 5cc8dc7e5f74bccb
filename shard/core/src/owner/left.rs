//! Who has left a topic of late, and by which of its attachments: what an earlier one still says doesn't
//! bring it back. Sessions that were attached once have no earlier one, and are not in here.

use std::collections::{BTreeMap, VecDeque};

use crate::attachment::Attachment;
use crate::session_id::SessionId;
use crate::time::Mono;

/// Of more the oldest are forgotten.
const MOST: usize = 1024;

/// Sessions that have left one topic.
#[derive(Debug, Default)]
pub(super) struct Left {
    sessions: BTreeMap<SessionId, (Attachment, Mono)>,
    /// Until when each is known, the first first.
    order: VecDeque<(Mono, SessionId)>,
}

impl Left {
    pub(super) fn attachment(&self, session: SessionId) -> Option<Attachment> {
        self.sessions.get(&session).map(|(attachment, _)| *attachment)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (SessionId, Attachment)> {
        self.sessions.iter().map(|(session, (attachment, _))| (*session, *attachment))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn note(&mut self, session: SessionId, attachment: Attachment, until: Mono) {
        if trunkline_planted::is("forget who has left") {
            return;
        }
        let known = self.attachment(session).unwrap_or_default();
        self.sessions.insert(session, (attachment.max(known), until));
        self.order.push_back((until, session));
        while self.order.len() > MOST {
            self.forget_first();
        }
    }

    /// Forgets those whose time is over.
    pub(super) fn expire(&mut self, now: Mono) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((until, session)) = self.order.pop_front() else { return };
        // One that has left again since is in the order once more.
        if self.sessions.get(&session).is_some_and(|(_, known)| *known == until) {
            self.sessions.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: usize) -> SessionId {
        let mut id = [0; 24];
        id[..8].copy_from_slice(&number.to_be_bytes());
        SessionId(id)
    }

    fn at(second: u64) -> Mono {
        Mono(std::time::Duration::from_secs(second))
    }

    #[test]
    fn the_latest_attachment_counts_until_its_time_is_over() {
        let mut left = Left::default();
        left.note(session(1), Attachment(7), at(20));
        left.note(session(1), Attachment(5), at(30));
        left.note(session(2), Attachment(1), at(40));
        left.expire(at(20));
        assert_eq!(left.attachment(session(1)), Some(Attachment(7)));
        left.expire(at(30));
        assert_eq!(left.attachment(session(1)), None);
        assert_eq!(left.all().collect::<Vec<_>>(), [(session(2), Attachment(1))]);
        left.expire(at(40));
        assert!(left.is_empty());
    }

    #[test]
    fn of_too_many_the_first_is_forgotten() {
        let mut left = Left::default();
        for number in 0..=MOST {
            left.note(session(number), Attachment(1), at(60));
        }
        assert_eq!(left.attachment(session(0)), None);
        assert_eq!(left.all().count(), MOST);
    }
}
