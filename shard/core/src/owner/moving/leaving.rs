//! One topic's way to its new owner: it is served no more, what was under way is done, the homes
//! are told that all has been said, and then it is sent.

use bytes::Bytes;

use super::{Step, UnderWay};
use crate::core::Io;
use crate::dedupe::Dedupe;
use crate::link::ShardIndex;
use crate::log::{Held, LogOutcome, LogRequest};
use crate::output::Output;
use crate::owner::topic::{OwnedTopic, Serves, Stage, Title};
use crate::owner::transfer::{Ceded, People};
use crate::owner::{Owner, Waiting, transfer};
use crate::peer::{PeerMessage, Refusal};
use crate::settings::LogReach;
use crate::topic::Topic;

/// What the log has said of a topic that goes.
enum Given {
    All(Box<Held>),
    Deed(Bytes),
    Nothing,
}

impl Owner {
    pub(super) fn begin_to_move(&mut self, io: &mut Io, to: ShardIndex, topic: &Topic) {
        self.moving.deferred.remove(topic);
        if self.arriving.is_arriving(topic) {
            // It goes on when it is here.
            return;
        }
        let step = Step::Draining;
        self.moving.under_way.insert(topic.clone(), UnderWay { to, step, bytes: 0 });
        self.stop_serving(io, topic, Serves::Leaving { parted: false });
        match self.topics.get(topic) {
            Some(owned) => {
                if !owned.handing.is_empty() {
                    self.moving.handovers.push(io.now.mono, topic.clone());
                }
                self.part_with(io, topic);
            }
            None if io.settings.log == LogReach::Cluster => {
                self.moving.under_way.remove(topic);
                let view = io.view().id();
                io.tell(to, PeerMessage::Lacks { topic: topic.clone(), view });
            }
            None => self.export(io, topic),
        }
    }

    /// Asks the log for what the next owner is to be given: all that it has, or, if that one has the
    /// same log, from where to go on.
    fn export(&mut self, io: &mut Io, topic: &Topic) {
        if let Some(it) = self.moving.under_way.get_mut(topic) {
            it.step = Step::Exporting;
        }
        let reach = io.settings.log;
        let export = |ticket, topic| match reach {
            LogReach::Cluster => LogRequest::Cede { ticket, topic },
            LogReach::Process | LogReach::Shard => LogRequest::Export { ticket, topic },
        };
        self.ask_log(io, topic, Waiting::Export, export);
    }

    /// From here on whoever asks is refused; what was asked and isn't being done yet is refused too.
    pub(in crate::owner) fn stop_serving(&mut self, io: &mut Io, topic: &Topic, serves: Serves) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if owned.serves != Serves::Yes {
            return;
        }
        (owned.serves, owned.title) = (serves, Title::Unclear);
        let mut queues = owned.take_queues();
        for (home, mut claiming) in std::mem::take(&mut owned.claiming) {
            io.tell(home, PeerMessage::Parted { topic: topic.clone() });
            queues.extend(claiming.queue.take());
        }
        let joining = std::mem::take(&mut owned.joining);
        let is_first_opening = matches!(owned.stage, Stage::Opening { before: None, .. });
        let mut refused: Vec<_> = joining.into_values().map(|it| it.asker).collect();
        self.tickets.retain(|_, (of, waiting)| match waiting {
            _ if of != topic => true,
            Waiting::History { asker, .. } => {
                refused.push(*asker);
                false
            }
            Waiting::CatchUp(_) => false,
            Waiting::Open => !is_first_opening,
            _ => true,
        });
        self.owed.want_no_more(topic);
        // In the order in which their homes have sent them, so that none counts as overtaking.
        refused.sort_by_key(|asker| asker.request);
        for asker in refused {
            self.refuse_moved(io, asker, topic);
        }
        for (home, message) in queues {
            self.resume(io, home, message);
        }
        let nobody = |owned: &OwnedTopic| owned.members.is_empty() && owned.appends.is_empty();
        if is_first_opening && self.topics.get(topic).is_some_and(|it| nobody(it)) {
            self.topics.remove(topic);
        }
        if io.settings.log == LogReach::Cluster {
            self.give_up_appends(io, topic);
        }
    }

    /// With a log that all shards share, a batch whose outcome is not known is for the new owner to
    /// find out: to ask the log again would take the topic back.
    pub(in crate::owner) fn give_up_appends(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get(topic) else { return };
        let is_unknown = matches!(owned.stage, Stage::Opening { before: Some(_), .. });
        if is_unknown && owned.serves != Serves::Yes {
            self.tickets.retain(|_, (of, _)| of != topic);
            self.abandon_appends(io, topic, Refusal::Moved);
            if let Some(owned) = self.topics.get_mut(topic) {
                owned.stage = Stage::default();
            }
            self.say_parted(io, topic);
        }
    }

    /// Goes on with a topic once everything that was under way is done.
    pub(in crate::owner) fn part_with(&mut self, io: &mut Io, topic: &Topic) {
        if self.moving.step(topic) != Some(Step::Draining) {
            return;
        }
        let Some(owned) = self.topics.get(topic) else { return };
        if !owned.is_drained() {
            return;
        }
        let is_open = owned.tail().is_some();
        self.say_parted(io, topic);
        if io.settings.log == LogReach::Cluster && !is_open {
            // Only the log knows what it has of it.
            self.send_all(io, topic, Given::Nothing);
        } else {
            self.export(io, topic);
        }
    }

    /// Tells the homes that all has been said.
    fn say_parted(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if owned.may_announce() {
            owned.serves = Serves::Leaving { parted: true };
            for home in owned.members.homes() {
                io.tell(home, PeerMessage::Parted { topic: topic.clone() });
            }
        }
    }

    pub(in crate::owner) fn exported(&mut self, io: &mut Io, topic: &Topic, outcome: LogOutcome) {
        if self.moving.step(topic) != Some(Step::Exporting) {
            return;
        }
        match outcome {
            LogOutcome::Exported(Some(held)) => self.send_all(io, topic, Given::All(held)),
            LogOutcome::Ceded(Some(deed)) => self.send_all(io, topic, Given::Deed(deed)),
            LogOutcome::Exported(None) | LogOutcome::Ceded(None) => {
                self.send_all(io, topic, Given::Nothing);
            }
            _ => {
                self.moving.under_way.remove(topic);
                self.moving.deferred.insert(topic.clone());
                self.moving.later.push(io.now.mono, topic.clone());
            }
        }
        self.move_on(io);
    }

    fn send_all(&mut self, io: &mut Io, topic: &Topic, given: Given) {
        let doubt = self.doubt_of(topic).since(io.now.mono);
        let Some(under_way) = self.moving.under_way.get_mut(topic) else { return };
        let to = under_way.to;
        let owned = self.topics.get(topic);
        let nobody = || People { doubt, ..People::default() };
        let mut people = owned.map_or_else(nobody, |it| People::of(it, doubt));
        let held = match given {
            Given::All(held) => Some(held),
            Given::Deed(deed) => {
                let dedupe = owned.and_then(|it| it.dedupe.as_deref());
                let answers = dedupe.map(Dedupe::answers).unwrap_or_default();
                people.ceded = Some(Ceded { deed, answers });
                None
            }
            Given::Nothing if io.settings.log == LogReach::Cluster => None,
            Given::Nothing => owned.and_then(|it| it.held()),
        };
        if held.is_none() && owned.is_none() {
            self.moving.under_way.remove(topic);
            self.moving.is_unsaid = true;
            let view = io.view().id();
            return io.tell(to, PeerMessage::Lacks { topic: topic.clone(), view });
        }
        let (parts, bytes) = transfer::parts(people, held);
        under_way.step = Step::Sent;
        under_way.bytes = bytes;
        for part in parts {
            let part = Box::new(part);
            io.tell(to, PeerMessage::Transfer { topic: topic.clone(), part });
        }
    }

    /// The new owner keeps it.
    pub(crate) fn transferred(&mut self, io: &mut Io, from: ShardIndex, topic: &Topic) {
        let is_it = |it: &UnderWay| it.to == from && it.step == Step::Sent;
        if !self.moving.under_way.get(topic).is_some_and(is_it) {
            return;
        }
        self.moving.under_way.remove(topic);
        self.moving.lent.has_gone(topic);
        self.moving.is_unsaid = true;
        if io.settings.log != LogReach::Cluster {
            io.output(Output::Log(LogRequest::Remove { topic: topic.clone() }));
        }
        if self.topics.get(topic).is_some_and(|owned| owned.serves == Serves::Yes) {
            // It was at rest, and has been this shard's again since: somebody may wait for it to come
            // back. While it was on its way no change of views has been heard for it.
            self.place_again(io, topic);
        } else {
            self.let_go(topic);
        }
        self.take_in(io, topic);
        self.move_on(io);
    }

    fn let_go(&mut self, topic: &Topic) {
        let Some(owned) = self.topics.remove(topic) else { return };
        if let (Topic::Room(..), false) = (topic, owned.members.is_empty()) {
            self.tally.rooms -= 1;
            self.tally.members -= owned.members.sessions();
        }
    }

    /// The new owner has not taken it: its view is another.
    pub(crate) fn not_taken(&mut self, io: &mut Io, from: ShardIndex, topic: &Topic) {
        let is_it = |it: &UnderWay| it.to == from && it.step == Step::Sent;
        if self.moving.under_way.get(topic).is_some_and(is_it) {
            self.moving.under_way.remove(topic);
            self.moving.lent.is_back(topic, from);
            self.moving.deferred.insert(topic.clone());
            self.moving.again.push(io.now.mono, topic.clone());
            self.move_on(io);
        }
    }

    /// Whether a topic was sent to a peer that hasn't answered.
    pub(in crate::owner) fn has_sent(&self, topic: &Topic, to: ShardIndex) -> bool {
        self.moving.under_way.get(topic).is_some_and(|it| it.to == to && it.step == Step::Sent)
    }
}
