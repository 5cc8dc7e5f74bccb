//! Private messages from the inbox to the user's connections: who has been asked to pass them on,
//! and which of them have reached a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Owner;
use super::append::Pending;
use super::topic::OwnedTopic;
use crate::asker::Asker;
use crate::core::Io;
use crate::dedupe::Identity;
use crate::link::ShardIndex;
use crate::log::LogRequest;
use crate::message::Record;
use crate::output::Output;
use crate::peer::{Delivery, HandoverId, Reply, SendStatus};
use crate::position::Epoch;
use crate::small_map::SmallSet;
use crate::time::Mono;
use crate::topic::Topic;

/// What an inbox knows of messages on their way out.
#[derive(Debug, Default)]
pub(super) struct Handing {
    /// All messages up to this one have reached a connection.
    handed: u64,
    /// So have these, beyond it.
    beyond: BTreeSet<u64>,
    under_way: BTreeMap<HandoverId, Handover>,
    /// About how many bytes have not reached a connection.
    waiting_bytes: usize,
}

#[derive(Debug)]
struct Handover {
    /// Shards that have not said what became of it.
    waiting: SmallSet<ShardIndex>,
    /// The first and the last message that it carries; `None` for one that is not kept.
    offsets: Option<(u64, u64)>,
    /// The sender, to be told once.
    sender: Option<(Asker, Identity)>,
    /// The deadline has passed once.
    overdue: bool,
}

impl Handing {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// All messages up to this one have reached a connection.
    pub(super) fn handed(&self) -> u64 {
        self.handed
    }

    /// What the log remembers.
    pub(super) fn resume(&mut self, handed: u64, waiting_bytes: usize) {
        self.handed = self.handed.max(handed);
        self.waiting_bytes = waiting_bytes;
    }

    /// The history is another one: nothing is known of it yet.
    pub(super) fn begin_anew(&mut self) {
        self.handed = 0;
        self.beyond.clear();
    }

    /// These shards are asked to hand something over.
    fn begin(
        &mut self,
        handover: HandoverId,
        waiting: SmallSet<ShardIndex>,
        offsets: Option<(u64, u64)>,
        sender: Option<(Asker, Identity)>,
    ) {
        self.under_way.insert(handover, Handover { waiting, offsets, sender, overdue: false });
    }

    /// Messages of `first` to `last` have reached a connection, and what is before `oldest` is no
    /// more. Whether that moved the mark.
    fn mark(&mut self, (first, last): (u64, u64), oldest: u64) -> bool {
        let before = self.handed;
        self.handed = self.handed.max(oldest - 1);
        self.beyond.extend(first..=last);
        while let Some(next) = self.beyond.first().copied().filter(|it| *it <= self.handed + 1) {
            self.beyond.remove(&next);
            self.handed = self.handed.max(next);
        }
        self.handed > before
    }
}

impl OwnedTopic {
    /// Whether as many messages wait for the inbox's user as may.
    pub(super) fn is_full(&self, io: &Io) -> bool {
        let Some(tail) = self.tail() else { return true };
        let handed = self.handing.handed.max(tail.first() - 1);
        let waiting = tail.last().saturating_sub(handed) + self.appends.len() as u64;
        let waiting_bytes = self.handing.waiting_bytes + self.appends.bytes();
        waiting >= io.settings.inbox_messages as u64 || waiting_bytes >= io.settings.inbox_bytes
    }
}

impl Owner {
    /// A kept message sets out for the user's connections; without one it is queued.
    pub(super) fn hand_record(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        pending: &Pending,
        record: Arc<Record>,
        epoch: Epoch,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        owned.handing.waiting_bytes += record.size();
        let offsets = Some((record.offset, record.offset));
        let delivery = |handover| Delivery::Record { epoch, record, handover: Some(handover) };
        self.hand_over(io, topic, pending, offsets, delivery);
    }

    /// A message that may not be kept.
    pub(super) fn hand_unkept(&mut self, io: &mut Io, topic: &Topic, pending: &Pending) {
        let delivery = |handover| Delivery::Ephemeral {
            from: pending.identity.member.user.clone(),
            except: None,
            body: pending.body.clone(),
            handover: Some(handover),
        };
        self.hand_over(io, topic, pending, None, delivery);
    }

    /// A message sets out for all who have connections of the user; if there is none its sender is
    /// told so.
    fn hand_over(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        pending: &Pending,
        offsets: Option<(u64, u64)>,
        delivery: impl FnOnce(HandoverId) -> Delivery,
    ) {
        let Self { topics, handovers, handover_deadlines, .. } = self;
        let Some(owned) = topics.get_mut(topic) else { return };
        let homes: SmallSet<ShardIndex> = owned.members.subscribers().collect();
        if homes.is_empty() || trunkline_planted::is("keep private messages back") {
            let status = unheard(offsets);
            return owned.settle(io, pending.asker, &pending.identity, &Reply::Sent(status));
        }
        *handovers += 1;
        let handover = HandoverId::new(*handovers, pending.asker.request.is_awaited());
        let sender = Some((pending.asker, pending.identity.clone()));
        owned.handing.begin(handover, homes, offsets, sender);
        handover_deadlines.push(io.now.mono, (topic.clone(), handover));
        Self::announce(io, owned, topic, &delivery(handover));
    }

    /// What a new member of an inbox has missed is on its way to it.
    pub(super) fn hand_missed(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        home: ShardIndex,
        missed: &[Arc<Record>],
    ) -> Option<HandoverId> {
        let Topic::Inbox(_) = topic else { return None };
        let offsets = (missed.first()?.offset, missed.last()?.offset);
        let owned = self.topics.get_mut(topic)?;
        self.handovers += 1;
        // Nobody waits to be told.
        let handover = HandoverId::new(self.handovers, false);
        owned.handing.begin(handover, SmallSet::from_iter([home]), Some(offsets), None);
        self.handover_deadlines.push(io.now.mono, (topic.clone(), handover));
        Some(handover)
    }

    /// A shard says what became of a handover.
    pub(crate) fn handed(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: &Topic,
        handover: HandoverId,
        passed: bool,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Some(under_way) = owned.handing.under_way.get_mut(&handover) else { return };
        under_way.waiting.remove(&home);
        if passed || under_way.waiting.is_empty() {
            self.end_handover(io, topic, handover, passed);
        }
        self.tidy(io, topic);
    }

    /// A shard is out of reach: it has passed nothing on, as far as can be known.
    pub(super) fn handed_all(&mut self, io: &mut Io, topic: &Topic, home: ShardIndex) {
        let Some(owned) = self.topics.get(topic) else { return };
        let waits =
            |(id, it): (&HandoverId, &Handover)| it.waiting.contains_key(&home).then_some(*id);
        let waiting: Vec<_> = owned.handing.under_way.iter().filter_map(waits).collect();
        for handover in waiting {
            self.handed(io, home, topic, handover, false);
        }
    }

    /// Nothing that is being handed over is waited for any more.
    pub(super) fn end_handovers(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get(topic) else { return };
        let under_way: Vec<_> = owned.handing.under_way.keys().copied().collect();
        for handover in under_way {
            self.end_handover(io, topic, handover, false);
        }
    }

    /// When a handover that is under way is overdue.
    pub(super) fn next_overdue_handover(&mut self, now: Mono) -> Option<Mono> {
        let Self { topics, handover_deadlines, .. } = self;
        handover_deadlines.next_that(now, |(topic, handover)| {
            topics.get(topic).is_some_and(|it| it.handing.under_way.contains_key(handover))
        })
    }

    /// The sender has waited for long enough. Whether a kept message has reached a connection is
    /// worth as long again: otherwise the user would get it with each new one.
    pub(super) fn handover_overdue(&mut self, io: &mut Io, topic: &Topic, handover: HandoverId) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Some(under_way) = owned.handing.under_way.get_mut(&handover) else { return };
        if under_way.offsets.is_none() || std::mem::replace(&mut under_way.overdue, true) {
            self.end_handover(io, topic, handover, false);
        } else {
            let sender = under_way.sender.take();
            self.handover_deadlines.push(io.now.mono, (topic.clone(), handover));
            if let Some((asker, identity)) = sender {
                owned.settle(io, asker, &identity, &Reply::Sent(SendStatus::Queued));
            }
        }
        self.tidy(io, topic);
    }

    fn end_handover(&mut self, io: &mut Io, topic: &Topic, handover: HandoverId, passed: bool) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Some(Handover { offsets, sender, .. }) = owned.handing.under_way.remove(&handover)
        else {
            return;
        };
        let oldest = owned.tail().map_or(1, super::tail::Tail::first);
        let last = owned.tail().map_or(u64::MAX, super::tail::Tail::last);
        if let (true, Some(offsets)) = (passed, offsets)
            && owned.handing.mark(offsets, oldest)
        {
            let handed = owned.handing.handed;
            // Counted per message it would cost as much as it counts; an empty inbox is exact.
            if handed >= last {
                owned.handing.waiting_bytes = 0;
            }
            io.output(Output::Log(LogRequest::Mark { topic: topic.clone(), handed }));
        }
        let status = if passed { SendStatus::Delivered } else { unheard(offsets) };
        if let Some((asker, identity)) = sender {
            owned.settle(io, asker, &identity, &Reply::Sent(status));
        }
    }
}

/// What a sender is told of a message that no connection was handed: one with a place is kept.
fn unheard(offsets: Option<(u64, u64)>) -> SendStatus {
    if offsets.is_some() { SendStatus::Queued } else { SendStatus::Offline }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_moves_over_what_is_handed_without_a_gap() {
        let mut handing = Handing::default();
        assert!(!handing.mark((2, 3), 1));
        assert_eq!(handing.handed(), 0);
        assert!(handing.mark((1, 1), 1));
        assert_eq!(handing.handed(), 3);
        assert!(handing.beyond.is_empty());
    }

    #[test]
    fn what_is_no_more_holds_the_mark_up_no_longer() {
        let mut handing = Handing::default();
        handing.mark((5, 5), 1);
        assert!(handing.mark((6, 6), 5));
        assert_eq!(handing.handed(), 6);
    }
}
