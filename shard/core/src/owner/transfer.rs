//! What one owner tells the next of a topic, in parts of a bounded size, and how these are put together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::topic::OwnedTopic;
use crate::answered::Answered;
use crate::attachment::Attachment;
use crate::link::ShardIndex;
use crate::log::{Held, Publication};
use crate::message::Record;
use crate::peer::{Member, News, Standing, TransferPart};
use crate::position::Position;
use crate::session_id::SessionId;

/// Bytes of one part, unless one record alone is larger.
const PART: usize = 256 * 1024;
/// What a member or a publication takes, about.
const SMALL: usize = 128;

/// Who is in a topic, and what else is told of it by whoever had it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct People {
    /// Members, and by which home.
    pub(super) members: Vec<(Member, ShardIndex)>,
    /// Who has left of late.
    pub(super) left: Vec<(SessionId, Attachment)>,
    /// What homes have yet to be told.
    pub(super) news: Vec<News>,
    /// For how long there may be members of whom nobody has told.
    pub(super) doubt: Duration,
    /// What the next owner need not ask the log that all shards share.
    pub(super) ceded: Option<Ceded>,
}

/// With what a topic is gone on with, without asking the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ceded {
    /// What the log says.
    pub(super) deed: Bytes,
    /// What was answered.
    pub(super) answers: Vec<Answered>,
}

impl People {
    pub(super) fn of(owned: &OwnedTopic, doubt: Duration) -> Self {
        let (members, news) = (&owned.members, owned.all_news());
        Self { members: members.all(), left: members.left(), news, doubt, ceded: None }
    }
}

/// Takes a topic apart. Gives also how many bytes it takes, about.
pub(super) fn parts(people: People, held: Option<Box<Held>>) -> (Vec<TransferPart>, usize) {
    let mut all = Parts { done: Vec::new(), part: TransferPart::default(), bytes: 0, total: 0 };
    let mut records = Vec::new();
    let mut publications = Vec::new();
    if let Some(held) = held {
        let Held { epoch, first, last, last_time_ms, handed, .. } = *held;
        let position = Position { epoch, offset: last };
        all.part.standing = Some(Standing { position, first, last_time_ms, handed });
        (records, publications) = (held.records, held.publications);
    }
    for member in people.members {
        all.room_for(SMALL).members.push(member);
    }
    for left in people.left {
        all.room_for(SMALL).left.push(left);
    }
    for news in people.news {
        all.room_for(SMALL).news.push(news);
    }
    let mut deed = None;
    if let Some(ceded) = people.ceded {
        for answer in ceded.answers {
            all.room_for(SMALL).answers.push(answer);
        }
        all.room_for(ceded.deed.len());
        deed = Some(ceded.deed);
    }
    for record in records {
        all.room_for(record.size()).records.push(record);
    }
    for publication in publications {
        all.room_for(SMALL).publications.push(publication);
    }
    (all.part.last, all.part.deed) = (true, deed);
    all.part.doubt = people.doubt;
    all.done.push(all.part);
    (all.done, all.total)
}

struct Parts {
    done: Vec<TransferPart>,
    part: TransferPart,
    bytes: usize,
    total: usize,
}

impl Parts {
    /// The part into which so many bytes go.
    fn room_for(&mut self, bytes: usize) -> &mut TransferPart {
        if self.bytes > 0 && self.bytes + bytes > PART {
            self.done.push(std::mem::take(&mut self.part));
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.total += bytes;
        &mut self.part
    }
}

/// Parts that have come so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    standing: Option<Standing>,
    people: People,
    answers: Vec<Answered>,
    records: Vec<Arc<Record>>,
    publications: Vec<Publication>,
    bytes: usize,
}

/// What was sent makes no topic.
#[derive(Debug)]
pub(super) struct Broken;

impl Assembly {
    /// Adds a part. Gives how many bytes there are.
    pub(super) fn add(&mut self, part: TransferPart) -> usize {
        let TransferPart {
            standing,
            members,
            left,
            news,
            records,
            publications,
            answers,
            deed,
            last: _,
            doubt,
        } = part;
        if standing.is_some() {
            // It begins again.
            *self = Self { standing, ..Self::default() };
        }
        let records_bytes: usize = records.iter().map(|record| record.size()).sum();
        let small = members.len() + left.len() + news.len() + publications.len() + answers.len();
        self.bytes += SMALL * small + records_bytes + deed.as_ref().map_or(0, Bytes::len);
        self.people.members.extend(members);
        self.people.left.extend(left);
        self.people.doubt = doubt;
        self.answers.extend(answers);
        if let Some(deed) = deed {
            let answers = std::mem::take(&mut self.answers);
            self.people.ceded = Some(Ceded { deed, answers });
        }
        self.people.news.extend(news);
        self.records.extend(records);
        self.publications.extend(publications);
        self.bytes
    }

    /// How many bytes there are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All parts are there.
    pub(super) fn finish(self) -> Result<(People, Option<Box<Held>>), Broken> {
        let Self { standing, people, answers: _, records, publications, bytes: _ } = self;
        let Some(standing) = standing else {
            let empty = records.is_empty() && publications.is_empty();
            return if empty { Ok((people, None)) } else { Err(Broken) };
        };
        let Standing { position: Position { epoch, offset: last }, first, last_time_ms, handed } =
            standing;
        let is_whole = first >= 1
            && first <= last.saturating_add(1)
            && (first..).zip(&records).all(|(offset, record)| record.offset == offset)
            && records.len() as u64 == last.saturating_add(1) - first;
        if !is_whole {
            return Err(Broken);
        }
        let held = Held { epoch, first, last, last_time_ms, handed, records, publications };
        Ok((people, Some(Box::new(held))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answered::{FirstAnswer, KnownBy};
    use crate::message::{Arguments, Body};
    use crate::name::UserId;
    use crate::position::Epoch;

    fn record(offset: u64, bytes: usize) -> Arc<Record> {
        let arguments = Arguments::new(&"1".repeat(bytes), 1);
        let body = Body { event: "e".into(), arguments, attachments: Vec::new() };
        let (from, session) = (UserId::parse("bob").unwrap(), SessionId([1; 24]));
        let (time_ms, sequence, key, echo) = (7, offset, None, true);
        Arc::new(Record { offset, time_ms, from, session, sequence, key, echo, body })
    }

    fn held(records: Vec<Arc<Record>>) -> Held {
        let publications = records.iter().map(|record| Publication::of(record)).collect();
        let (first, last) = (records[0].offset, records[records.len() - 1].offset);
        let epoch = Epoch::new("e");
        Held { epoch, first, last, last_time_ms: 7, handed: 3, records, publications }
    }

    #[test]
    fn a_topic_in_parts_is_the_same_when_it_is_put_together() {
        let before = held((4..40).map(|offset| record(offset, 30_000)).collect());
        let user = UserId::parse("alice").unwrap();
        let (session, attachment) = (SessionId([2; 24]), Attachment(7));
        let members = vec![(Member { session, user, attachment }, ShardIndex(1))];
        let (home, user) = (ShardIndex(1), UserId::parse("bob").unwrap());
        let news = vec![News { home, user, came: true }];
        let (left, doubt) = (vec![(SessionId([3; 24]), attachment)], Duration::from_secs(7));
        let by = KnownBy::Sequence { session, sequence: 3 };
        let answers = vec![Answered { by, answer: FirstAnswer::Ephemeral }; 5000];
        let ceded = Some(Ceded { deed: Bytes::from_static(b"deed"), answers });
        let people = People { members, left, news, doubt, ceded };
        let (parts, bytes) = parts(people.clone(), Some(Box::new(before.clone())));
        assert!(parts.len() > 3 && bytes > 1_000_000);
        let mut assembly = Assembly::default();
        for part in parts {
            assembly.add(part);
        }
        let (there, after) = assembly.finish().unwrap();
        assert_eq!((there, *after.unwrap()), (people, before));
    }

    #[test]
    fn a_topic_with_a_hole_is_none() {
        let (mut all, _) =
            parts(People::default(), Some(Box::new(held(vec![record(1, 9), record(2, 9)]))));
        all[0].records.remove(0);
        let mut assembly = Assembly::default();
        assembly.add(all.remove(0));
        assert!(assembly.finish().is_err());
    }
}
