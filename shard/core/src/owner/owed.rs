//! Who may have what is this shard's. After a change of view a topic that another shard may have is
//! opened only when all who may have it have given it, or have said that they don't have it: so a
//! topic has one history, whoever has served it when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use trunkline_config::{View, ViewId};

use super::Owner;
use super::topic::Stage;
use crate::core::Io;
use crate::link::ShardIndex;
use crate::output::Output;
use crate::peer::PeerMessage;
use crate::settings::LogReach;
use crate::time::Mono;
use crate::topic::Topic;

/// Views that are remembered while somebody may have something. Beyond it anybody may have
/// anything.
const VIEWS: usize = 16;
/// Views before this one of which what a peer says late is understood.
const RECENT: usize = 8;
/// A peer whose log ends with its process, and that has had no link for so long, has nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a peer may take to be linked, with a log that all shards share: it may give what it has,
/// and if it doesn't, whoever opens a topic has it.
const LINKING: Duration = Duration::from_millis(250);

/// A peer with a log of its own that has had no link for so long, and is in no map any more, will
/// not come back: longer than most networks are cut.
const GONE: Duration = Duration::from_secs(30);

/// What became of asking for a topic.
#[derive(Debug, Default)]
struct Wanted {
    answered: BTreeSet<ShardIndex>,
    /// One of them had it, and has told who was in it.
    is_given: bool,
}

/// The shards that may hold topics of this one.
#[derive(Debug)]
pub(super) struct Owed {
    shards: BTreeSet<ShardIndex>,
    /// The views since nobody was owed anything: what was this shard's in all of them is here.
    past: Vec<View>,
    is_past_unknown: bool,
    /// The last views before this one.
    recent: VecDeque<View>,
    /// In which view each peer has said that it is settled, since this shard's view changed last.
    settled: BTreeMap<ShardIndex, ViewId>,
    /// Topics that are asked for.
    wants: BTreeMap<Topic, Wanted>,
    /// Since when those who are waited for have had no link.
    unlinked: BTreeMap<ShardIndex, Mono>,
    /// Who was not waited for any longer, and has had no link since.
    given_up: BTreeSet<ShardIndex>,
    /// Somebody was not waited for: until then there may be members whom nobody has told of.
    given_up_until: Mono,
    /// Until when topics of these may have members of whom they have not heard.
    doubts: BTreeMap<ShardIndex, Mono>,
    /// Until when any topic may, as it may have been anybody's.
    pub(super) doubtful_until: Mono,
    /// When this process was linked to a peer first.
    linked_since: Option<Mono>,
    /// It has begun by a view that is not the first.
    began_later: bool,
}

impl Owed {
    pub(super) fn new(shards: BTreeSet<ShardIndex>, view: &View) -> Self {
        let is_away = view.shards().any(|(number, _)| view.is_away(number));
        let began_later = view.id().map.version > 1 || is_away;
        Self {
            is_past_unknown: !shards.is_empty(),
            shards,
            past: Vec::new(),
            recent: VecDeque::new(),
            settled: BTreeMap::new(),
            wants: BTreeMap::new(),
            unlinked: BTreeMap::new(),
            given_up: BTreeSet::new(),
            given_up_until: Mono::default(),
            doubts: BTreeMap::new(),
            doubtful_until: Mono::default(),
            linked_since: None,
            began_later,
        }
    }

    /// Whether a topic was another's, as far as is known, since everything was where it belongs.
    fn was_elsewhere(&self, me: ShardIndex, topic: &Topic) -> bool {
        self.is_past_unknown || self.past.iter().any(|view| view.owner(&topic.key()) != me.0)
    }

    /// A peer may not have heard of all members of its topics.
    pub(super) fn doubt(&mut self, from: ShardIndex, until: Mono) {
        let doubt = self.doubts.entry(from).or_default();
        *doubt = until.max(*doubt);
    }

    /// Whether a topic may have been a peer's since everything was where it belongs.
    pub(super) fn was_of(&self, peer: ShardIndex, topic: &Topic) -> bool {
        self.is_past_unknown || self.past.iter().any(|view| view.owner(&topic.key()) == peer.0)
    }

    /// Until when a topic may have members of whom whoever had it has not heard.
    pub(super) fn doubt_of(&self, topic: &Topic) -> Mono {
        let doubts = self.doubts.iter().filter(|(peer, _)| self.was_of(**peer, topic));
        doubts.map(|(_, until)| *until).max().unwrap_or_default().max(self.doubtful_until)
    }

    /// Whether members of those whose topics are this shard's by now may not have come back yet since
    /// it began.
    pub(super) fn is_new(&self, io: &Io) -> bool {
        let is_over = |since: Mono| io.now.mono >= since + io.settings.grace;
        self.began_later && !self.linked_since.is_some_and(is_over)
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

    /// Whether a peer that was settled in an earlier view has nothing in this one either: it was away
    /// then, and has not served since. It may have ended without hearing of a later view.
    fn has_nothing(&self, now: &View, peer: ShardIndex, settled: ViewId) -> bool {
        let view = self.recent.iter().find(|view| view.id() == settled);
        view.is_some_and(|view| was_empty(now, view, peer))
    }

    /// The memory of what was where is of no more use.
    fn forget_past(&mut self, now: Mono) {
        self.doubts.retain(|_, until| now < *until);
        if self.shards.is_empty() && now >= self.given_up_until && self.doubts.is_empty() {
            self.past.clear();
            self.is_past_unknown = false;
        }
    }

    pub(super) fn next_timer(&self, io: &Io) -> Option<Mono> {
        let until = |peer: &ShardIndex| Some(*self.unlinked.get(peer)? + patience(io, *peer)?);
        self.shards.iter().filter_map(until).min()
    }
}

/// How long a peer that can't be reached is waited for; none if for as long as it takes.
fn patience(io: &Io, peer: ShardIndex) -> Option<Duration> {
    match io.settings.log {
        LogReach::Cluster => Some(LINKING),
        LogReach::Process => Some(PATIENCE),
        // The map says to go on without it. It may be on its way yet, if it is alive.
        LogReach::Shard if io.view().shard(peer.0).is_none() => Some(GONE),
        LogReach::Shard => None,
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

/// Whether a shard that had nothing of others by an earlier view has nothing at all, for it was away and
/// has not served since.
fn was_empty(now: &View, before: &View, peer: ShardIndex) -> bool {
    // When all are away none is: what they own is still theirs.
    let are_all_away = before.shards().all(|(number, _)| before.is_away(number));
    before.is_away(peer.0) && now.says_the_same_of(peer.0, before) && !are_all_away
}

/// Whether a shard that was settled in a view has left the map for good: this map, by which it had
/// nothing left, doesn't have it. What has been said since of shards that are away doesn't change that.
fn has_left(now: &View, peer: ShardIndex, settled: ViewId) -> bool {
    settled.map == now.id().map && now.shard(peer.0).is_none()
}

impl Owner {
    pub(super) fn owed_after(&mut self, io: &mut Io, before: &View) {
        let me = io.links.me();
        let owed = &mut self.owed;
        owed.forget_past(io.now.mono);
        if may_have_come(io.view(), before, me) {
            let all = before.shards().chain(io.view().shards());
            let all: BTreeSet<u16> = all.map(|(number, _)| number).collect();
            for peer in all.into_iter().map(ShardIndex).filter(|peer| *peer != me) {
                if !was_empty(io.view(), before, peer) && owed.shards.insert(peer) {
                    let had_link = [me, peer].iter().all(|it| before.shard(it.0).is_some());
                    // To who was in no map a link is only made now.
                    if !had_link && let Some(since) = owed.unlinked.get_mut(&peer) {
                        *since = io.now.mono;
                    }
                }
            }
            owed.is_past_unknown |= has_missed_a_view(io.view(), before, me);
            if owed.past.len() == VIEWS {
                owed.past.clear();
                owed.is_past_unknown = true;
            }
            owed.past.push(before.clone());
        }
        owed.recent.truncate(RECENT - 1);
        owed.recent.push_front(before.clone());
        let now = io.view();
        owed.settled.retain(|peer, settled| *settled == now.id() || has_left(now, *peer, *settled));
        for (peer, settled) in &owed.settled {
            if has_left(now, *peer, *settled) || io.links.is_up(*peer) {
                owed.shards.remove(peer);
            }
        }
        for wanted in owed.wants.values_mut() {
            wanted.answered.clear();
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
            let (answered, is_given) = (given.into_iter().collect(), given.is_some());
            self.owed.wants.insert(topic.clone(), Wanted { answered, is_given });
            return self.ask_around(io, topic);
        }
        if let (Some(from), Some(wanted)) = (given, self.owed.wants.get_mut(topic)) {
            wanted.answered.insert(from);
            wanted.is_given = true;
        }
        self.open_if_sure(io, topic);
    }

    /// Asks those who may have a topic and have not answered.
    fn ask_around(&mut self, io: &mut Io, topic: &Topic) {
        let Some(wanted) = self.owed.wants.get(topic) else { return };
        let view = io.view().id();
        for peer in self.owed.shards.difference(&wanted.answered) {
            io.tell(*peer, PeerMessage::Want { topic: topic.clone(), view });
        }
        self.open_if_sure(io, topic);
    }

    pub(super) fn open_if_sure(&mut self, io: &mut Io, topic: &Topic) {
        let Some(wanted) = self.owed.wants.get(topic) else { return };
        if !self.owed.shards.is_subset(&wanted.answered) || self.arriving.is_arriving(topic) {
            return;
        }
        if io.owner_of(topic) != io.links.me() {
            // It goes when its owner can be reached, unless it is this shard's again by then.
            return;
        }
        let was_given = self.owed.wants.remove(topic).is_some_and(|it| it.is_given);
        self.ask_to_open(io, topic, was_given);
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
        owned.doubtful_until = owned.doubtful_until.max(self.owed.doubt_of(topic));
        self.ask_where_it_stands(io, topic);
    }

    /// A peer doesn't have a topic that it was asked for, by its view. By another one than this
    /// shard's it may have got it since.
    pub(crate) fn lacks(&mut self, io: &mut Io, from: ShardIndex, topic: &Topic, view: ViewId) {
        if view != io.view().id() && !trunkline_planted::is("believe what was lacked before") {
            return;
        }
        self.moving.lent.is_back(topic, from);
        if let Some(wanted) = self.owed.wants.get_mut(topic) {
            wanted.answered.insert(from);
            self.open_if_sure(io, topic);
        }
    }

    /// A peer has nothing that in this view is another's.
    pub(crate) fn settled(&mut self, io: &mut Io, from: ShardIndex, view: ViewId) {
        self.owed.settled.insert(from, view);
        let now = io.view();
        let has_nothing =
            view == now.id() || has_left(now, from, view) || self.owed.has_nothing(now, from, view);
        if has_nothing && self.owed.shards.remove(&from) {
            self.nothing_is_lent(io, from);
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
        self.owed.linked_since.get_or_insert(io.now.mono);
        self.owed.unlinked.remove(&peer);
        // What is true of its process it says again.
        self.owed.settled.remove(&peer);
        // Who is in no map is here for what it has left to give. A process that has begun by this map
        // can't know of it otherwise. And who was taken for dead may have been cut off.
        let has_come_back = self.owed.given_up.remove(&peer);
        let may_give = has_come_back || io.view().shard(peer.0).is_none();
        if may_give && self.owed.shards.insert(peer) {
            self.owed.is_past_unknown = true;
            self.note_owed(io);
        }
        if !self.owed.shards.contains(&peer) {
            return;
        }
        let view = io.view().id();
        for (topic, wanted) in &self.owed.wants {
            if !wanted.answered.contains(&peer) {
                io.tell(peer, PeerMessage::Want { topic: topic.clone(), view });
            }
        }
    }

    pub(super) fn owed_link_down(&mut self, io: &Io, peer: ShardIndex) {
        self.owed.unlinked.insert(peer, io.now.mono);
    }

    /// Who can't be reached is waited for as long as it may have something: a process that is gone
    /// has nothing, unless it has a log of its own that outlives it. That one is waited for until a
    /// map says that it will not come back.
    pub(super) fn give_up_on_unlinked(&mut self, io: &mut Io) {
        let now = io.now.mono;
        let owed = &mut self.owed;
        let is_over = |peer: &ShardIndex| {
            let since = *owed.unlinked.entry(*peer).or_insert(now);
            patience(io, *peer).is_some_and(|patience| now >= since + patience)
        };
        let mut peers: Vec<ShardIndex> = owed.shards.iter().copied().collect();
        peers.retain(|peer| !io.links.is_up(*peer));
        peers.retain(is_over);
        for peer in &peers {
            owed.shards.remove(peer);
            owed.given_up_until = now + io.settings.grace;
            // Where all share one log nothing begins anew, whoever has what.
            if io.settings.log != LogReach::Cluster {
                owed.given_up.insert(*peer);
            }
        }
        for peer in &peers {
            self.let_go_of_lent(io, *peer);
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
