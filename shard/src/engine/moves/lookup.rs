//! Sessions that are asked for before they are here. Who may have one is asked for it, and until all
//! have answered, what was said to it waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use trunkline_core::{Mono, SessionId, ShardIndex, TrunkId};
use trunkline_proto::peer::engine::What;

use super::super::probe::At;
use super::super::{Asked, Said};
use super::{Engine, Moves};
use crate::wire::encode_session;

/// How long to wait for a shard whose link is down, or that doesn't say.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sessions that are looked for.
const SESSIONS: usize = 1024;
/// What may wait for one: a poll, a POST that is announced and comes, a WebSocket that changes.
const WAITING: usize = 8;
/// What all that waits may take.
const BYTES: usize = 16 << 20;

/// What waits, by whom it is for.
#[derive(Default)]
pub(in super::super) struct Lookups {
    of: BTreeMap<SessionId, Lookup>,
    /// Until when each may be looked for, the first first.
    order: VecDeque<(Mono, SessionId)>,
    bytes: usize,
}

struct Lookup {
    /// Who has not answered.
    awaited: BTreeSet<ShardIndex>,
    said: Vec<Said>,
    until: Mono,
}

impl Said {
    fn asked(&self) -> Option<Asked> {
        match self {
            Self::Open { asked, .. }
            | Self::Poll { asked, .. }
            | Self::Posting { asked, .. }
            | Self::Post { asked, .. }
            | Self::Gone(asked)
            | Self::Release(asked)
            | Self::TooLarge(asked) => Some(*asked),
            Self::Probe { .. } | Self::Control { .. } | Self::Detach { .. } => None,
        }
    }

    fn socket(&self) -> Option<At> {
        match self {
            Self::Probe { trunk, connection, .. }
            | Self::Control { trunk, connection, .. }
            | Self::Detach { trunk, connection, .. } => Some((*trunk, *connection)),
            _ => None,
        }
    }

    fn trunk(&self) -> Option<TrunkId> {
        let asked = self.asked().map(|asked| asked.trunk);
        asked.or(self.socket().map(|(trunk, _)| trunk))
    }

    fn size(&self) -> usize {
        match self {
            Self::Post { body, .. } => body.len(),
            Self::Control { payload, .. } => payload.len(),
            _ => 0,
        }
    }
}

impl Lookups {
    pub(super) fn next_timer(&self) -> Option<Mono> {
        self.order.front().map(|(at, _)| *at)
    }

    /// Takes what is about something that waits. Gives the rest back.
    pub(in super::super) fn overhear(&mut self, said: Said) -> Option<Said> {
        if self.of.is_empty() {
            return Some(said);
        }
        let is_over = matches!(said, Said::Gone(_) | Said::TooLarge(_) | Said::Detach { .. });
        let (asked, socket) = (said.asked(), said.socket());
        let is_same = |other: &Said| {
            asked.is_some() && other.asked() == asked
                || socket.is_some() && other.socket() == socket
        };
        let about = self.of.iter_mut().find(|(_, lookup)| lookup.said.iter().any(is_same));
        let Some((id, lookup)) = about else { return Some(said) };
        if is_over {
            // Its client may be lost: then the session ends by its heartbeat.
            lookup.said.retain(|other| !is_same(other));
            self.bytes = self.of.values().flat_map(|it| &it.said).map(Said::size).sum();
            return None;
        }
        let id = *id;
        self.wait(id, said)
    }

    /// A router worker is gone with all that it waited for.
    pub(in super::super) fn trunk_down(&mut self, trunk: TrunkId) {
        for lookup in self.of.values_mut() {
            lookup.said.retain(|said| said.trunk() != Some(trunk));
        }
        self.bytes = self.of.values().flat_map(|it| &it.said).map(Said::size).sum();
    }

    /// Lets something wait. Gives it back if there is no room.
    fn wait(&mut self, id: SessionId, said: Said) -> Option<Said> {
        let size = said.size();
        let Some(lookup) = self.of.get_mut(&id) else { return Some(said) };
        if lookup.said.len() >= WAITING || self.bytes + size > BYTES {
            return Some(said);
        }
        self.bytes += size;
        lookup.said.push(said);
        None
    }

    fn end(&mut self, id: &SessionId) -> Vec<Said> {
        let said = self.of.remove(id).map(|lookup| lookup.said).unwrap_or_default();
        self.bytes -= said.iter().map(Said::size).sum::<usize>();
        said
    }
}

impl Moves {
    /// Who may have a session of this shard's.
    fn holders(&self) -> BTreeSet<ShardIndex> {
        let settled = Some((self.view.id(), true));
        let linked = self.peers.iter().filter(|(_, peer)| peer.says != settled);
        let linked = linked.map(|(peer, _)| *peer);
        // One that is away and not linked has given away what it had, or is dead.
        let others = self.view.shards().map(|(number, _)| ShardIndex(number)).filter(|shard| {
            *shard != self.me && !self.peers.contains_key(shard) && !self.view.is_away(shard.0)
        });
        linked.chain(others).collect()
    }

    /// A link is up: its shard is asked for all that it may have.
    pub(super) fn ask_for_all(&mut self, peer: ShardIndex) {
        let wanted = self.lookups.of.iter().filter(|(_, lookup)| lookup.awaited.contains(&peer));
        let wanted: Vec<_> = wanted.map(|(id, _)| *id).collect();
        wanted.iter().for_each(|id| self.say_of(peer, id, What::Want));
    }
}

impl Engine {
    /// What was said to a session that is not here.
    pub(in super::super) fn seek(
        &mut self,
        id: SessionId,
        said: Said,
        is_connected: bool,
        now: Mono,
    ) {
        if !self.moves.is_mine(&id) {
            return self.refuse(said, |engine, asked| engine.answer_moved(asked, None));
        }
        if is_connected {
            return self.refuse(said, |engine, asked| engine.answer_stray(asked, true));
        }
        if !self.moves.lookups.of.contains_key(&id) {
            let awaited = self.moves.holders();
            if awaited.is_empty() {
                return self.refuse(said, |engine, asked| engine.answer_stray(asked, false));
            }
            if self.moves.lookups.of.len() < SESSIONS {
                for peer in awaited.iter().filter(|peer| self.moves.peers.contains_key(peer)) {
                    self.moves.items.push((*peer, What::Want(encode_session(&id))));
                }
                let until = now + PATIENCE;
                let lookup = Lookup { awaited, said: Vec::new(), until };
                self.moves.lookups.of.insert(id, lookup);
                self.moves.lookups.order.push_back((until, id));
            }
        }
        if let Some(said) = self.moves.lookups.wait(id, said) {
            self.refuse(said, Engine::answer_unavailable);
        }
    }

    /// A session is here: it hears what waited for it.
    pub(super) fn found(&mut self, id: &SessionId, now: Mono) {
        for said in self.moves.lookups.end(id) {
            self.hear(said, now, |_| false);
        }
    }

    /// A shard has none of the sessions that it may have been asked for, or not this one.
    pub(super) fn lacks(&mut self, peer: ShardIndex, id: Option<&SessionId>) {
        let lookups = &mut self.moves.lookups;
        let mut nowhere = Vec::new();
        for (at, lookup) in lookups.of.iter_mut().filter(|(at, _)| id.is_none_or(|id| id == *at)) {
            if lookup.awaited.remove(&peer) && lookup.awaited.is_empty() {
                nowhere.push(*at);
            }
        }
        nowhere.iter().for_each(|id| self.is_nowhere(id));
    }

    /// A session is at another shard, for now.
    pub(super) fn is_elsewhere(&mut self, peer: ShardIndex, id: &SessionId) {
        let at = self.moves.view.shard(peer.0).map(|shard| shard.id.clone());
        for said in self.moves.lookups.end(id) {
            self.refuse(said, |engine, asked| engine.answer_moved(asked, at.clone()));
        }
    }

    /// Gives up what has taken too long.
    pub(in super::super) fn give_up_moves(&mut self, now: Mono) {
        self.moves.give_up_departed(now);
        while let Some((until, id)) = self.moves.lookups.order.pop_front_if(|(at, _)| *at <= now) {
            let lookup = self.moves.lookups.of.get(&id);
            if lookup.is_some_and(|lookup| lookup.until == until) {
                self.is_nowhere(&id);
            }
        }
    }

    /// Looks again for all, as the view has changed.
    pub(super) fn seek_all_again(&mut self, now: Mono) {
        let ids: Vec<_> = self.moves.lookups.of.keys().copied().collect();
        for id in ids {
            for said in self.moves.lookups.end(&id) {
                self.hear(said, now, |_| false);
            }
        }
    }

    fn is_nowhere(&mut self, id: &SessionId) {
        for said in self.moves.lookups.end(id) {
            self.refuse(said, |engine, asked| engine.answer_stray(asked, false));
        }
    }

    /// Answers a request, and closes a WebSocket that a session may change to.
    fn refuse(&mut self, said: Said, answer: impl FnOnce(&mut Self, Asked)) {
        match said {
            Said::Probe { trunk, connection, .. } => {
                let reason = "no session that could change to this; begin a new one";
                self.close_socket((trunk, connection), reason);
            }
            // What follows one that was closed.
            Said::Control { .. } | Said::Detach { .. } | Said::Release(_) => {}
            said => {
                if let Some(asked) = said.asked() {
                    answer(self, asked);
                }
            }
        }
    }
}
