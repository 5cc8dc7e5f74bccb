//! Becoming a member: what was missed comes first, from the tail or from the log, up to the very
//! moment at which the member is let in. So there is no gap between replay and live, and no repeat.

use std::sync::Arc;

use super::topic::{Claiming, Joining, Queue};
use super::{Owner, Waiting};
use crate::asker::Asker;
use crate::core::Io;
use crate::link::ShardIndex;
use crate::log::{LogOutcome, LogRequest, ReadQuery};
use crate::message::Record;
use crate::peer::{Delivery, Joined, Member, PeerMessage, Refusal, Reply};
use crate::position::Position;
use crate::topic::Topic;

/// Someone who is being brought up to date.
#[derive(Debug)]
pub(super) struct CatchUp {
    who: Who,
    /// What was found so far.
    missed: Vec<Arc<Record>>,
    /// Everything up to here has been found, or is known to be gone.
    upto: u64,
    /// What was missed up to here can't be had.
    gap: Option<u64>,
}

#[derive(Debug)]
enum Who {
    /// A session that joins.
    Session { asker: Asker, member: Member, named: bool },
    /// All members that a shard has claimed.
    Shard(ShardIndex),
}

impl CatchUp {
    pub(super) fn home(&self) -> ShardIndex {
        match &self.who {
            Who::Session { asker, .. } => asker.via.peer,
            Who::Shard(home) => *home,
        }
    }
}

impl Owner {
    pub(super) fn join(
        &mut self,
        io: &mut Io,
        asker: Asker,
        member: Member,
        topic: &Topic,
        (after, may_hear): (Option<&Position>, bool),
    ) {
        let Self { topics, tickets, .. } = self;
        let Some(owned) = topics.get_mut(topic) else { return };
        if owned.is_late(member.session, member.attachment) {
            return asker.answer(io, Err(Refusal::Unavailable));
        }
        owned.cancel_join(io, tickets, member.session);
        owned.age(io, topic);
        let Some(tail) = owned.tail() else { return };
        let (start, gap) = match (topic, after) {
            // A member already: it has had everything, and has it again by no means.
            _ if may_hear && owned.members.contains(asker.via.peer, member.session) => {
                let foreign = after.is_some_and(|after| !tail.reaches(after));
                (tail.last(), foreign.then(|| tail.last()))
            }
            (_, Some(after)) => tail.resume_from(after),
            (Topic::Room(..), None) => (tail.last(), None),
            (Topic::Inbox(_), None) => (owned.handing.handed().max(tail.first() - 1), None),
        };
        let who = Who::Session { asker, member, named: after.is_some() };
        self.catch_up(io, topic, CatchUp { who, missed: Vec::new(), upto: start, gap });
    }

    /// A shard's members are back after a broken link.
    pub(super) fn begin_claim(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: &Topic,
        after: Position,
        members: Vec<Member>,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        owned.age(io, topic);
        let Some(tail) = owned.tail() else { return };
        let (start, gap) = tail.resume_from(&after);
        let claiming = Claiming { after, members, queue: Queue::default(), stalled: false };
        owned.claiming.insert(home, claiming);
        let who = Who::Shard(home);
        self.catch_up(io, topic, CatchUp { who, missed: Vec::new(), upto: start, gap });
    }

    /// Finishes from the tail if it reaches back far enough; otherwise asks the log first.
    fn catch_up(&mut self, io: &mut Io, topic: &Topic, mut catch_up: CatchUp) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Some(tail) = owned.tail() else { return };
        if let Some(rest) = tail.after(catch_up.upto) {
            catch_up.missed.extend(rest);
            self.let_in(io, topic, catch_up);
            return;
        }
        let query = ReadQuery {
            after: catch_up.upto,
            before: tail.last() + 1,
            limit: usize::MAX,
            newest: false,
        };
        let session = match &catch_up.who {
            Who::Session { asker, member, .. } => Some((member.session, member.attachment, *asker)),
            Who::Shard(_) => None,
        };
        let ticket = self.ask_log(io, topic, Waiting::CatchUp(catch_up), |ticket, topic| {
            LogRequest::Read { ticket, topic, query }
        });
        if let (Some((session, attachment, asker)), Some(owned)) =
            (session, self.topics.get_mut(topic))
        {
            owned.joining.insert(session, Joining { ticket, asker, attachment });
        }
    }

    /// The log has answered.
    pub(super) fn caught_up(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        mut catch_up: CatchUp,
        outcome: LogOutcome,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if let Who::Session { member, .. } = &catch_up.who {
            owned.joining.remove(&member.session);
        }
        let (LogOutcome::Records { records }, Some(tail)) = (outcome, owned.tail()) else {
            // The log failed, or an append did meanwhile and the topic's standing isn't known.
            return self.catch_up_failed(io, topic, &catch_up.who);
        };
        // What is neither read nor at hand has gone: the log dropped it meanwhile.
        let found = records.first().map(|record| record.offset);
        let found = found.unwrap_or_else(|| tail.oldest_at_hand());
        if found > catch_up.upto + 1 {
            catch_up.gap = Some(found - 1);
            catch_up.missed.clear();
        }
        catch_up.upto = records.last().map_or(found - 1, |record| record.offset);
        catch_up.missed.extend(records);
        self.catch_up(io, topic, catch_up);
    }

    fn catch_up_failed(&mut self, io: &mut Io, topic: &Topic, who: &Who) {
        match who {
            Who::Session { asker, .. } => asker.answer(io, Err(Refusal::Unavailable)),
            Who::Shard(home) => {
                if let Some(claiming) =
                    self.topics.get_mut(topic).and_then(|owned| owned.claiming.get_mut(home))
                {
                    claiming.stalled = true;
                    self.retries.push(io.now.mono, topic.clone());
                }
            }
        }
    }

    /// Begins again with the claims whose reading failed.
    pub(super) fn retry_claims(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Some(tail) = owned.tail() else { return };
        let stalled: Vec<_> = owned
            .claiming
            .iter()
            .filter(|(_, claiming)| claiming.stalled)
            .map(|(home, claiming)| (*home, tail.resume_from(&claiming.after)))
            .collect();
        for (home, (start, gap)) in stalled {
            if let Some(claiming) =
                self.topics.get_mut(topic).and_then(|owned| owned.claiming.get_mut(&home))
            {
                claiming.stalled = false;
            }
            let who = Who::Shard(home);
            self.catch_up(io, topic, CatchUp { who, missed: Vec::new(), upto: start, gap });
        }
    }

    /// Up to date: from here on the topic's deliveries are for it too.
    fn let_in(&mut self, io: &mut Io, topic: &Topic, catch_up: CatchUp) {
        let CatchUp { who, missed, upto: _, gap } = catch_up;
        match who {
            Who::Session { asker, member, named } => {
                let Some(owned) = self.topics.get(topic) else { return };
                if owned.is_late(member.session, member.attachment) {
                    return asker.answer(io, Err(Refusal::Unavailable));
                }
                self.add_member(io, topic, asker.via.peer, member, None);
                let handover = self.hand_missed(io, topic, asker.via.peer, &missed);
                let Some(owned) = self.topics.get_mut(topic) else { return };
                // Its home hears everything from here on, and so do others there.
                for delivery in owned.take_news(asker.via.peer) {
                    let topic = topic.clone();
                    io.tell(asker.via.peer, PeerMessage::Deliver { topic, delivery });
                }
                let Some(tail) = owned.tail() else { return };
                let joined = Joined {
                    position: tail.position(),
                    members: owned.members.users(),
                    recovered: named.then_some(gap.is_none()),
                    gap,
                    missed,
                    handover,
                };
                asker.answer(io, Ok(Reply::Joined(joined)));
            }
            Who::Shard(home) => {
                let Some(owned) = self.topics.get_mut(topic) else { return };
                let Some(mut claiming) = owned.claiming.remove(&home) else { return };
                // Some are elsewhere by now, which their old home has not heard yet.
                claiming.members.retain(|it| !owned.members.is_late(it.session, it.attachment));
                // What its own members' coming is to others is none for itself, and neither is what was
                // said of them: they have been there all the time.
                let mut news = owned.take_news(home);
                news.retain(|said| match said {
                    Delivery::UserJoined(user) | Delivery::UserLeft(user) => {
                        claiming.members.iter().all(|member| member.user != *user)
                    }
                    _ => true,
                });
                for member in claiming.members {
                    self.add_member(io, topic, home, member, Some(home));
                }
                let handover = self.hand_missed(io, topic, home, &missed);
                let Some(tail) = self.topics.get(topic).and_then(|owned| owned.tail()) else {
                    return;
                };
                let claimed = PeerMessage::Claimed {
                    topic: topic.clone(),
                    epoch: tail.epoch().clone(),
                    gap,
                    missed,
                    last: tail.last(),
                    handover,
                };
                io.tell(home, claimed);
                for delivery in news {
                    io.tell(home, PeerMessage::Deliver { topic: topic.clone(), delivery });
                }
                for (home, message) in claiming.queue.take() {
                    self.resume(io, home, message);
                }
            }
        }
    }
}
