//! Topics that by the view are another's go there: those with members first, then what is in
//! memory, then what is at rest in the log.
//!
//! A topic is served until its turn has come. Then whoever asks is refused as one who has to ask
//! another; when what was under way is done, the homes are told that all has been said, and
//! what is known goes to the new owner, which says when it keeps it. If the link breaks in between, it
//! begins again.

mod early;
mod leaving;
mod lent;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_config::{View, ViewId};

use self::early::Early;
use self::lent::Lent;
use super::topic::{Serves, Stage};
use super::{Owner, Waiting};
use crate::Ticket;
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::link::ShardIndex;
use crate::log::{LogOutcome, LogRequest};
use crate::output::Output;
use crate::peer::PeerMessage;
use crate::position::Position;
use crate::settings::LogReach;
use crate::time::Mono;
use crate::topic::Topic;

/// Topics on their way to one peer.
const UNDER_WAY: usize = 64;
/// Bytes on their way to one peer, unless one topic alone is larger.
const BYTES: usize = 4 * 1024 * 1024;
/// Topics that are listed at a time.
const PAGE: usize = 512;
/// A new owner whose view is another is asked again after this long.
const AGAIN: Duration = Duration::from_millis(20);
/// How long private messages that are being handed over are waited for.
const HANDOVERS: Duration = Duration::from_secs(1);

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Its new owner was asked for it.
    Wanted,
    Live,
    InMemory,
    AtRest,
}

#[derive(Debug)]
struct UnderWay {
    to: ShardIndex,
    step: Step,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// What was asked before is being done.
    Draining,
    /// The log is asked for all of it.
    Exporting,
    /// The new owner has been told everything.
    Sent,
}

/// All topics that are another's.
#[derive(Debug)]
pub(super) struct Moving {
    waiting: BTreeMap<ShardIndex, BTreeSet<(Urgency, Topic)>>,
    under_way: BTreeMap<Topic, UnderWay>,
    /// Their new owner did not take them, or the log did not give them.
    deferred: BTreeSet<Topic>,
    again: Deadlines<Topic>,
    later: Deadlines<Topic>,
    handovers: Deadlines<Topic>,
    listing: Listing,
    early: Early,
    pub(super) lent: Lent,
    /// Whether peers must be told that nothing is left, once that is so.
    is_unsaid: bool,
    said: Option<ViewId>,
}

/// Whether it is known what is at rest.
#[derive(Debug)]
enum Listing {
    Done,
    Asked(Ticket),
    Failed(Mono, Option<Topic>),
}

impl Moving {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
            deferred: BTreeSet::new(),
            again: Deadlines::new(AGAIN),
            later: Deadlines::new(super::LOG_RETRY),
            handovers: Deadlines::new(HANDOVERS),
            listing: Listing::Done,
            early: Early::default(),
            lent: Lent::default(),
            is_unsaid: true,
            said: None,
        }
    }

    /// How many have not gone.
    pub(super) fn len(&self) -> usize {
        let waiting: usize = self.waiting.values().map(BTreeSet::len).sum();
        waiting + self.under_way.len() + self.deferred.len()
    }

    fn is_done(&self) -> bool {
        self.len() == 0 && matches!(self.listing, Listing::Done)
    }

    fn wait(&mut self, to: ShardIndex, urgency: Urgency, topic: Topic) {
        let waiting = self.waiting.entry(to).or_default();
        if waiting.contains(&(Urgency::Wanted, topic.clone())) {
            return;
        }
        for other in [Urgency::Live, Urgency::InMemory, Urgency::AtRest] {
            waiting.remove(&(other, topic.clone()));
        }
        waiting.insert((urgency, topic));
    }

    fn has_room(&self, to: ShardIndex) -> bool {
        let mut load = (0, 0);
        for it in self.under_way.values().filter(|it| it.to == to) {
            load = (load.0 + 1, load.1 + it.bytes);
        }
        load.0 < UNDER_WAY && load.1 < BYTES
    }

    fn next(&mut self, to: ShardIndex) -> Option<Topic> {
        if !self.has_room(to) {
            return None;
        }
        let waiting = self.waiting.get_mut(&to)?;
        let next = waiting.pop_first().map(|(_, topic)| topic);
        if waiting.is_empty() {
            self.waiting.remove(&to);
        }
        next
    }

    fn step(&self, topic: &Topic) -> Option<Step> {
        self.under_way.get(topic).map(|it| it.step)
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        let listing = match self.listing {
            Listing::Failed(at, _) => Some(at),
            _ => None,
        };
        [self.again.next(), self.later.next(), self.handovers.next(), listing]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Owner {
    /// Finds what is another's now, and what is this shard's again.
    pub(super) fn sort_out(&mut self, io: &mut Io, before: &View) {
        let me = io.links.me();
        let under_way: Vec<Topic> = self.moving.under_way.keys().cloned().collect();
        for topic in under_way {
            let Some(UnderWay { to, step, .. }) = self.moving.under_way.get(&topic) else {
                continue;
            };
            // Whoever has been given it gives it on.
            if *step != Step::Sent && *to != io.owner_of(&topic) {
                self.stop_moving(&topic);
            }
        }
        self.moving.waiting.clear();
        self.moving.deferred.clear();
        let topics: Vec<Topic> = self.topics.keys().cloned().collect();
        for topic in topics {
            if self.moving.under_way.contains_key(&topic) {
                continue;
            }
            if io.owner_of(&topic) == me {
                self.come_home(io, &topic);
                if before.owner(&topic.key()) != me.0 {
                    self.look_again(io, &topic);
                }
            } else {
                self.queue_to_move(io, &topic);
            }
        }
        self.list(io, None);
        self.moving.is_unsaid = true;
        self.move_on(io);
    }

    /// Looks for what is at rest here and belongs elsewhere.
    pub(super) fn list(&mut self, io: &mut Io, after: Option<Topic>) {
        if io.settings.log == LogReach::Cluster {
            return;
        }
        let ticket = io.ticket();
        self.moving.listing = Listing::Asked(ticket);
        io.output(Output::Log(LogRequest::List { ticket, after, limit: PAGE }));
    }

    /// Takes the log's list, if it is one.
    pub(super) fn listed(&mut self, io: &mut Io, ticket: Ticket, outcome: &LogOutcome) -> bool {
        let Listing::Asked(asked) = self.moving.listing else { return false };
        if asked != ticket {
            return false;
        }
        let LogOutcome::Topics { topics, more } = outcome else {
            // From the beginning: a list is seldom long, and a store seldom fails.
            self.moving.listing = Listing::Failed(io.now.mono + super::LOG_RETRY, None);
            return true;
        };
        let me = io.links.me();
        for topic in topics {
            let known = self.topics.contains_key(topic)
                || self.moving.under_way.contains_key(topic)
                || self.moving.deferred.contains(topic);
            let owner = io.owner_of(topic);
            if owner != me && !known {
                self.moving.wait(owner, Urgency::AtRest, topic.clone());
            }
        }
        match topics.last() {
            Some(last) if *more => self.list(io, Some(last.clone())),
            _ => self.moving.listing = Listing::Done,
        }
        self.move_on(io);
        true
    }

    fn queue_to_move(&mut self, io: &Io, topic: &Topic) {
        let urgency = match self.topics.get(topic) {
            Some(owned) if !owned.members.is_empty() => Urgency::Live,
            Some(_) => Urgency::InMemory,
            None => Urgency::AtRest,
        };
        self.moving.wait(io.owner_of(topic), urgency, topic.clone());
    }

    /// A topic that was given to this shard, or was to be moved, is looked at again.
    pub(super) fn place_again(&mut self, io: &mut Io, topic: &Topic) {
        self.moving.is_unsaid = true;
        if self.moving.under_way.contains_key(topic) {
            return;
        }
        if io.owner_of(topic) == io.links.me() {
            self.come_home(io, topic);
        } else {
            self.queue_to_move(io, topic);
            self.move_on(io);
        }
    }

    /// Begins with as many as may be under way.
    pub(super) fn move_on(&mut self, io: &mut Io) {
        let mut peers: Vec<ShardIndex> = self.moving.waiting.keys().copied().collect();
        peers.retain(|peer| io.links.is_up(*peer));
        for peer in peers {
            while let Some(topic) = self.moving.next(peer) {
                self.begin_to_move(io, peer, &topic);
            }
        }
    }

    /// A new owner has been asked for a topic.
    pub(crate) fn wanted(&mut self, io: &mut Io, from: ShardIndex, topic: Topic, view: ViewId) {
        if trunkline_planted::is("lack what is there") {
            return io.tell(from, PeerMessage::Lacks { topic, view });
        }
        if view != io.view().id() && !trunkline_planted::is("answer for another view") {
            return self.moving.early.keep(from, view, topic);
        }
        if io.owner_of(&topic) != from || self.moving.under_way.contains_key(&topic) {
            return;
        }
        if self.arriving.is_arriving(&topic) {
            return;
        }
        self.moving.deferred.remove(&topic);
        self.moving.wait(from, Urgency::Wanted, topic);
        self.move_on(io);
    }

    /// What peers want in the view that has come.
    pub(super) fn take_up_wants(&mut self, io: &mut Io) {
        let view = io.view().id();
        for (from, topic) in self.moving.early.take(view) {
            self.wanted(io, from, topic, view);
        }
    }

    fn stop_moving(&mut self, topic: &Topic) {
        self.moving.under_way.remove(topic);
        self.tickets.retain(|_, (of, waiting)| of != topic || !matches!(waiting, Waiting::Export));
    }

    /// A topic is this shard's after all.
    fn come_home(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Serves::Leaving { parted } = std::mem::replace(&mut owned.serves, Serves::Yes) else {
            return;
        };
        let is_open = matches!(owned.stage, Stage::Open(_));
        if parted {
            let nth = self.arrival_grace(io);
            let Some(owned) = self.topics.get_mut(topic) else { return };
            owned.members.doubt_all(nth);
            owned.expects(owned.members.homes(), nth);
            // What the log had of it may have been ceded.
            let is_ceded = io.settings.log == LogReach::Cluster;
            if is_open && (is_ceded || self.owed.may_have(io.links.me(), topic)) {
                owned.stage = Stage::default();
                self.open_for_sure(io, topic, None);
                return self.take_in(io, topic);
            }
        }
        let asked = |(of, waiting): &(Topic, Waiting)| {
            of == topic && matches!(waiting, Waiting::Open | Waiting::Recover { .. })
        };
        if !is_open && !self.tickets.values().any(asked) {
            self.open_for_sure(io, topic, None);
        }
        if parted {
            self.look_again(io, topic);
        }
        self.take_in(io, topic);
        self.tidy(io, topic);
    }

    /// With a log that all shards share, others may have written to a topic that was theirs for a
    /// while. Until it is known, nobody is told where it stands.
    pub(super) fn look_again(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get(topic) else { return };
        let is_open = matches!(owned.stage, Stage::Open(_)) && owned.serves == Serves::Yes;
        if io.settings.log == LogReach::Cluster && is_open {
            // What became of a batch that is under way, the log says too: it opens the topic after it.
            self.tickets.retain(|_, (of, it)| of != topic || !matches!(it, Waiting::Append));
            self.reopen(io, topic);
        }
    }

    /// With a log that all shards share, who has had more than this shard knows of has had it from another
    /// owner: one who didn't know yet that the topic is this one's, or who knew before this one.
    pub(super) fn look_for(&mut self, io: &mut Io, topic: &Topic, place: &Position) {
        if io.settings.log != LogReach::Cluster {
            return;
        }
        let tail = self.topics.get_mut(topic).and_then(|owned| owned.tail_mut());
        if tail.is_some_and(|tail| tail.seeks(place)) {
            self.look_again(io, topic);
        }
    }

    pub(super) fn moving_link_down(&mut self, io: &mut Io, peer: ShardIndex) {
        self.moving.early.forget(peer);
        let of_peer = |(topic, it): (&Topic, &UnderWay)| {
            (it.to == peer).then(|| (topic.clone(), it.step == Step::Sent))
        };
        let under_way: Vec<_> = self.moving.under_way.iter().filter_map(of_peer).collect();
        for (topic, was_sent) in under_way {
            self.stop_moving(&topic);
            if was_sent {
                self.moving.lent.note(&topic, peer);
            }
            self.place_again(io, &topic);
        }
    }

    /// A peer that has come is told that it need not wait for anything from here.
    pub(super) fn moving_link_up(&mut self, io: &mut Io, peer: ShardIndex) {
        self.move_on(io);
        let view = io.view().id();
        if self.moving.said == Some(view) && self.is_settled() {
            io.tell(peer, PeerMessage::Settled { view });
        }
    }

    /// Whether nothing is here that by the view is another's.
    pub(crate) fn is_settled(&self) -> bool {
        self.moving.is_done() && self.arriving.is_empty()
    }

    /// Another view has come, by which nothing moves.
    pub(super) fn say_again(&mut self, io: &mut Io) {
        self.moving.is_unsaid = true;
        self.move_on(io);
    }

    /// Tells all peers when nothing is left.
    pub(crate) fn say_settled(&mut self, io: &mut Io) {
        if !self.moving.is_unsaid || !self.is_settled() {
            return;
        }
        self.moving.is_unsaid = false;
        let view = io.view().id();
        self.moving.said = Some(view);
        for peer in io.links.others() {
            io.tell(peer, PeerMessage::Settled { view });
        }
    }

    pub(super) fn run_moving_timers(&mut self, io: &mut Io) {
        let now = io.now.mono;
        while let Some(topic) =
            self.moving.again.pop_due(now).or_else(|| self.moving.later.pop_due(now))
        {
            if self.moving.deferred.remove(&topic) {
                self.place_again(io, &topic);
            }
        }
        while let Some(topic) = self.moving.handovers.pop_due(now) {
            if self.moving.step(&topic) == Some(Step::Draining) {
                self.end_handovers(io, &topic);
                self.part_with(io, &topic);
            }
        }
        if let Listing::Failed(at, after) = &self.moving.listing
            && *at <= now
        {
            let after = after.clone();
            self.list(io, after);
        }
    }
}
