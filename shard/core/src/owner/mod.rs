//! The half of a core that owns topics: the rooms and inboxes that hash to this shard.
//!
//! It gives every message its place, knows who is there, and says so to the homes. It knows no
//! connection and no dialect.

mod append;
mod arriving;
mod gather;
mod graces;
mod handing;
mod join;
mod left;
mod members;
mod moving;
mod opening;
mod owed;
mod refused;
mod serve;
mod tail;
mod topic;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_config::View;

use self::arriving::Arriving;
use self::gather::Gathering;
use self::graces::Graces;
use self::join::CatchUp;
use self::members::Doubt;
use self::moving::Moving;
use self::owed::Owed;
use self::refused::Refused;
use self::topic::{OwnedTopic, Serves};
use crate::Ticket;
use crate::asker::Asker;
use crate::attachment::Attachment;
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::link::ShardIndex;
use crate::log::{LogFailure, LogOutcome};
use crate::peer::{
    Action, Delivery, GatherId, HandoverId, Member, PeerMessage, Refusal, Reply, RequestId,
};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::settings::{CoreSettings, LogReach};
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
    /// All of a topic, to give it away.
    Export,
    /// All of a topic, to compare it with what is given.
    Compare,
    Import,
}

/// What the log has been asked, and of which topics.
type Tickets = BTreeMap<Ticket, (Topic, Waiting)>;

/// The topics of this shard.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Boxed, as they are large and a tree's nodes are never full.
    topics: BTreeMap<Topic, Box<OwnedTopic>>,
    owed: Owed,
    moving: Moving,
    arriving: Arriving,
    refused: Refused,
    tickets: Tickets,
    tally: Tally,
    /// Until then there may be members of an earlier process of this shard who have not come back.
    doubtful_until: Mono,
    /// How often there was reason to doubt that members are there.
    doubts: u64,
    graces: Deadlines<u64>,
    /// Of those whose home can't see their router. It should say in time what becomes of them, but may
    /// say it to another owner.
    out_of_sight: Graces,
    handovers: u64,
    handover_deadlines: Deadlines<(Topic, HandoverId)>,
    gathers: u64,
    /// Messages that clients are asked to acknowledge, whoever owns their topics by now.
    gathering: BTreeMap<GatherId, Gathering>,
    gather_deadlines: BTreeSet<(Mono, GatherId)>,
    retries: Deadlines<Topic>,
    idle: Deadlines<Topic>,
}

#[derive(Debug, Default)]
struct Tally {
    rooms: usize,
    members: usize,
}

impl Owner {
    pub(crate) fn new(owed: BTreeSet<ShardIndex>, view: &View, settings: &CoreSettings) -> Self {
        Self {
            owed: Owed::new(owed, view),
            moving: Moving::new(),
            arriving: Arriving::new(settings),
            refused: Refused::new(),
            topics: BTreeMap::new(),
            tickets: BTreeMap::new(),
            tally: Tally::default(),
            doubtful_until: Mono::default(),
            doubts: 0,
            graces: Deadlines::new(settings.grace),
            out_of_sight: Graces::new(late_by(settings)),
            handovers: 0,
            handover_deadlines: Deadlines::new(settings.handover_timeout),
            gathers: 0,
            gathering: BTreeMap::new(),
            gather_deadlines: BTreeSet::new(),
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

    /// Topics that are another's and have not gone, and those that have not quite come.
    pub(crate) fn moving(&self) -> usize {
        self.moving.len()
    }

    /// A new process looks for what is at rest here and belongs elsewhere.
    pub(crate) fn begin(&mut self, io: &mut Io) {
        if io.settings.log == LogReach::Shard {
            self.list(io, None);
        }
    }

    /// There is another map, or a shard is away or serves again.
    pub(crate) fn view_changed(&mut self, io: &mut Io, before: &View) {
        self.owed_after(io, before);
        if io.view().places_like(before) {
            // Peers wait for the word of this view.
            self.say_again(io);
            return self.take_up_wants(io);
        }
        self.sort_out(io, before);
        self.take_up_wants(io);
    }

    pub(crate) fn link_up(&mut self, io: &mut Io, peer: ShardIndex) {
        let lasts = self.doubtful_until.since(io.now.mono);
        if lasts > Duration::ZERO {
            io.tell(peer, PeerMessage::Doubt { lasts });
        }
        self.owed_link_up(io, peer);
        self.moving_link_up(io, peer);
    }

    /// There was an earlier process of this shard: presence is not sure for a while.
    pub(crate) fn doubt(&mut self, io: &mut Io) {
        self.doubtful_until = io.now.mono + io.settings.grace;
        for peer in io.links.others() {
            io.tell(peer, PeerMessage::Doubt { lasts: io.settings.grace });
        }
    }

    /// There was an earlier process of a peer. Who was in its topics may come back to this shard, if it
    /// has them next.
    pub(crate) fn doubted(&mut self, io: &Io, from: ShardIndex, lasts: Duration) {
        let until = io.now.mono + lasts.min(io.settings.grace);
        // Whose they were before it began a process can't tell.
        let is_new = self.owed.is_new(io);
        if is_new {
            self.owed.doubtful_until = self.owed.doubtful_until.max(until);
        } else {
            self.owed.doubt(from, until);
        }
        for (topic, owned) in &mut self.topics {
            if is_new || self.owed.was_of(from, topic) {
                owned.doubtful_until = owned.doubtful_until.max(until);
            }
        }
    }

    /// Until when a topic may have members of whom this shard has not heard.
    fn doubt_of(&self, topic: &Topic) -> Mono {
        let owned = self.topics.get(topic).map(|owned| owned.doubtful_until).unwrap_or_default();
        self.doubtful_until.max(owned).max(self.owed.doubt_of(topic))
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
        let asker = Asker { via: io.links.via(home), request };
        if !self.refused.is_empty() && self.refused.overtakes(home, &topic, request) {
            return self.refuse_moved(io, asker, &topic);
        }
        if let Action::Join { after: Some(after) } = &action {
            self.look_for(io, &topic, after);
        }
        let owned = match self.topics.get_mut(&topic) {
            Some(owned) => Some(&mut **owned),
            None => self.open_if_owned(io, &topic),
        };
        let Some(owned) = owned.filter(|owned| owned.serves == Serves::Yes) else {
            return self.refuse_moved(io, asker, &topic);
        };
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
        self.look_for(io, &topic, &after);
        let owned = match self.topics.get_mut(&topic) {
            Some(owned) => Some(&mut **owned),
            None => self.open_if_owned(io, &topic),
        };
        let Some(owned) = owned.filter(|owned| owned.serves == Serves::Yes) else {
            return io.tell(home, PeerMessage::Parted { topic });
        };
        for member in &members {
            if !owned.members.is_late(member.session, member.attachment) {
                owned.members.claimed(home, member.session, member.attachment);
            }
        }
        if let Some(queue) = owned.queue_for(home, true) {
            // Claims are few (one per topic and link), so that their bound is never met.
            let _ = queue.push(home, PeerMessage::Claim { topic, after, members });
            return;
        }
        self.begin_claim(io, home, &topic, after, members);
    }

    /// Opens a topic that isn't in memory; `None` if it is another shard's.
    fn open_if_owned(&mut self, io: &mut Io, topic: &Topic) -> Option<&mut OwnedTopic> {
        if io.owner_of(topic) != io.links.me() {
            return None;
        }
        self.open(io, topic);
        self.topics.get_mut(topic).map(Box::as_mut)
    }

    /// Another shard is to be asked, or this one again when it serves the topic.
    fn refuse_moved(&mut self, io: &mut Io, asker: Asker, topic: &Topic) {
        self.refused.note(io.now.mono, asker.via.peer, topic, asker.request);
        asker.answer(io, Err(Refusal::Moved));
    }

    /// A session is no member any more, and wants no answer.
    pub(crate) fn forget(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: Topic,
        session: SessionId,
        attachment: Attachment,
    ) {
        let Some(owned) = self.topics.get_mut(&topic).filter(|it| it.may_announce()) else {
            return;
        };
        if let Some(queue) = owned.queue_for(home, true) {
            return queue.push_anyway(home, PeerMessage::Forget { topic, session, attachment });
        }
        // What a session that was attached more than once has said may come again by another way.
        if attachment.is_first()
            && let Some(dedupe) = &mut owned.dedupe
        {
            dedupe.forget(session);
        }
        self.part(io, &topic, session, attachment);
        self.tidy(io, &topic);
    }

    /// A session leaves by one of its attachments.
    fn part(&mut self, io: &mut Io, topic: &Topic, session: SessionId, attachment: Attachment) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if owned.members.is_late(session, attachment) {
            return;
        }
        if owned.joins_later(session, attachment) {
            // It has not left, unless that comes to nothing.
            return self.expect_again(io, topic, session);
        }
        owned.cancel_join(io, &mut self.tickets, session);
        self.remove_member(io, topic, session);
        if let (false, Some(owned)) = (attachment.is_first(), self.topics.get_mut(topic)) {
            owned.members.has_left(session, attachment, remembered_until(io));
        }
    }

    /// A member may be gone, but for a while from now on nobody says so.
    fn expect_again(&mut self, io: &Io, topic: &Topic, session: SessionId) {
        let nth = self.arrival_grace(io);
        if let Some(owned) = self.topics.get_mut(topic) {
            owned.members.doubt(session, Doubt::Link(nth));
        }
    }

    /// A member's router can't be seen by its home. What the session still waits for is void.
    pub(crate) fn suspend(
        &mut self,
        io: &mut Io,
        home: ShardIndex,
        topic: Topic,
        session: SessionId,
        attachment: Attachment,
    ) {
        let Some(owned) = self.topics.get_mut(&topic).filter(|it| it.may_announce()) else {
            return;
        };
        if let Some(queue) = owned.queue_for(home, true) {
            return queue.push_anyway(home, PeerMessage::Suspend { topic, session, attachment });
        }
        if trunkline_planted::is("let go of who is suspended") {
            return self.remove_member(io, &topic, session);
        }
        if owned.members.is_late(session, attachment) {
            return;
        }
        let nth = self.out_of_sight.begin(io.now.mono, &mut self.doubts);
        owned.members.suspend(home, session, attachment, nth);
        if !owned.joins_later(session, attachment) {
            owned.cancel_join(io, &mut self.tickets, session);
        }
    }

    /// The homes behind a broken link can't be delivered to; their sessions may come back.
    pub(crate) fn link_down(&mut self, io: &mut Io, peer: ShardIndex) {
        self.doubts += 1;
        self.refused.link_down(peer);
        self.arriving.link_down(peer);
        self.answers_no_more(io, peer);
        self.tickets.retain(|_, (_, waiting)| match waiting {
            Waiting::CatchUp(catch_up) => catch_up.home() != peer,
            _ => true,
        });
        let mut any = false;
        let topics: Vec<Topic> = self.topics.keys().cloned().collect();
        for topic in topics {
            let Some(owned) = self.topics.get_mut(&topic) else { continue };
            any |= owned.members.doubt_shard(peer, self.doubts);
            owned.joining.retain(|_, joining| joining.asker.via.peer != peer);
            owned.claiming.remove(&peer);
            owned.forget_queued(peer);
            self.handed_all(io, &topic, peer);
            self.tidy(io, &topic);
        }
        if any {
            self.graces.push(io.now.mono, self.doubts);
        }
        self.owed_link_down(io, peer);
        self.moving_link_down(io, peer);
    }

    pub(crate) fn log(&mut self, io: &mut Io, ticket: Ticket, outcome: LogOutcome) {
        let Some((topic, waiting)) = self.tickets.remove(&ticket) else {
            self.listed(io, ticket, &outcome);
            return;
        };
        match (waiting, outcome) {
            (Waiting::Open, outcome) => self.opened(io, &topic, outcome),
            (Waiting::Append, LogOutcome::Appended { first }) => {
                self.appended(io, &topic, first);
            }
            (Waiting::Append, _) if trunkline_planted::is("take a failure for done") => {
                self.appended(io, &topic, 1);
            }
            (Waiting::Append, outcome) => {
                if matches!(outcome, LogOutcome::Failed(LogFailure::Conflict)) {
                    self.append_again(&topic);
                }
                self.reopen(io, &topic);
            }
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
            (Waiting::Export, outcome) => self.exported(io, &topic, outcome),
            (Waiting::Compare, outcome) => self.compared(io, &topic, &outcome),
            (Waiting::Import, outcome) => self.imported(io, &topic, &outcome),
        }
        self.tidy(io, &topic);
    }

    pub(crate) fn next_timer(&mut self, io: &Io) -> Option<Mono> {
        [
            self.graces.next(),
            self.out_of_sight.next(),
            self.next_overdue_handover(io.now.mono),
            self.gather_deadlines.first().map(|(at, _)| *at),
            self.retries.next(),
            self.idle.next_roughly(),
            self.moving.next_timer(),
            self.arriving.next_timer(),
            self.owed.next_timer(io),
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
        while let Some(nth) = self.out_of_sight.pop_over(now) {
            self.grace_is_over(io, nth);
        }
        while let Some((topic, handover)) = self.handover_deadlines.pop_due(now) {
            self.handover_overdue(io, &topic, handover);
        }
        self.end_overdue_gathers(io);
        while let Some(topic) = self.retries.pop_due(now) {
            self.retry(io, &topic);
        }
        self.run_moving_timers(io);
        self.run_arriving_timers(io);
        if self.owes_somebody() {
            self.give_up_on_unlinked(io);
        }
        while let Some(topic) = self.idle.pop_due(now) {
            if let Some(owned) = self.topics.get_mut(&topic) {
                owned.listed_idle = false;
            }
            self.tidy(io, &topic);
        }
    }

    /// Who has been in doubt since the nth time that there was reason to has left, unless it is the log
    /// that is late.
    fn grace_is_over(&mut self, io: &mut Io, nth: u64) {
        let topics: Vec<Topic> = self.topics.keys().cloned().collect();
        for topic in topics {
            // Who is in a topic that is on its way is for its next owner to find out.
            let owned = self.topics.get_mut(&topic).filter(|it| it.may_announce());
            let Some(owned) = owned else { continue };
            owned.drop_news(nth);
            let doubted = owned.members.doubted_since(nth);
            if !doubted.is_empty() {
                let waiting = owned.those_who_wait();
                for session in doubted {
                    if waiting.contains(&session) {
                        self.expect_again(io, &topic, session);
                    } else {
                        self.remove_member(io, &topic, session);
                    }
                }
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
    fn tidy(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if owned.serves != Serves::Yes {
            self.part_with(io, topic);
            return self.take_in(io, topic);
        }
        if !self.arriving.is_empty() && self.arriving.is_arriving(topic) {
            return self.take_in(io, topic);
        }
        if !owned.is_at_rest() {
            return;
        }
        let mut remembers = owned.members.remember(io.now.mono);
        if let Some(dedupe) = &mut owned.dedupe {
            dedupe.expire(io.now.mono);
            remembers |= !dedupe.is_empty();
        }
        if !remembers {
            self.topics.remove(topic);
        } else if !owned.listed_idle {
            owned.listed_idle = true;
            self.idle.push(io.now.mono, topic.clone());
        }
    }
}

/// Until when it is known by which of its attachments a session has left: by then no home still says
/// anything of an earlier one.
fn remembered_until(io: &Io) -> Mono {
    io.now.mono + late_by(&io.settings)
}

/// How late a home may say anything of a session that it can't see any more.
fn late_by(settings: &CoreSettings) -> Duration {
    2 * (settings.grace + settings.request_timeout)
}
