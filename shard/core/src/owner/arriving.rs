//! Topics that their old owners give to this shard. What comes is kept durably before the old owner
//! hears of it. Its members are in doubt until their homes claim them: nobody is told that they came
//! or went.

use std::collections::{BTreeMap, VecDeque};

use super::graces::Graces;
use super::topic::{OwnedTopic, Serves, Stage, Title};
use super::transfer::{Assembly, Ceded, People};
use super::{Owner, Waiting};
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::dedupe::Dedupe;
use crate::link::{ShardIndex, Via};
use crate::log::{Held, LogOutcome, LogRequest};
use crate::output::Output;
use crate::peer::{PeerMessage, TransferPart};
use crate::position::Epoch;
use crate::settings::CoreSettings;
use crate::time::Mono;
use crate::topic::Topic;

/// Bytes of parts of one peer that are not whole topics.
const BYTES: usize = 1 << 30;

/// What one old owner has given.
#[derive(Debug)]
struct Arrival {
    from: Via,
    people: People,
    /// Until when there may be others.
    doubtful_until: Mono,
    held: Option<Box<Held>>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting,
    /// What this shard's own log has is looked at.
    Comparing,
    Importing,
}

/// Whether all that arrives is known here: it is no more of the same history, or one in which nothing
/// was ever said, which a shard began while it could not know of this one.
fn adds_nothing(held: &Held, epoch: &Epoch, last: u64) -> bool {
    held.last == 0 || (held.epoch == *epoch && held.last <= last)
}

/// All that arrives.
#[derive(Debug)]
pub(super) struct Arriving {
    parts: BTreeMap<(ShardIndex, Topic), Assembly>,
    bytes: BTreeMap<ShardIndex, usize>,
    arrivals: BTreeMap<Topic, VecDeque<Arrival>>,
    graces: Graces,
    retries: Deadlines<Topic>,
}

impl Arriving {
    pub(super) fn new(settings: &CoreSettings) -> Self {
        Self {
            parts: BTreeMap::new(),
            bytes: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            graces: Graces::new(settings.grace),
            retries: Deadlines::new(super::LOG_RETRY),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    pub(super) fn is_arriving(&self, topic: &Topic) -> bool {
        self.arrivals.contains_key(topic)
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        [self.graces.next(), self.retries.next()].into_iter().flatten().min()
    }

    /// A partial topic goes with its link.
    pub(super) fn link_down(&mut self, peer: ShardIndex) {
        self.parts.retain(|(from, _), _| *from != peer);
        self.bytes.remove(&peer);
    }

    fn front(&mut self, topic: &Topic) -> Option<&mut Arrival> {
        self.arrivals.get_mut(topic)?.front_mut()
    }
}

impl Owner {
    /// A part of a topic has come.
    pub(crate) fn transfer(
        &mut self,
        io: &mut Io,
        from: ShardIndex,
        topic: Topic,
        part: TransferPart,
    ) {
        let is_last = part.last;
        let key = (from, topic);
        let assembly = self.arriving.parts.entry(key.clone()).or_default();
        let before = assembly.bytes();
        let now = assembly.add(part);
        let bytes = self.arriving.bytes.entry(from).or_default();
        *bytes = (*bytes + now).saturating_sub(before);
        if *bytes > BYTES {
            return io.output(Output::CutLink { peer: from, reason: "too much is transferred" });
        }
        if !is_last {
            return;
        }
        *bytes = bytes.saturating_sub(now);
        let Some(assembly) = self.arriving.parts.remove(&key) else { return };
        let (_, topic) = key;
        let Ok((people, held)) = assembly.finish() else {
            return io.output(Output::CutLink { peer: from, reason: "a transfer has a hole" });
        };
        if io.owner_of(&topic) != io.links.me() || self.has_sent(&topic, from) {
            // Whoever has a topic has it until the one to whom it goes takes it for its own. Two who
            // have sent it to each other both keep theirs, and look again whose it is.
            return io.tell(from, PeerMessage::NotTaken { topic });
        }
        let from = io.links.via(from);
        let doubtful_until = io.now.mono + people.doubt.min(io.settings.grace);
        let arrival = Arrival { from, people, doubtful_until, held, step: Step::Waiting };
        self.arriving.arrivals.entry(topic.clone()).or_default().push_back(arrival);
        self.take_in(io, &topic);
    }

    /// Goes on with what was given of a topic.
    pub(super) fn take_in(&mut self, io: &mut Io, topic: &Topic) {
        let Some(arrival) = self.arriving.front(topic) else { return };
        if arrival.step != Step::Waiting {
            return;
        }
        let Some(owned) = self.topics.get_mut(topic) else {
            return if arrival.held.is_some() {
                self.compare(io, topic);
            } else {
                self.accept(io, topic);
            };
        };
        if let Serves::Leaving { .. } = owned.serves {
            // It is taken in when it has gone, or stays.
            return;
        }
        let asked =
            |(of, waiting): &(Topic, Waiting)| of == topic && matches!(waiting, Waiting::Open);
        match (&owned.stage, &arrival.held) {
            (_, None) => self.accept(io, topic),
            (Stage::Open(tail), Some(held)) if adds_nothing(held, tail.epoch(), tail.last()) => {
                self.accept(io, topic);
            }
            (Stage::Open(_), Some(_)) => {
                // Two histories: what arrives counts. What is asked meanwhile is asked again.
                self.stop_serving(io, topic, Serves::Merging);
                if self.topics.get(topic).is_some_and(|it| it.is_drained()) {
                    self.import(io, topic);
                }
            }
            (Stage::Opening { before: None, .. }, Some(_)) if !self.tickets.values().any(asked) => {
                self.compare(io, topic);
            }
            (Stage::Opening { .. }, Some(_)) => {}
        }
    }

    fn compare(&mut self, io: &mut Io, topic: &Topic) {
        if let Some(arrival) = self.arriving.front(topic) {
            arrival.step = Step::Comparing;
        }
        let export = |ticket, topic| LogRequest::Export { ticket, topic };
        self.ask_log(io, topic, Waiting::Compare, export);
    }

    /// What this shard's own log has of it.
    pub(super) fn compared(&mut self, io: &mut Io, topic: &Topic, outcome: &LogOutcome) {
        let Some(arrival) = self.arriving.front(topic) else { return };
        let LogOutcome::Exported(own) = outcome else {
            arrival.step = Step::Waiting;
            return self.arriving.retries.push(io.now.mono, topic.clone());
        };
        let is_better = match (own, &arrival.held) {
            (Some(own), Some(held)) => adds_nothing(held, &own.epoch, own.last),
            _ => false,
        };
        let is_better = is_better && !trunkline_planted::is("take what is shorter");
        if is_better { self.accept(io, topic) } else { self.import(io, topic) }
    }

    fn import(&mut self, io: &mut Io, topic: &Topic) {
        let Some(arrival) = self.arriving.front(topic) else { return };
        let Some(held) = arrival.held.clone() else { return };
        arrival.step = Step::Importing;
        let import = |ticket, topic| LogRequest::Import { ticket, topic, held };
        self.ask_log(io, topic, Waiting::Import, import);
    }

    pub(super) fn imported(&mut self, io: &mut Io, topic: &Topic, outcome: &LogOutcome) {
        if !matches!(outcome, LogOutcome::Imported) {
            if let Some(arrival) = self.arriving.front(topic) {
                arrival.step = Step::Waiting;
                self.arriving.retries.push(io.now.mono, topic.clone());
            }
            return;
        }
        if let Some(owned) = self.topics.get_mut(topic)
            && owned.serves == Serves::Merging
        {
            owned.serves = Serves::Yes;
            self.reopen(io, topic);
        }
        self.accept(io, topic);
    }

    /// It is kept: its members come, and the old owner may forget it.
    fn accept(&mut self, io: &mut Io, topic: &Topic) {
        let Some(arrivals) = self.arriving.arrivals.get_mut(topic) else { return };
        let Some(Arrival { from, people, doubtful_until, .. }) = arrivals.pop_front() else {
            return;
        };
        if arrivals.is_empty() {
            self.arriving.arrivals.remove(topic);
        }
        self.moving.lent.is_back(topic, from.peer);
        let People { members, left, news, doubt: _, ceded } = people;
        if io.now.mono < doubtful_until {
            // For a topic that isn't in memory it is remembered by who has given it.
            self.owed.doubt(from.peer, doubtful_until);
            if let Some(owned) = self.topics.get_mut(topic) {
                owned.doubtful_until = owned.doubtful_until.max(doubtful_until);
            }
        }
        if !members.is_empty() && !trunkline_planted::is("bring nobody along") {
            let nth = self.arrival_grace(io);
            let owned = self.topics.entry(topic.clone()).or_default();
            let (was_empty, before) = (owned.members.is_empty(), owned.members.sessions());
            if let Topic::Room(..) = topic {
                owned.expects(members.iter().map(|(_, home)| *home).collect(), nth);
            }
            for (member, home) in members {
                owned.members.arrive(home, member, nth);
            }
            owned.take_over(news);
            if let Topic::Room(..) = topic {
                self.tally.rooms += usize::from(was_empty && !owned.members.is_empty());
                self.tally.members += owned.members.sessions() - before;
            }
        }
        for (session, attachment) in left {
            // Who has been here since it left there is in.
            let Some(owned) = self.topics.get(topic) else { break };
            if owned.members.present(session).is_none_or(|present| present < attachment) {
                self.part(io, topic, session, attachment);
            }
        }
        let is_opening = |it: &OwnedTopic| matches!(it.stage, Stage::Opening { before: None, .. });
        let asked =
            |(of, waiting): &(Topic, Waiting)| of == topic && matches!(waiting, Waiting::Open);
        let waits_to_be_opened = self.topics.get(topic).is_some_and(|it| is_opening(it))
            && !self.tickets.values().any(asked);
        if let Some(owned) = self.topics.get_mut(topic) {
            let deed = ceded.as_ref().map(|it| it.deed.clone());
            if waits_to_be_opened {
                owned.title.given(deed);
            } else {
                owned.title = Title::Unclear;
            }
            if let Some(Ceded { answers, deed: _ }) = ceded {
                let window = io.settings.key_window;
                let dedupe = owned.dedupe.get_or_insert_with(|| Box::new(Dedupe::new(window)));
                dedupe.take_over(io.now.mono, answers);
            }
        }
        io.answer(from, PeerMessage::Transferred { topic: topic.clone() });
        if waits_to_be_opened {
            self.open_for_sure(io, topic, Some(from.peer));
        }
        // It has been opened before, and the old owner has written to it since.
        self.look_again(io, topic);
        self.take_in(io, topic);
        self.place_again(io, topic);
    }

    /// The grace of those who are in doubt from now on.
    pub(super) fn arrival_grace(&mut self, io: &Io) -> u64 {
        self.arriving.graces.begin(io.now.mono, &mut self.doubts)
    }

    pub(super) fn run_arriving_timers(&mut self, io: &mut Io) {
        while let Some(nth) = self.arriving.graces.pop_over(io.now.mono) {
            self.grace_is_over(io, nth);
        }
        while let Some(topic) = self.arriving.retries.pop_due(io.now.mono) {
            self.take_in(io, &topic);
        }
    }
}
