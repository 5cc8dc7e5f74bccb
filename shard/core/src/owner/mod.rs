//! The half of a core that owns topics: the rooms and inboxes that hash to this shard.
//!
//! It gives every message its place, knows who is there, and says so to the homes. It knows no
//! connection and no dialect.

mod append;
mod gather;
mod handing;
mod join;
mod members;
mod opening;
mod serve;
mod tail;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::join::CatchUp;
use self::members::Doubt;
use self::topic::OwnedTopic;
use crate::Ticket;
use crate::asker::Asker;
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::link::ShardIndex;
use crate::log::LogOutcome;
use crate::peer::{
    Action, Delivery, GatherId, HandoverId, Member, PeerMessage, Refusal, Reply, RequestId,
};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::settings::CoreSettings;
use crate::time::Mono;
use crate::topic::Topic;

/// A topic whose log did not answer is tried again after this long.
const LOG_RETRY: Duration = Duration::from_secs(1);

/// What a log's outcome is waited for.
#[derive(Debug)]
enum Waiting {
    Open,
    Append,
    CatchUp(CatchUp),
    /// What was kept, though nobody was told, when an append had failed.
    Recover {
        after: u64,
        last: u64,
        /// The history is another one than before.
        anew: bool,
    },
    History {
        asker: Asker,
        epoch: Epoch,
    },
}

/// The topics of this shard.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Boxed, as they are large and a tree's nodes are never full.
    topics: BTreeMap<Topic, Box<OwnedTopic>>,
    /// Who may hold topics that are this shard's.
    owed: BTreeSet<ShardIndex>,
    tickets: BTreeMap<Ticket, (Topic, Waiting)>,
    tally: Tally,
    /// Until then there may be members of an earlier process of this shard who have not come back.
    doubtful_until: Mono,
    link_breaks: u64,
    graces: Deadlines<u64>,
    handovers: u64,
    handover_deadlines: Deadlines<(Topic, HandoverId)>,
    gathers: u64,
    gather_deadlines: BTreeMap<(Mono, GatherId), Topic>,
    retries: Deadlines<Topic>,
    idle: Deadlines<Topic>,
}

#[derive(Debug, Default)]
struct Tally {
    rooms: usize,
    members: usize,
}

impl Owner {
    pub(crate) fn new(owed: BTreeSet<ShardIndex>, settings: &CoreSettings) -> Self {
        Self {
            owed,
            topics: BTreeMap::new(),
            tickets: BTreeMap::new(),
            tally: Tally::default(),
            doubtful_until: Mono::default(),
            link_breaks: 0,
            graces: Deadlines::new(settings.grace),
            handovers: 0,
            handover_deadlines: Deadlines::new(settings.handover_timeout),
            gathers: 0,
            gather_deadlines: BTreeMap::new(),
            retries: Deadlines::new(LOG_RETRY),
            idle: Deadlines::new(settings.key_window),
        }
    }

    pub(crate) fn rooms(&self) -> usize {
        self.tally.rooms
    }

    pub(crate) fn members(&self) -> usize {
        self.tally.members
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.len()
    }

    #[allow(dead_code)] // read once topics move
    fn owed(&self) -> &BTreeSet<ShardIndex> {
        &self.owed
    }

    /// Somebody knew an earlier process of this shard: presence is not sure for a while.
    pub(crate) fn doubt(&mut self, io: &Io) {
        self.doubtful_until = io.now.mono + io.settings.grace;
    }

    #[allow(clippy::too_many_arguments)] // the message's fields, taken apart by the router of messages
    pub(crate) fn request(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        request: RequestId,
        member: Member,
        sequence: u64,
        topic: Topic,
        action: Action,
    ) {
        let Some(owned) = self.owned(io, &topic) else { return };
        let asker = Asker { via: io.links.via(home), request };
        let membership = matches!(action, Action::Join { .. } | Action::Leave);
        if let Some(queue) = owned.queue_for(home, membership) {
            let message = PeerMessage::Request { request, member, sequence, topic, action };
            if queue.push(home, message).is_err() {
                asker.answer(io, Err(Refusal::Unavailable));
            }
            return;
        }
        self.serve(io, asker, member, sequence, &topic, action);
        self.tidy(io, &topic);
    }

    pub(crate) fn claim(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: Topic,
        after: Position,
        members: Vec<Member>,
    ) {
        let Some(owned) = self.owned(io, &topic) else { return };
        for member in &members {
            owned.members.claimed(member.session);
        }
        if let Some(queue) = owned.queue_for(home, true) {
            // Claims are few (one per topic and link), so that their bound is never met.
            let _ = queue.push(home, PeerMessage::Claim { topic, after, members });
            return;
        }
        self.begin_claim(io, home, &topic, after, members);
    }

    /// A topic of this shard, which is opened if it isn't.
    fn owned(&mut self, io: &mut Io, topic: &Topic) -> Option<&mut OwnedTopic> {
        if !self.topics.contains_key(topic) {
            self.open(io, topic);
        }
        self.topics.get_mut(topic).map(Box::as_mut)
    }

    /// A session is no member any more, and wants no answer.
    pub(crate) fn forget(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: &Topic,
        session: SessionId,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if let Some(queue) = owned.queue_for(home, true) {
            queue.push_anyway(home, PeerMessage::Forget { topic: topic.clone(), session });
            return;
        }
        if !owned.joins_elsewhere(home, session)
            && !owned.members.is_elsewhere(home, session)
            && let Some(dedupe) = &mut owned.dedupe
        {
            dedupe.forget(session);
        }
        self.part(io, home, topic, session);
        self.tidy(io, topic);
    }

    /// A session that `home` speaks of leaves. If its client has come back by another shard it
    /// stays there.
    fn part(&mut self, io: &mut Io, home: ShardIndex, topic: &Topic, session: SessionId) {
        let Some(owned) = self.topics.get(topic) else { return };
        let is_elsewhere = owned.members.is_elsewhere(home, session);
        if !owned.joins_elsewhere(home, session) {
            self.cancel_join(io, topic, session);
        }
        if !is_elsewhere {
            self.remove_member(io, topic, session);
        }
    }

    /// A member's router can't be seen by its home. What the session still waits for is void.
    pub(crate) fn suspend(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: &Topic,
        session: SessionId,
    ) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if let Some(queue) = owned.queue_for(home, true) {
            queue.push_anyway(home, PeerMessage::Suspend { topic: topic.clone(), session });
            return;
        }
        if !owned.members.is_elsewhere(home, session) {
            owned.members.doubt(session, Doubt::Router);
        }
        if trunkline_planted::is("let go of who is suspended") {
            return self.remove_member(io, topic, session);
        }
        if !owned.joins_elsewhere(home, session) {
            self.cancel_join(io, topic, session);
        }
    }

    /// The homes behind a broken link can't be delivered to; their sessions may come back.
    pub(crate) fn link_down(&mut self, io: &mut Io, peer: ShardIndex) {
        self.link_breaks += 1;
        self.tickets.retain(|_, (_, waiting)| match waiting {
            Waiting::CatchUp(catch_up) => catch_up.home() != peer,
            _ => true,
        });
        let mut any = false;
        let topics: Vec<Topic> = self.topics.keys().cloned().collect();
        for topic in topics {
            let Some(owned) = self.topics.get_mut(&topic) else { continue };
            any |= owned.members.doubt_shard(peer, self.link_breaks);
            owned.joining.retain(|_, (home, _)| *home != peer);
            owned.claiming.remove(&peer);
            owned.forget_queued(peer);
            self.handed_all(io, &topic, peer);
            self.answers_no_more(io, &topic, peer);
            self.tidy(io, &topic);
        }
        if any {
            self.graces.push(io.now.mono, self.link_breaks);
        }
    }

    pub(crate) fn log(&mut self, io: &mut Io, ticket: Ticket, outcome: LogOutcome) {
        let Some((topic, waiting)) = self.tickets.remove(&ticket) else { return };
        match (waiting, outcome) {
            (Waiting::Open, outcome) => self.opened(io, &topic, outcome),
            (Waiting::Append, LogOutcome::Appended { first }) => {
                self.appended(io, &topic, first);
            }
            (Waiting::Append, _) if trunkline_planted::is("take a failure for done") => {
                self.appended(io, &topic, 1);
            }
            (Waiting::Append, _) => self.reopen(io, &topic),
            (Waiting::CatchUp(catch_up), outcome) => {
                self.caught_up(io, &topic, catch_up, outcome);
            }
            (Waiting::Recover { after, last, anew }, outcome) => {
                self.recovered(io, &topic, (after, last), anew, outcome);
            }
            (Waiting::History { asker, epoch }, LogOutcome::Records { records }) => {
                asker.answer(io, Ok(Reply::History { epoch, records }));
            }
            (Waiting::History { asker, .. }, _) => asker.answer(io, Err(Refusal::Unavailable)),
        }
        self.tidy(io, &topic);
    }

    pub(crate) fn next_timer(&self) -> Option<Mono> {
        [
            self.graces.next(),
            self.handover_deadlines.next(),
            self.gather_deadlines.first_key_value().map(|((at, _), _)| *at),
            self.retries.next(),
            self.idle.next(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn run_timers(&mut self, io: &mut Io) {
        let now = io.now.mono;
        while let Some(nth) = self.graces.pop_due(now) {
            self.grace_is_over(io, nth);
        }
        while let Some((topic, handover)) = self.handover_deadlines.pop_due(now) {
            self.handover_overdue(io, &topic, handover);
        }
        self.end_overdue_gathers(io);
        while let Some(topic) = self.retries.pop_due(now) {
            self.retry(io, &topic);
        }
        while let Some(topic) = self.idle.pop_due(now) {
            if let Some(owned) = self.topics.get_mut(&topic) {
                owned.listed_idle = false;
            }
            self.tidy(io, &topic);
        }
    }

    /// Who has not been claimed since the nth break of a link has left.
    fn grace_is_over(&mut self, io: &mut Io, nth: u64) {
        let topics: Vec<Topic> = self.topics.keys().cloned().collect();
        for topic in topics {
            let Some(owned) = self.topics.get(&topic) else { continue };
            for session in owned.members.doubted_since(nth) {
                self.remove_member(io, &topic, session);
            }
            self.tidy(io, &topic);
        }
    }

    /// Says something to every shard that has members of a topic.
    fn announce(io: &mut Io, owned: &OwnedTopic, topic: &Topic, delivery: &Delivery) {
        let one = usize::from(trunkline_planted::is("tell all shards but one"));
        for home in owned.members.subscribers().skip(one) {
            let (topic, delivery) = (topic.clone(), delivery.clone());
            io.tell(home, PeerMessage::Deliver { topic, delivery });
        }
    }

    /// Lets go of a topic that nobody is in and that has nothing under way. What it remembers of
    /// its publishers keeps it a little longer.
    fn tidy(&mut self, io: &Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if !owned.is_at_rest() {
            return;
        }
        let remembers = owned.dedupe.as_mut().is_some_and(|dedupe| {
            dedupe.expire(io.now.mono);
            !dedupe.is_empty()
        });
        if !remembers {
            self.topics.remove(topic);
        } else if !owned.listed_idle {
            owned.listed_idle = true;
            self.idle.push(io.now.mono, topic.clone());
        }
    }
}
