//! What is remembered goes from one owner to the next.

use super::{Dedupe, Entry, Key, WINDOW};
use crate::answered::{Answered, FirstAnswer, KnownBy};
use crate::peer::Reply;
use crate::time::Mono;

impl Dedupe {
    /// All that was answered.
    pub(crate) fn answers(&self) -> Vec<Answered> {
        let sequences = self.sessions.iter().flat_map(|(session, window)| {
            let known = |(sequence, entry): &(u64, Entry)| {
                let by = KnownBy::Sequence { session: *session, sequence: *sequence };
                Some(Answered { by, answer: answer(entry)? })
            };
            window.entries.iter().filter_map(known)
        });
        let keys = self.keys.iter().flat_map(|(user, keys)| {
            keys.iter().filter_map(|(Key { text, ephemeral }, (_, entry))| {
                let (user, key, ephemeral) = (user.clone(), text.clone(), *ephemeral);
                let by = KnownBy::Key { user, key, ephemeral };
                Some(Answered { by, answer: answer(entry)? })
            })
        });
        sequences.chain(keys).collect()
    }

    /// Remembers what the owner before has answered.
    pub(crate) fn take_over(&mut self, now: Mono, answers: Vec<Answered>) {
        for Answered { by, answer } in answers {
            let entry = Entry::Done(reply(answer));
            match by {
                KnownBy::Sequence { session, sequence } => {
                    let window = self.window(now, session);
                    if window.place_of(sequence).is_none() && window.entries.len() < WINDOW {
                        window.newest = window.newest.max(sequence);
                        window.entries.push_back((sequence, entry));
                    }
                }
                KnownBy::Key { user, key, ephemeral } => {
                    let key = Key { text: key, ephemeral };
                    if !self.keys.get(&user).is_some_and(|keys| keys.contains_key(&key)) {
                        self.insert_key(now, user, key, entry);
                    }
                }
            }
        }
        self.expire(now);
    }
}

fn answer(entry: &Entry) -> Option<FirstAnswer> {
    match entry {
        Entry::Done(Reply::Published(position)) => Some(FirstAnswer::Published(position.clone())),
        Entry::Done(Reply::Ephemeral) => Some(FirstAnswer::Ephemeral),
        Entry::Done(Reply::Sent(status)) => Some(FirstAnswer::Sent(*status)),
        // Nobody has been answered yet.
        Entry::Pending(_) | Entry::Done(_) => None,
    }
}

fn reply(answer: FirstAnswer) -> Reply {
    match answer {
        FirstAnswer::Published(position) => Reply::Published(position),
        FirstAnswer::Ephemeral => Reply::Ephemeral,
        FirstAnswer::Sent(status) => Reply::Sent(status),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::asker::Asker;
    use crate::dedupe::tests::identity;
    use crate::dedupe::{Identity, Seen};
    use crate::link::Via;
    use crate::peer::{RequestId, SendStatus};
    use crate::position::{Epoch, Position};

    const SPAN: Duration = Duration::from_secs(300);
    const NOW: Mono = Mono(Duration::from_secs(1));

    fn begin(dedupe: &mut Dedupe, now: Mono, identity: &Identity) -> Seen {
        dedupe.begin(now, identity, Asker { via: Via::test(0), request: RequestId(1) })
    }

    #[test]
    fn the_next_owner_answers_repeats_as_the_one_before_did() {
        let mut before = Dedupe::new(SPAN);
        let published = Reply::Published(Position { epoch: Epoch::new("e"), offset: 4 });
        let first = identity(1, 7, Some("k"));
        let offline = identity(1, 8, Some("l"));
        let pending = identity(2, 9, Some("m"));
        for (publish, reply) in
            [(&first, &published), (&offline, &Reply::Sent(SendStatus::Offline))]
        {
            begin(&mut before, NOW, publish);
            before.settle(publish, reply);
        }
        begin(&mut before, NOW, &pending);

        let mut after = Dedupe::new(SPAN);
        after.take_over(NOW, before.answers());
        for again in [identity(1, 7, None), identity(3, 1, Some("k"))] {
            let seen = begin(&mut after, NOW, &again);
            assert!(matches!(seen, Seen::Done(reply) if reply == published), "{again:?}");
        }
        let seen = begin(&mut after, NOW, &identity(1, 8, None));
        assert!(matches!(seen, Seen::Done(Reply::Sent(SendStatus::Offline))));
        assert!(matches!(begin(&mut after, NOW, &identity(3, 2, Some("l"))), Seen::New));
        assert!(matches!(begin(&mut after, NOW, &pending), Seen::New));
    }

    #[test]
    fn what_was_taken_over_is_forgotten_in_time_and_bounded() {
        let mut before = Dedupe::new(SPAN);
        for sequence in 1..=WINDOW as u64 {
            let publish = identity(1, sequence, Some(&format!("{sequence}")));
            begin(&mut before, NOW, &publish);
            before.settle(&publish, &Reply::Ephemeral);
        }
        let mut after = Dedupe::new(SPAN);
        let last = identity(1, WINDOW as u64 + 1, None);
        begin(&mut after, NOW, &last);
        after.settle(&last, &Reply::Ephemeral);
        after.take_over(NOW, before.answers());
        after.take_over(NOW, before.answers());
        assert_eq!(after.answers().len(), 2 * WINDOW);
        assert!(matches!(begin(&mut after, NOW, &last), Seen::Done(_)));
        after.expire(NOW + SPAN);
        assert!(after.is_empty());
    }
}
