//! What this shard has sent to Socket.IO clients and can be recovered, in one sequence.
//!
//! A client gives back one text for all its rooms, and a frame is the same for a whole group. So
//! each kept message is stamped with this shard's own sequence, and a bounded ring remembers
//! which place of which topic each stamp was. The name in front tells the stamps of one process
//! from those of every other.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::core::Io;
use crate::message::Record;
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;

/// Stamps that are remembered. Who comes back with an older one begins anew.
const RING: usize = 64 * 1024;

/// What one of the texts says that clients give back: which process has sent the message, and which
/// of all that it sent it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The process.
    pub stream: u64,
    /// Its stamps count from 1.
    pub number: u64,
}

impl Stamp {
    /// Reads what a client has given back; `None` if no shard has written it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_hex = |part: &&str| part.bytes().all(|it| it.is_ascii_hexdigit());
        let read = |part| Some(part).filter(is_hex).and_then(|it| u64::from_str_radix(it, 16).ok());
        let (stream, number) = text.split_once('.')?;
        Some(Self { stream: read(stream)?, number: read(number)? })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.stream, self.number)
    }
}

/// The stamps.
#[derive(Debug)]
pub(super) struct Stream {
    incarnation: u64,
    name: String,
    /// The newest stamp's number.
    last: u64,
    ring: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    topic: Topic,
    /// None for the word that something can't be had.
    position: Option<Position>,
    /// The one session that it was replayed to; none for a message to all.
    only: Option<SessionId>,
}

/// What a session has of one topic's part of the stream.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) topic: Topic,
    /// Where its part begins: it has had, or didn't want, everything up to here. None if that isn't
    /// known.
    pub(super) base: Option<Position>,
    /// What it has had isn't known if it has only earlier stamps than this one.
    pub(super) since: u64,
    /// Messages to all are for it from the stamp after this one, and up to this one.
    pub(super) live: (u64, u64),
    /// All members had been passed everything up to here when it went.
    pub(super) end: Position,
}

impl Stream {
    /// `incarnation` is another for each process.
    pub(super) fn new(incarnation: u64) -> Self {
        let (name, last, ring) = (format!("{incarnation:x}"), 0, VecDeque::new());
        Self { incarnation, name, last, ring }
    }

    /// The newest stamp as others read it.
    pub(super) fn at(&self) -> Stamp {
        Stamp { stream: self.incarnation, number: self.last }
    }

    /// The newest stamp's number.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The newest stamp.
    pub(super) fn newest(&self) -> String {
        let Self { name, last, .. } = self;
        let mut stamp = String::with_capacity(name.len() + 17);
        stamp.push_str(name);
        stamp.push('.');
        // By hand, as there is one for each message.
        let digits = (67 - last.leading_zeros()).max(4) / 4;
        let digit = |nth| char::from_digit(u32::try_from(last >> (4 * nth) & 15).ok()?, 16);
        stamp.extend((0..digits).rev().filter_map(digit));
        stamp
    }

    /// The stamp of a kept message on its way to all members, or to the `only` one that had missed
    /// it; none where nobody can recover.
    pub(super) fn kept(
        &mut self,
        io: &Io,
        topic: &Topic,
        epoch: &Epoch,
        record: &Record,
        only: Option<SessionId>,
    ) -> Option<String> {
        let position = Position { epoch: epoch.clone(), offset: record.offset };
        io.settings.recovery.map(|_| self.stamp(topic, Some(position), only))
    }

    /// The stamp of the word that something of a topic can't be had. Who has missed it can't
    /// recover: it would believe that it has everything.
    pub(super) fn gap(
        &mut self,
        io: &Io,
        topic: &Topic,
        only: Option<SessionId>,
    ) -> Option<String> {
        io.settings.recovery.map(|_| self.stamp(topic, None, only))
    }

    /// Stamps a message.
    fn stamp(
        &mut self,
        topic: &Topic,
        position: Option<Position>,
        only: Option<SessionId>,
    ) -> String {
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.last += 1;
        self.ring.push_back(Entry { topic: topic.clone(), position, only });
        self.newest()
    }

    /// Whether a client that gives this back has been elsewhere since it was here.
    pub(super) fn is_later(&self, stamp: &str, came_with: Option<&str>) -> bool {
        let is_own = Stamp::parse(stamp).is_some_and(|it| it.stream == self.incarnation);
        !is_own && Some(stamp) != came_with
    }

    /// Up to where `session` has had everything in each topic, if `stamp` is the last it has had, and
    /// `came_with` was when it came. `None` if that can't be said any more.
    pub(super) fn positions(
        &self,
        session: SessionId,
        (stamp, came_with): (Option<&str>, Option<&str>),
        spans: &[Span],
    ) -> Option<Vec<Position>> {
        let read = match stamp {
            // If some other text has been taken for one, what it has had can't be told.
            Some(text) => Some(Stamp::parse(text)?),
            None => None,
        };
        let own = read.filter(|read| read.stream == self.incarnation);
        let Some(Stamp { number, .. }) = own else {
            if stamp.is_some_and(|stamp| self.is_later(stamp, came_with)) {
                return None;
            }
            // It has had nothing of this stream.
            return spans.iter().map(|span| span.base.clone()).collect();
        };
        if spans.iter().any(|span| number < span.since) {
            return None;
        }
        let oldest = self.last + 1 - self.ring.len() as u64;
        if number > self.last || number + 1 < oldest {
            return None;
        }
        let skip = usize::try_from(number + 1 - oldest).ok()?;
        let mut missed: BTreeMap<&Topic, Option<&Position>> = BTreeMap::new();
        let of_topic: BTreeMap<&Topic, &Span> =
            spans.iter().map(|span| (&span.topic, span)).collect();
        for (nth, entry) in (number + 1..).zip(self.ring.iter().skip(skip)) {
            let Some(span) = of_topic.get(&entry.topic) else { continue };
            let is_for_it = match entry.only {
                Some(only) => only == session,
                None => nth > span.live.0 && nth <= span.live.1,
            };
            if is_for_it {
                missed.entry(&span.topic).or_insert(entry.position.as_ref());
            }
        }
        let before = |position: &Position| Position {
            epoch: position.epoch.clone(),
            offset: position.offset.saturating_sub(1),
        };
        let position = |span: &Span| match missed.get(&span.topic) {
            Some(first) => first.map(before),
            None => Some(span.end.clone()),
        };
        spans.iter().map(position).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::UserId;

    const ME: SessionId = SessionId([1; 24]);
    const OTHER: SessionId = SessionId([2; 24]);

    fn topic(user: &str) -> Topic {
        Topic::Inbox(UserId::parse(user).unwrap())
    }

    fn at(offset: u64) -> Position {
        Position { epoch: Epoch::new("e"), offset }
    }

    fn span(user: &str, base: u64, live_from: u64, end: u64) -> Span {
        let (topic, base, live) = (topic(user), Some(at(base)), (live_from, u64::MAX));
        Span { topic, base, since: 0, live, end: at(end) }
    }

    #[test]
    fn what_came_after_the_stamp_was_missed_in_each_topic() {
        let mut stream = Stream::new(7);
        stream.stamp(&topic("a"), Some(at(1)), None);
        let stamp = stream.stamp(&topic("b"), Some(at(5)), None);
        stream.stamp(&topic("a"), Some(at(2)), None);
        stream.stamp(&topic("a"), Some(at(3)), None);
        let spans = [span("a", 0, 0, 9), span("b", 4, 0, 5)];
        assert_eq!(stream.positions(ME, (Some(&stamp), None), &spans), Some(vec![at(1), at(5)]));
    }

    #[test]
    fn who_has_had_no_stamp_has_had_what_its_part_began_with() {
        let stream = Stream::new(7);
        let spans = [span("a", 3, 0, 9)];
        assert_eq!(stream.positions(ME, (None, None), &spans), Some(vec![at(3)]));
        assert_eq!(stream.positions(ME, (None, Some("8.1")), &spans), Some(vec![at(3)]));
        let foreign = (Some("8.1"), Some("8.1"));
        assert_eq!(stream.positions(ME, foreign, &spans), Some(vec![at(3)]));
        assert_eq!(stream.positions(ME, (Some("8.2"), Some("8.1")), &spans), None);
        assert_eq!(stream.positions(ME, (Some("text"), None), &spans), None);
    }

    #[test]
    fn what_was_replayed_to_others_or_came_before_it_was_a_member_was_not_for_it() {
        let mut stream = Stream::new(7);
        let stamp = stream.stamp(&topic("b"), Some(at(1)), None);
        stream.stamp(&topic("a"), Some(at(1)), Some(OTHER));
        stream.stamp(&topic("a"), Some(at(2)), None);
        stream.stamp(&topic("a"), Some(at(1)), Some(ME));
        let replayed = stream.stamp(&topic("a"), Some(at(2)), Some(ME));
        let live_from = stream.last();
        stream.stamp(&topic("a"), Some(at(3)), None);
        let spans = [span("a", 0, live_from, 3)];
        assert_eq!(stream.positions(ME, (Some(&stamp), None), &spans), Some(vec![at(0)]));
        assert_eq!(stream.positions(ME, (Some(&replayed), None), &spans), Some(vec![at(2)]));
    }

    #[test]
    fn what_was_sent_to_others_after_it_went_says_nothing() {
        let mut stream = Stream::new(7);
        let stamp = stream.stamp(&topic("a"), Some(at(1)), None);
        let live = (0, stream.last());
        stream.stamp(&topic("a"), Some(at(4)), None);
        let spans = [Span { live, ..span("a", 0, 0, 1) }];
        assert_eq!(stream.positions(ME, (Some(&stamp), None), &spans), Some(vec![at(1)]));
    }

    #[test]
    fn who_has_not_heard_of_a_gap_can_not_recover_and_who_has_can() {
        let mut stream = Stream::new(7);
        let before = stream.stamp(&topic("a"), Some(at(1)), None);
        let told = stream.stamp(&topic("a"), None, None);
        stream.stamp(&topic("a"), Some(at(9)), None);
        let spans = [span("a", 0, 0, 9)];
        assert_eq!(stream.positions(ME, (Some(&before), None), &spans), None);
        assert_eq!(stream.positions(ME, (Some(&told), None), &spans), Some(vec![at(8)]));
    }

    #[test]
    fn of_who_was_gone_on_with_only_stamps_since_then_say_something() {
        let mut stream = Stream::new(7);
        let before = stream.stamp(&topic("a"), Some(at(1)), None);
        stream.stamp(&topic("b"), Some(at(1)), None);
        let adopted = Span { base: None, since: stream.last(), ..span("a", 0, 0, 9) };
        let after = stream.stamp(&topic("a"), Some(at(2)), Some(ME));
        stream.stamp(&topic("a"), Some(at(3)), Some(ME));
        let spans = [adopted];
        for unknown in [None, Some("8.1"), Some(before.as_str())] {
            assert_eq!(stream.positions(ME, (unknown, unknown), &spans), None);
        }
        assert_eq!(stream.positions(ME, (Some(&after), None), &spans), Some(vec![at(2)]));
    }

    #[test]
    fn a_stamp_that_is_too_old_or_was_never_made_says_nothing() {
        let mut stream = Stream::new(7);
        let old = stream.stamp(&topic("a"), Some(at(1)), None);
        for offset in 2..RING as u64 + 3 {
            stream.stamp(&topic("a"), Some(at(offset)), None);
        }
        let spans = [span("a", 0, 0, RING as u64 + 2)];
        assert_eq!(stream.positions(ME, (Some(&old), None), &spans), None);
        assert_eq!(stream.positions(ME, (Some("7.ffffffff"), None), &spans), None);
    }
}
