//! Sessions that poll go where the view says that they belong, as connections do that routers move.
//!
//! A session goes over the link to its shard as one item, with all that there is of it, when both
//! shards have the same view: otherwise it would go back and forth while views differ. From that
//! moment it is not here any more: whoever asks for it is told to ask its shard. Requests that come
//! there before it wait, and the shard asks those who may have it to send it before others
//! (`lookup`), so that a client waits for a round between shards at the most.
//!
//! **When the link breaks in between**, the sender can't know whether it has arrived. So it keeps
//! the item, says it again on the next link, and doesn't go on with the session: a session that two
//! shards go on with would be told that it has left by one while it talks to the other. The
//! receiver knows by the number of moves what it has had, and takes it once, whatever has become of
//! the session since. If the shard is out of reach and the session then belongs to another one,
//! the sender takes it back: of two with the same ID, the one that has moved more often counts, for
//! it went on from the other. What nobody asks for after all this ends by its heartbeat.

mod arrive;
mod depart;
mod lookup;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prost::Message as _;
use trunkline_config::{View, ViewId};
use trunkline_core::{Mono, SessionId, ShardIndex};
use trunkline_proto::peer;
use trunkline_proto::peer::engine::What;

use super::Engine;
use crate::wire::{BadItem, decode_view, encode_session, encode_view, session};
use arrive::Arrived;
use depart::Departed;
use lookup::Lookups;

/// About what an item takes beside what is in it, in bytes.
const ITEM: usize = 32;

/// Where sessions belong, and what is on its way.
pub(super) struct Moves {
    me: ShardIndex,
    view: View,
    /// Those whose links are up.
    peers: BTreeMap<ShardIndex, Peer>,
    /// Sessions that belong to others, by whom they belong to.
    leaving: BTreeMap<ShardIndex, BTreeSet<u64>>,
    /// Those of them that somebody waits for there.
    wanted: BTreeSet<u64>,
    /// Those that can't leave until something changes.
    stays: BTreeSet<u64>,
    /// Those that have left, until they are known to have arrived.
    departed: BTreeMap<SessionId, Departed>,
    /// Until when each of them is kept, the first first.
    deadlines: VecDeque<(Mono, SessionId)>,
    arrived: Arrived,
    pub(super) lookups: Lookups,
    items: Vec<(ShardIndex, What)>,
}

/// A shard whose link is up.
#[derive(Default)]
struct Peer {
    /// What it has last said of its view, and whether it has no session that by it is another's.
    says: Option<(ViewId, bool)>,
    /// What it was told.
    told: Option<(ViewId, bool)>,
    /// What is under way to it: sessions, and bytes.
    sessions: usize,
    bytes: usize,
}

impl Moves {
    pub(super) fn new(view: View, me: ShardIndex) -> Self {
        Self {
            me,
            view,
            peers: BTreeMap::new(),
            leaving: BTreeMap::new(),
            wanted: BTreeSet::new(),
            stays: BTreeSet::new(),
            departed: BTreeMap::new(),
            deadlines: VecDeque::new(),
            arrived: Arrived::default(),
            lookups: Lookups::default(),
            items: Vec::new(),
        }
    }

    fn owner(&self, id: &SessionId) -> ShardIndex {
        ShardIndex(self.view.owner_of(id.digest()))
    }

    pub(super) fn is_mine(&self, id: &SessionId) -> bool {
        self.owner(id) == self.me
    }

    /// How many have left that may not have arrived.
    pub(super) fn departed(&self) -> usize {
        self.departed.len()
    }

    /// A session is over, or has left.
    pub(super) fn forget(&mut self, number: u64, id: &SessionId) {
        let owner = self.owner(id);
        if let Some(leaving) = self.leaving.get_mut(&owner) {
            leaving.remove(&number);
            if leaving.is_empty() {
                self.leaving.remove(&owner);
            }
        }
        self.wanted.remove(&number);
        self.stays.remove(&number);
    }

    /// Whether nothing is here that by the view is another's.
    fn is_settled(&self) -> bool {
        self.leaving.is_empty() && self.stays.is_empty() && self.departed.is_empty()
    }

    /// Whether a shard takes what is its own: its link is up, and it has the same view.
    fn is_ready(&self, shard: ShardIndex) -> bool {
        let says = self.peers.get(&shard).and_then(|peer| peer.says);
        says.is_some_and(|(view, _)| view == self.view.id())
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        let departed = self.deadlines.front().map(|(at, _)| *at);
        [departed, self.lookups.next_timer()].into_iter().flatten().min()
    }

    fn say(&mut self, to: ShardIndex, what: What) {
        self.items.push((to, what));
    }

    fn say_of(&mut self, to: ShardIndex, id: &SessionId, what: fn(bytes::Bytes) -> What) {
        self.say(to, what(encode_session(id)));
    }

    /// Tells all who don't know which view this shard has, and whether it has others' sessions.
    fn tell_views(&mut self) {
        let current = (self.view.id(), self.is_settled());
        for (peer, known) in &mut self.peers {
            if known.told.replace(current) != Some(current) {
                let (view, settled) = current;
                let view = Some(encode_view(view));
                self.items.push((*peer, What::View(peer::EngineView { view, settled })));
            }
        }
    }
}

impl Engine {
    /// There is another map, or a shard is away or serves again.
    pub(crate) fn view(&mut self, view: View, now: Mono) {
        let moves = &mut self.moves;
        for number in std::mem::take(&mut moves.wanted) {
            if let Some(session) = self.sessions.get(&number) {
                // Who wants it has another view now, or will have.
                let peer = moves.owner(&session.id);
                moves.say_of(peer, &session.id, What::Stays);
            }
        }
        moves.view = view;
        moves.leaving.clear();
        moves.stays.clear();
        let sessions: Vec<u64> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|number| self.consider(number));
        self.take_back_strays(now);
        self.seek_all_again(now);
    }

    /// The link to a shard is up.
    pub(crate) fn link_up(&mut self, peer: ShardIndex) {
        self.moves.peers.insert(peer, Peer::default());
        self.moves.depart_again(peer);
        self.moves.ask_for_all(peer);
    }

    /// The link to a shard is broken.
    pub(crate) fn link_down(&mut self, peer: ShardIndex, now: Mono) {
        self.moves.peers.remove(&peer);
        self.take_back_strays(now);
        if self.moves.view.is_away(peer.0) {
            self.lacks(peer, None);
        }
    }

    /// Takes what a shard has said.
    ///
    /// # Errors
    /// [`BadItem`] if it makes no sense.
    pub(crate) fn hear_peer(
        &mut self,
        peer: ShardIndex,
        said: peer::Engine,
        now: Mono,
    ) -> Result<(), BadItem> {
        match said.what.ok_or(BadItem("session that polls"))? {
            What::Session(item) => self.arrive(peer, item, now)?,
            What::Taken(id) => self.moves.taken(peer, &session(&id)?),
            What::Want(id) => self.want(peer, &session(&id)?),
            What::Lacks(id) => self.lacks(peer, Some(&session(&id)?)),
            What::Stays(id) => self.is_elsewhere(peer, &session(&id)?),
            What::View(peer::EngineView { view, settled }) => {
                let view = decode_view(view.ok_or(BadItem("view"))?)?;
                if let Some(peer) = self.moves.peers.get_mut(&peer) {
                    peer.says = Some((view, settled));
                }
            }
        }
        Ok(())
    }

    /// What to tell other shards, in order, and about how many bytes it takes.
    pub(crate) fn take_peer_items(&mut self) -> Vec<(ShardIndex, peer::PeerItem, usize)> {
        let items = std::mem::take(&mut self.moves.items).into_iter();
        items
            .map(|(to, what)| {
                let engine = peer::Engine { what: Some(what) };
                let size = engine.encoded_len() + ITEM;
                let item = Some(peer::peer_item::Item::Engine(engine));
                (to, peer::PeerItem { item }, size)
            })
            .collect()
    }

    /// Lets a session leave when its time has come, if it belongs to another shard.
    pub(super) fn consider(&mut self, number: u64) {
        let Some(session) = self.sessions.get(&number) else { return };
        let owner = self.moves.owner(&session.id);
        if owner != self.moves.me {
            self.moves.leaving.entry(owner).or_default().insert(number);
        }
    }

    /// Something has changed for which a session may have stayed.
    pub(super) fn consider_again(&mut self, number: u64) {
        if self.moves.stays.remove(&number) {
            self.consider(number);
        }
    }
}
