//! Who may have what is this shard's. After a change of view a topic that another shard may have is
//! opened only when all who may have it have given it, or have said that they don't have it: so a
//! topic has one history, whoever has served it when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_config::{View, ViewId};

use super::topic::Stage;
use super::{Owner, Waiting};
use crate::core::Io;
use crate::link::ShardIndex;
use crate::log::LogRequest;
use crate::output::Output;
use crate::peer::PeerMessage;
use crate::settings::LogReach;
use crate::time::Mono;
use crate::topic::Topic;

/// Views that are remembered while somebody may have something. Beyond it anybody may have
/// anything.
const VIEWS: usize = 16;
/// A peer whose log ends with its process, and that has had no link for so long, has nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// The shards that may hold topics of this one.
#[derive(Debug)]
pub(super) struct Owed {
    shards: BTreeSet<ShardIndex>,
    /// The views since nobody was owed anything: what was this shard's in all of them is here.
    past: Vec<View>,
    is_past_unknown: bool,
    /// In which view each peer has said that it is settled, since this shard's view changed last.
    settled: BTreeMap<ShardIndex, ViewId>,
    /// Topics that are asked for, and who has answered.
    wants: BTreeMap<Topic, BTreeSet<ShardIndex>>,
    /// Since when those who are waited for have had no link.
    unlinked: BTreeMap<ShardIndex, Mono>,
    /// Somebody was not waited for: until then there may be members whom nobody has told of.
    given_up_until: Mono,
}

impl Owed {
    pub(super) fn new(shards: BTreeSet<ShardIndex>) -> Self {
        Self {
            is_past_unknown: !shards.is_empty(),
            shards,
            past: Vec::new(),
            settled: BTreeMap::new(),
            wants: BTreeMap::new(),
            unlinked: BTreeMap::new(),
            given_up_until: Mono::default(),
        }
    }

    /// Whether a topic was another's, as far as is known, since everything was where it belongs.
    fn was_elsewhere(&self, me: ShardIndex, topic: &Topic) -> bool {
        self.is_past_unknown || self.past.iter().any(|view| view.owner(&topic.key()) != me.0)
    }

    /// Whether somebody else may have a topic.
    pub(super) fn may_have(&self, me: ShardIndex, topic: &Topic) -> bool {
        let waits = !trunkline_planted::is("open what another may have");
        waits && !self.shards.is_empty() && self.was_elsewhere(me, topic)
    }

    pub(super) fn is_wanted(&self, topic: &Topic) -> bool {
        self.wants.contains_key(topic)
    }

    pub(super) fn want_no_more(&mut self, topic: &Topic) {
        self.wants.remove(topic);
    }

    /// The memory of what was where is of no more use.
    fn forget_past(&mut self, now: Mono) {
        if self.shards.is_empty() && now >= self.given_up_until {
            self.past.clear();
            self.is_past_unknown = false;
        }
    }

    pub(super) fn next_timer(&self, reach: LogReach) -> Option<Mono> {
        if reach != LogReach::Process {
            return None;
        }
        let since = |peer: &ShardIndex| self.unlinked.get(peer).copied();
        self.shards.iter().filter_map(since).min().map(|since| since + PATIENCE)
    }
}

/// Whether something may be this shard's now that was another's at any time since `before`: a shard
/// that would have it is away, and has gone since; or this shard itself was.
fn may_have_come(now: &View, before: &View, me: ShardIndex) -> bool {
    let has_gone = |number| now.is_away(number) && !now.says_the_same_of(number, before);
    now.id().map != before.id().map
        || !now.says_the_same_of(me.0, before)
        || now.shards().any(|(number, _)| has_gone(number))
}

/// Whether there may have been views in between, of which this shard has not heard, in which another
/// had what is this shard's in both.
fn has_missed_a_view(now: &View, before: &View, me: ShardIndex) -> bool {
    let has_served = |number| {
        now.is_away(number) && before.is_away(number) && !now.says_the_same_of(number, before)
    };
    let was_away = !now.says_the_same_of(me.0, before) && now.is_away(me.0) == before.is_away(me.0);
    now.id().map.version > before.id().map.version + 1
        || was_away
        || now.shards().any(|(number, _)| has_served(number))
}

impl Owner {
    pub(super) fn owed_after(&mut self, io: &mut Io, before: &View) {
        let me = io.links.me();
        let owed = &mut self.owed;
        owed.forget_past(io.now.mono);
        if may_have_come(io.view(), before, me) {
            let all = before.shards().chain(io.view().shards());
            let all: BTreeSet<u16> = all.map(|(number, _)| number).collect();
            // When all are away none is: what they own is still theirs.
            let are_all_away = before.shards().all(|(number, _)| before.is_away(number));
            for peer in all.into_iter().map(ShardIndex).filter(|peer| *peer != me) {
                let was_empty =
                    before.is_away(peer.0) && io.view().says_the_same_of(peer.0, before);
                if are_all_away || !was_empty {
                    owed.shards.insert(peer);
                }
            }
            owed.is_past_unknown |= has_missed_a_view(io.view(), before, me);
            if owed.past.len() == VIEWS {
                owed.past.clear();
                owed.is_past_unknown = true;
            }
            owed.past.push(before.clone());
        }
        let view = io.view().id();
        owed.settled.retain(|_, settled| *settled == view);
        for peer in owed.settled.keys() {
            // One that is in no map any more has gone for good when it had nothing left.
            let is_gone = io.view().shard(peer.0).is_none();
            if is_gone || io.links.is_up(*peer) {
                owed.shards.remove(peer);
            }
        }
        for answered in owed.wants.values_mut() {
            answered.clear();
        }
        self.note_owed(io);
        self.give_up_on_unlinked(io);
        let mut wanted: Vec<Topic> = self.owed.wants.keys().cloned().collect();
        wanted.retain(|topic| io.owner_of(topic) == me);
        for topic in wanted {
            self.ask_around(io, &topic);
        }
    }

    fn note_owed(&self, io: &mut Io) {
        let (view, shards) = (io.view().id(), self.owed.shards.clone());
        io.output(Output::Owed { view, shards });
    }

    /// Opens a topic of this shard, once it is sure that nobody else has it. `given` by who has
    /// just transferred it.
    pub(super) fn open_for_sure(&mut self, io: &mut Io, topic: &Topic, given: Option<ShardIndex>) {
        let me = io.links.me();
        if !self.owed.is_wanted(topic) {
            if !self.owed.may_have(me, topic) {
                return self.ask_to_open(io, topic, given.is_some());
            }
            self.owed.wants.insert(topic.clone(), given.into_iter().collect());
            return self.ask_around(io, topic);
        }
        if let (Some(from), Some(answered)) = (given, self.owed.wants.get_mut(topic)) {
            answered.insert(from);
        }
        self.open_if_sure(io, topic);
    }

    /// Asks those who may have a topic and have not answered.
    fn ask_around(&mut self, io: &mut Io, topic: &Topic) {
        let Some(answered) = self.owed.wants.get(topic) else { return };
        let view = io.view().id();
        for peer in self.owed.shards.difference(answered) {
            io.tell(*peer, PeerMessage::Want { topic: topic.clone(), view });
        }
        self.open_if_sure(io, topic);
    }

    pub(super) fn open_if_sure(&mut self, io: &mut Io, topic: &Topic) {
        let Some(answered) = self.owed.wants.get(topic) else { return };
        if !self.owed.shards.is_subset(answered) || self.arriving.is_arriving(topic) {
            return;
        }
        let was_given = self.owed.wants.remove(topic).is_some_and(|it| !it.is_empty());
        if io.owner_of(topic) == io.links.me() {
            self.ask_to_open(io, topic, was_given);
        }
    }

    fn ask_to_open(&mut self, io: &mut Io, topic: &Topic, is_known: bool) {
        let me = io.links.me();
        let Some(owned) = self.topics.get_mut(topic) else { return };
        if !matches!(owned.stage, Stage::Opening { .. }) || self.arriving.is_arriving(topic) {
            // What arrives is opened once the log has it.
            return;
        }
        let given_up = io.now.mono < self.owed.given_up_until;
        if given_up && !is_known && self.owed.was_elsewhere(me, topic) {
            owned.doubtful_until = io.now.mono + io.settings.grace;
        }
        self.ask_log(io, topic, Waiting::Open, |ticket, topic| LogRequest::Open { ticket, topic });
    }

    /// A peer doesn't have a topic that it was asked for, by its view. By another one than this
    /// shard's it may have got it since.
    pub(crate) fn lacks(&mut self, io: &mut Io, from: ShardIndex, topic: &Topic, view: ViewId) {
        if view != io.view().id() {
            return;
        }
        if let Some(answered) = self.owed.wants.get_mut(topic) {
            answered.insert(from);
            self.open_if_sure(io, topic);
        }
    }

    /// A peer has nothing that in this view is another's.
    pub(crate) fn settled(&mut self, io: &mut Io, from: ShardIndex, view: ViewId) {
        self.owed.settled.insert(from, view);
        if view == io.view().id() && self.owed.shards.remove(&from) {
            self.fewer_are_owed(io);
        }
    }

    fn fewer_are_owed(&mut self, io: &mut Io) {
        self.owed.forget_past(io.now.mono);
        self.note_owed(io);
        let wanted: Vec<Topic> = self.owed.wants.keys().cloned().collect();
        for topic in wanted {
            self.open_if_sure(io, &topic);
        }
    }

    /// A peer can be asked again.
    pub(super) fn owed_link_up(&mut self, io: &mut Io, peer: ShardIndex) {
        self.owed.unlinked.remove(&peer);
        // What is true of its process it says again.
        self.owed.settled.remove(&peer);
        if !self.owed.shards.contains(&peer) {
            return;
        }
        let view = io.view().id();
        for (topic, answered) in &self.owed.wants {
            if !answered.contains(&peer) {
                io.tell(peer, PeerMessage::Want { topic: topic.clone(), view });
            }
        }
    }

    pub(super) fn owed_link_down(&mut self, io: &Io, peer: ShardIndex) {
        self.owed.unlinked.insert(peer, io.now.mono);
    }

    /// Who can't be reached is waited for as long as it may have something: a process that is gone
    /// has nothing, unless it has a log of its own that outlives it.
    pub(super) fn give_up_on_unlinked(&mut self, io: &mut Io) {
        let patience = match io.settings.log {
            LogReach::Process => PATIENCE,
            LogReach::Cluster => Duration::ZERO,
            LogReach::Shard => return,
        };
        let now = io.now.mono;
        let owed = &mut self.owed;
        let is_over = |peer: &ShardIndex| {
            let since = *owed.unlinked.entry(*peer).or_insert(now);
            now >= since + patience
        };
        let mut peers: Vec<ShardIndex> = owed.shards.iter().copied().collect();
        peers.retain(|peer| !io.links.is_up(*peer));
        peers.retain(is_over);
        for peer in &peers {
            owed.shards.remove(peer);
            owed.given_up_until = now + io.settings.grace;
        }
        if !peers.is_empty() {
            self.fewer_are_owed(io);
        }
    }

    /// Whether all shards of the map have said in this very view that they are settled. What this one
    /// has said of itself, they have heard by then.
    pub(crate) fn others_agree(&self, io: &Io) -> bool {
        let view = io.view();
        let agrees = |peer: ShardIndex| {
            io.links.is_up(peer) && self.owed.settled.get(&peer) == Some(&view.id())
        };
        let others = view.shards().map(|(number, _)| ShardIndex(number));
        trunkline_planted::is("go before all know")
            || others.filter(|peer| *peer != io.links.me()).all(agrees)
    }

    pub(super) fn owes_somebody(&self) -> bool {
        !self.owed.shards.is_empty()
    }
}
