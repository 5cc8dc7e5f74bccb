//! Repeats are recognised: by the session's own count, and by the client's idempotency key. A
//! repeat gets the answer of the first, and nothing is done again.

mod answers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::asker::Asker;
use crate::deadlines::Deadlines;
use crate::name::UserId;
use crate::peer::{Member, Reply, SendStatus};
use crate::session_id::SessionId;
use crate::time::Mono;

/// Answers that are remembered per session and topic. A router sends again only what was not
/// acknowledged, and it lets a session have fewer messages than this unacknowledged.
pub(crate) const WINDOW: usize = 128;

/// Keys that are remembered per topic; the oldest is forgotten early beyond it.
const KEYS: usize = 100_000;

/// A client's idempotency key. One that was used for a message that is not kept says nothing of a
/// message that is: its answer has no position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) text: Arc<str>,
    pub(crate) ephemeral: bool,
}

/// What a publish is recognised by.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) member: Member,
    pub(crate) sequence: u64,
    pub(crate) key: Option<Key>,
}

/// Whether a publish was here before.
#[derive(Debug)]
pub(crate) enum Seen {
    /// No: do it, and then [`Dedupe::settle`] or [`Dedupe::abandon`] it.
    New,
    /// It is under way; who asked again gets its answer.
    Pending,
    /// This was the answer.
    Done(Reply),
}

#[derive(Debug)]
enum Entry {
    Pending(Vec<Asker>),
    Done(Reply),
}

#[derive(Debug)]
enum Expiring {
    /// With the moment it was taken: a key that came to nothing may have been taken again since.
    Key(UserId, Key, Mono),
    Session(SessionId),
}

#[derive(Debug)]
struct Window {
    used: Mono,
    /// Most often in the order of their sequences.
    entries: VecDeque<(u64, Entry)>,
    /// The highest sequence that was ever in it.
    newest: u64,
}

impl Window {
    /// Where a sequence's answer is: most often at the end, and a new one's nowhere.
    fn place_of(&self, sequence: u64) -> Option<usize> {
        if sequence > self.newest {
            return None;
        }
        self.entries.iter().rposition(|(it, _)| *it == sequence)
    }
}

/// What one topic remembers of its publishers.
#[derive(Debug)]
pub(crate) struct Dedupe {
    span: Duration,
    keys: BTreeMap<UserId, BTreeMap<Key, (Mono, Entry)>>,
    key_count: usize,
    sessions: BTreeMap<SessionId, Window>,
    expiring: Deadlines<Expiring>,
}

impl Dedupe {
    pub(crate) fn new(span: Duration) -> Self {
        Self {
            span,
            keys: BTreeMap::new(),
            key_count: 0,
            sessions: BTreeMap::new(),
            expiring: Deadlines::new(span),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.key_count == 0 && self.sessions.is_empty()
    }

    /// Takes note of a publish; `asker` is answered later if it is a repeat of one under way.
    pub(crate) fn begin(&mut self, now: Mono, identity: &Identity, asker: Asker) -> Seen {
        self.expire(now);
        if let Some(entry) = self.find(identity) {
            return match entry {
                Entry::Pending(askers) => {
                    askers.push(asker);
                    Seen::Pending
                }
                Entry::Done(reply) => Seen::Done(reply.clone()),
            };
        }
        self.insert(now, identity, || Entry::Pending(Vec::new()));
        Seen::New
    }

    /// The log knows of a publish that this owner may not have seen.
    pub(crate) fn remember(&mut self, now: Mono, identity: &Identity, reply: &Reply) {
        if self.find(identity).is_none() {
            self.insert(now, identity, || Entry::Done(reply.clone()));
        }
    }

    fn insert(&mut self, now: Mono, identity: &Identity, entry: impl Fn() -> Entry) {
        let Identity { member, sequence, key } = identity;
        let window = self.window(now, member.session);
        window.used = now;
        window.newest = window.newest.max(*sequence);
        if window.entries.len() == WINDOW {
            window.entries.pop_front();
        }
        window.entries.push_back((*sequence, entry()));
        if let Some(key) = key {
            self.insert_key(now, member.user.clone(), key.clone(), entry());
        }
    }

    /// What is remembered of a session.
    fn window(&mut self, now: Mono, session: SessionId) -> &mut Window {
        let expiring = &mut self.expiring;
        self.sessions.entry(session).or_insert_with(|| {
            expiring.push(now, Expiring::Session(session));
            Window { used: now, entries: VecDeque::new(), newest: 0 }
        })
    }

    /// Remembers a key that isn't known.
    fn insert_key(&mut self, now: Mono, user: UserId, key: Key, entry: Entry) {
        self.keys.entry(user.clone()).or_default().insert(key.clone(), (now, entry));
        self.key_count += 1;
        self.expiring.push(now, Expiring::Key(user, key, now));
    }

    /// The publish has its answer. Gives those who asked again meanwhile. A private message that
    /// reached nobody may be tried again under its key; not by who only repeats the first try,
    /// of which it isn't known that it reached nobody.
    pub(crate) fn settle(&mut self, identity: &Identity, reply: &Reply) -> Vec<Asker> {
        let keeps_key = *reply != Reply::Sent(SendStatus::Offline);
        let done = || Entry::Done(reply.clone());
        self.replace(identity, || Some(done()), || keeps_key.then(done))
    }

    /// The publish came to nothing and may be tried again. Gives those who asked again meanwhile.
    pub(crate) fn abandon(&mut self, identity: &Identity) -> Vec<Asker> {
        self.replace(identity, || None, || None)
    }

    /// A session is over: it will not repeat itself.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Forgets what is older than the window.
    pub(crate) fn expire(&mut self, now: Mono) {
        while self.key_count > KEYS {
            // Beyond the bound the oldest goes early, as if its time had come.
            let Some(oldest) = self.expiring.pop_due(Mono(Duration::MAX)) else { break };
            self.expire_one(now, oldest);
        }
        while let Some(due) = self.expiring.pop_due(now) {
            self.expire_one(now, due);
        }
    }

    fn expire_one(&mut self, now: Mono, due: Expiring) {
        match due {
            Expiring::Key(user, key, taken) => {
                let same = |(at, _): &(Mono, Entry)| *at == taken;
                if self.keys.get(&user).and_then(|keys| keys.get(&key)).is_some_and(same) {
                    self.remove_key(&user, &key);
                }
            }
            Expiring::Session(session) => {
                let Some(window) = self.sessions.get(&session) else { return };
                if now.since(window.used) >= self.span {
                    self.sessions.remove(&session);
                } else {
                    self.expiring.push(now, Expiring::Session(session));
                }
            }
        }
    }

    fn find(&mut self, identity: &Identity) -> Option<&mut Entry> {
        let Identity { member, sequence, key } = identity;
        if let Some(key) = key
            && let Some((_, entry)) =
                self.keys.get_mut(&member.user).and_then(|keys| keys.get_mut(key))
        {
            return Some(entry);
        }
        let window = self.sessions.get_mut(&member.session)?;
        let place = window.place_of(*sequence)?;
        window.entries.get_mut(place).map(|(_, entry)| entry)
    }

    fn replace(
        &mut self,
        identity: &Identity,
        in_window: impl Fn() -> Option<Entry>,
        under_key: impl Fn() -> Option<Entry>,
    ) -> Vec<Asker> {
        let Identity { member, sequence, key } = identity;
        let mut askers = Vec::new();
        let mut take = |entry: Entry| {
            if let Entry::Pending(more) = entry {
                askers.extend(more);
            }
        };
        if let Some(window) = self.sessions.get_mut(&member.session)
            && let Some(index) = window.place_of(*sequence)
        {
            match in_window() {
                Some(entry) => take(std::mem::replace(&mut window.entries[index].1, entry)),
                None => window.entries.remove(index).into_iter().for_each(|(_, it)| take(it)),
            }
        }
        if let Some(key) = key {
            match under_key() {
                Some(entry) => {
                    if let Some((_, slot)) =
                        self.keys.get_mut(&member.user).and_then(|keys| keys.get_mut(key))
                    {
                        take(std::mem::replace(slot, entry));
                    }
                }
                None => self.remove_key(&member.user, key).into_iter().for_each(take),
            }
        }
        askers
    }

    fn remove_key(&mut self, user: &UserId, key: &Key) -> Option<Entry> {
        let keys = self.keys.get_mut(user)?;
        let removed = keys.remove(key)?;
        self.key_count -= 1;
        if keys.is_empty() {
            self.keys.remove(user);
        }
        Some(removed.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachment::Attachment;
    use crate::link::Via;
    use crate::peer::{RequestId, SendStatus};

    const SPAN: Duration = Duration::from_secs(300);
    const DONE: Reply = Reply::Sent(SendStatus::Queued);

    pub(super) fn identity(session: u8, sequence: u64, key: Option<&str>) -> Identity {
        let user = UserId::parse("alice").unwrap();
        let attachment = Attachment::default();
        let member = Member { session: SessionId([session; 24]), user, attachment };
        let key = key.map(|text| Key { text: Arc::from(text), ephemeral: false });
        Identity { member, sequence, key }
    }

    fn asker(request: u64) -> Asker {
        Asker { via: Via::test(0), request: RequestId(request) }
    }

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_repeated_sequence_gets_the_first_answer() {
        let mut dedupe = Dedupe::new(SPAN);
        let publish = identity(1, 7, None);
        assert!(matches!(dedupe.begin(at(0), &publish, asker(1)), Seen::New));
        assert!(matches!(dedupe.begin(at(0), &publish, asker(2)), Seen::Pending));
        assert_eq!(dedupe.settle(&publish, &DONE), [asker(2)]);
        assert!(matches!(dedupe.begin(at(1), &publish, asker(3)), Seen::Done(DONE)));
        assert!(matches!(dedupe.begin(at(1), &identity(2, 7, None), asker(4)), Seen::New));
    }

    #[test]
    fn a_repeated_key_gets_the_first_answer_whatever_the_session() {
        let mut dedupe = Dedupe::new(SPAN);
        let first = identity(1, 7, Some("k"));
        assert!(matches!(dedupe.begin(at(0), &first, asker(1)), Seen::New));
        dedupe.settle(&first, &DONE);
        let again = identity(2, 1, Some("k"));
        assert!(matches!(dedupe.begin(at(299), &again, asker(2)), Seen::Done(DONE)));
        assert!(matches!(dedupe.begin(at(300), &again, asker(3)), Seen::New));
    }

    #[test]
    fn what_came_to_nothing_may_be_tried_again() {
        let mut dedupe = Dedupe::new(SPAN);
        let publish = identity(1, 7, Some("k"));
        dedupe.begin(at(0), &publish, asker(1));
        dedupe.begin(at(0), &publish, asker(2));
        assert_eq!(dedupe.abandon(&publish), [asker(2)]);
        assert!(matches!(dedupe.begin(at(0), &publish, asker(3)), Seen::New));
    }

    #[test]
    fn what_reached_nobody_may_be_tried_again_but_is_not_repeated() {
        let mut dedupe = Dedupe::new(SPAN);
        let offline = Reply::Sent(SendStatus::Offline);
        let first = identity(1, 7, Some("k"));
        dedupe.begin(at(0), &first, asker(1));
        dedupe.settle(&first, &offline);
        let Seen::Done(reply) = dedupe.begin(at(0), &first, asker(2)) else { panic!() };
        assert_eq!(reply, offline);
        assert!(matches!(dedupe.begin(at(0), &identity(1, 8, Some("k")), asker(3)), Seen::New));
    }

    #[test]
    fn nothing_is_left_when_the_window_has_passed() {
        let mut dedupe = Dedupe::new(SPAN);
        for sequence in 1..=3 {
            let publish = identity(1, sequence, Some(&format!("k{sequence}")));
            dedupe.begin(at(sequence), &publish, asker(sequence));
            dedupe.settle(&publish, &DONE);
        }
        dedupe.expire(at(302));
        assert!(!dedupe.is_empty());
        dedupe.expire(at(800));
        assert!(dedupe.is_empty());
    }
}
