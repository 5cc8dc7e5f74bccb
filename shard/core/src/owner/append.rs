//! Publishing: a message gets its place when the log has it, and not before.

use std::collections::VecDeque;
use std::sync::Arc;

use super::opening::ask_log;
use super::tail::Tail;
use super::topic::OwnedTopic;
use super::{Owner, Tickets, Waiting};
use crate::asker::Asker;
use crate::core::Io;
use crate::dedupe::{Identity, Key};
use crate::log::LogRequest;
use crate::message::{Body, Record};
use crate::peer::{Delivery, Refusal, Reply};
use crate::position::Position;
use crate::topic::Topic;

/// Bytes of messages that may wait for one topic's log.
const QUEUED_BYTES: usize = 8 * 1024 * 1024;
/// Messages that go to the log together.
const BATCH: usize = 512;

/// A message that has no place yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) asker: Asker,
    pub(super) identity: Identity,
    pub(super) body: Body,
    pub(super) echo: bool,
    /// The log has refused it once.
    pub(super) again: bool,
}

/// The messages of one topic on their way to its log. One batch is under way at a time; what
/// comes meanwhile gathers for the next, so that a slow log gets fewer and larger ones.
#[derive(Debug, Default)]
pub(super) struct Appends {
    in_flight: Vec<(Pending, Arc<Record>)>,
    queued: VecDeque<Pending>,
    queued_bytes: usize,
}

impl Appends {
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.queued.is_empty()
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        let in_flight: usize = self.in_flight.iter().map(|(_, record)| record.size()).sum();
        self.queued_bytes + in_flight
    }

    /// Messages that have no place yet.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len() + self.queued.len()
    }
}

impl OwnedTopic {
    /// Queues a message for the log.
    pub(super) fn append(
        &mut self,
        io: &mut Io,
        tickets: &mut Tickets,
        topic: &Topic,
        pending: Pending,
    ) {
        if self.appends.queued_bytes >= QUEUED_BYTES {
            self.refuse(io, &pending);
            return;
        }
        self.appends.queued_bytes += pending.body.size();
        self.appends.queued.push_back(pending);
        self.flush(io, tickets, topic);
    }

    /// Sends what is queued to the log, unless a batch is under way.
    pub(super) fn flush(&mut self, io: &mut Io, tickets: &mut Tickets, topic: &Topic) {
        let Some(tail) = self.tail() else { return };
        if !self.appends.in_flight.is_empty() || self.appends.queued.is_empty() {
            return;
        }
        let after = tail.position();
        let time_ms = tail.next_time(io.now.wall_ms);
        let appends = &mut self.appends;
        let count = appends.queued.len().min(BATCH);
        let batch: Vec<_> = appends
            .queued
            .drain(..count)
            .zip(after.offset + 1..)
            .map(|(pending, offset)| {
                let record = record(&pending, offset, time_ms);
                (pending, Arc::new(record))
            })
            .collect();
        let taken: usize = batch.iter().map(|(pending, _)| pending.body.size()).sum();
        appends.queued_bytes -= taken;
        let records: Vec<_> = batch.iter().map(|(_, record)| Arc::clone(record)).collect();
        appends.in_flight = batch;
        ask_log(tickets, io, topic, Waiting::Append, |ticket, topic| LogRequest::Append {
            ticket,
            topic,
            after,
            records,
        });
    }

    /// Answers a publish, and whoever has repeated it meanwhile.
    pub(super) fn settle(&mut self, io: &mut Io, asker: Asker, identity: &Identity, reply: &Reply) {
        let repeats = self.dedupe.as_mut().map(|dedupe| dedupe.settle(identity, reply));
        for asker in std::iter::once(asker).chain(repeats.into_iter().flatten()) {
            asker.answer(io, Ok(reply.clone()));
        }
    }

    fn refuse(&mut self, io: &mut Io, pending: &Pending) {
        let repeats = self.dedupe.as_mut().map(|dedupe| dedupe.abandon(&pending.identity));
        for asker in std::iter::once(pending.asker).chain(repeats.into_iter().flatten()) {
            asker.answer(io, Err(Refusal::Unavailable));
        }
    }
}

impl Owner {
    /// The log has the batch, and nothing before `first` any more: the batch's publishers are told
    /// first, then its readers.
    pub(super) fn appended(&mut self, io: &mut Io, topic: &Topic, first: u64) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let batch = std::mem::take(&mut owned.appends.in_flight);
        for (pending, record) in batch {
            let Some(owned) = self.topics.get_mut(topic) else { return };
            let Some(tail) = owned.tail_mut() else { return };
            tail.push(Arc::clone(&record));
            let epoch = tail.epoch().clone();
            if record.offset % 8 == 7 && trunkline_planted::is("drop an acknowledgement") {
                continue;
            }
            match topic {
                Topic::Room(..) => {
                    let position = Position { epoch: epoch.clone(), offset: record.offset };
                    let reply = Reply::Published(position);
                    owned.settle(io, pending.asker, &pending.identity, &reply);
                    let delivery = Delivery::Record { epoch, record, handover: None };
                    Self::announce(io, owned, topic, &delivery);
                }
                Topic::Inbox(_) => self.hand_record(io, topic, &pending, record, epoch),
            }
        }
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if let Some(tail) = owned.tail_mut() {
            tail.trim(first, age_limit(io, topic));
        }
        owned.flush(io, &mut self.tickets, topic);
    }

    /// The log has refused the batch, for another shard has opened the topic since: one that has
    /// given it up by now, if the topic is still this shard's. Nobody need say again what is known
    /// not to be kept; whoever is refused twice has a rival, and may try later.
    pub(super) fn append_again(&mut self, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let appends = &mut owned.appends;
        if appends.in_flight.iter().any(|(pending, _)| pending.again) {
            return;
        }
        for (pending, _) in std::mem::take(&mut appends.in_flight).into_iter().rev() {
            appends.queued_bytes += pending.body.size();
            appends.queued.push_front(Pending { again: true, ..pending });
        }
    }

    /// Of the batch whose outcome was not known, these records were kept.
    pub(super) fn settle_unknown(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        tail: &Tail,
        records: &[Arc<Record>],
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let kept_as = |pending: &Pending| {
            let Identity { member, sequence, key } = &pending.identity;
            let is_it = |it: &&Arc<Record>| {
                let has_key = |key: &Key| it.key.as_ref() == Some(&key.text);
                (it.session, it.sequence) == (member.session, *sequence)
                    || it.from == member.user && key.as_ref().is_some_and(has_key)
            };
            records.iter().find(is_it).map(|record| record.offset)
        };
        let mut kept = Vec::new();
        let batch = std::mem::take(&mut owned.appends.in_flight);
        for (pending, record) in batch {
            match kept_as(&pending) {
                Some(offset) => kept.push((pending, offset)),
                None => owned.appends.in_flight.push((pending, record)),
            }
        }
        // Another owner may have been told what waits here, by the same session or under the same key.
        for pending in std::mem::take(&mut owned.appends.queued) {
            match kept_as(&pending) {
                Some(offset) => {
                    owned.appends.queued_bytes -= pending.body.size();
                    kept.push((pending, offset));
                }
                None => owned.appends.queued.push_back(pending),
            }
        }
        for (pending, offset) in kept {
            let epoch = tail.epoch().clone();
            let reply = match topic {
                Topic::Room(..) => Reply::Published(Position { epoch, offset }),
                Topic::Inbox(_) => Reply::Sent(crate::peer::SendStatus::Queued),
            };
            if let Some(owned) = self.topics.get_mut(topic) {
                owned.settle(io, pending.asker, &pending.identity, &reply);
            }
        }
    }

    /// What is left of the batch was not kept: its publishers may try again.
    pub(super) fn abandon_unknown(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        for (pending, _) in std::mem::take(&mut owned.appends.in_flight) {
            owned.refuse(io, &pending);
        }
    }

    /// Nothing more is done about what has no place yet.
    pub(super) fn abandon_appends(&mut self, io: &mut Io, topic: &Topic, refusal: Refusal) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Appends { in_flight, queued, .. } = std::mem::take(&mut owned.appends);
        for pending in in_flight.into_iter().map(|(pending, _)| pending).chain(queued) {
            let Some(owned) = self.topics.get_mut(topic) else { return };
            let repeats = owned.dedupe.as_mut().map(|dedupe| dedupe.abandon(&pending.identity));
            for asker in std::iter::once(pending.asker).chain(repeats.into_iter().flatten()) {
                match refusal {
                    Refusal::Moved => self.refuse_moved(io, asker, topic),
                    _ => asker.answer(io, Err(refusal)),
                }
            }
        }
    }
}

fn record(pending: &Pending, offset: u64, time_ms: u64) -> Record {
    let Identity { member, sequence, key } = &pending.identity;
    Record {
        offset,
        time_ms,
        from: member.user.clone(),
        session: member.session,
        sequence: *sequence,
        key: key.as_ref().map(|key| Arc::clone(&key.text)),
        echo: pending.echo,
        body: pending.body.clone(),
    }
}

/// Records that were taken before this are too old to be given out.
pub(super) fn age_limit(io: &Io, topic: &Topic) -> u64 {
    let age = match topic {
        Topic::Room(..) => io.settings.history.age,
        Topic::Inbox(_) => io.settings.inbox_age,
    };
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    io.now.wall_ms.saturating_sub(age_ms)
}
