//! Sessions leave for the shard that they belong to.

use std::time::Duration;

use prost::Message as _;
use trunkline_core::{FrameKind, Mono, Part, SessionId, ShardIndex};
use trunkline_proto::peer::engine::What;
use trunkline_proto::peer::{EnginePart, EngineSession};
use trunkline_proto::trunk::{self, Attach, ClientMessage};

use super::super::ending::Ending;
use super::super::session::{Phase, Session};
use super::super::timers::Timer;
use super::{Engine, Moves};
use crate::wire::encode_ledger;

/// What may be under way to one shard.
const SESSIONS: usize = 64;
const BYTES: usize = 4 << 20;
/// The largest session that moves.
const SESSION: usize = 4 << 20;

/// A session that has left.
pub(super) struct Departed {
    to: ShardIndex,
    item: EngineSession,
    size: usize,
    /// Then its client has given it up.
    until: Mono,
}

impl Engine {
    /// Lets go whom others are ready to take, and says so. Called when the core has nothing more to
    /// say: what it has said to a session goes with it.
    pub(crate) fn depart(&mut self, now: Mono) {
        for number in std::mem::take(&mut self.moves.wanted) {
            let Some(session) = self.sessions.get(&number) else { continue };
            let to = self.moves.owner(&session.id);
            if !self.moves.has_room(to) {
                self.moves.wanted.insert(number);
                continue;
            }
            let id = session.id;
            if !self.depart_one(number, to, now) {
                self.moves.say_of(to, &id, What::Stays);
            }
        }
        let to = self.moves.leaving.keys().copied().filter(|to| self.moves.is_ready(*to));
        for to in to.collect::<Vec<_>>() {
            while self.moves.has_room(to)
                && let Some(number) = self.moves.leaving.get(&to).and_then(|it| it.first()).copied()
            {
                self.depart_one(number, to, now);
            }
        }
        self.moves.tell_views();
    }

    /// A shard is asked for a session that may be here.
    pub(super) fn want(&mut self, peer: ShardIndex, id: &SessionId) {
        let moves = &mut self.moves;
        if let Some(number) = self.by_id.get(id).copied() {
            if moves.owner(id) == peer && moves.is_ready(peer) && !moves.stays.contains(&number) {
                moves.wanted.insert(number);
            } else {
                moves.say_of(peer, id, What::Stays);
            }
        } else if moves.departed.get(id).is_none_or(|departed| departed.to != peer) {
            moves.say_of(peer, id, What::Lacks);
        }
    }

    /// Takes back those who have left for a shard that can't be reached and isn't theirs any more.
    pub(super) fn take_back_strays(&mut self, now: Mono) {
        let moves = &self.moves;
        let is_lost = |(id, it): &(&SessionId, &Departed)| {
            !moves.peers.contains_key(&it.to) && moves.owner(id) != it.to
        };
        let lost: Vec<_> = moves.departed.iter().filter(is_lost).map(|(id, _)| *id).collect();
        for id in lost {
            if let Some(Departed { item, .. }) = self.moves.departed.remove(&id) {
                // It has been read before it was written here.
                let _ = self.go_on(id, item, now);
            }
        }
    }

    /// Lets a session leave. False if it stays for now.
    fn depart_one(&mut self, number: u64, to: ShardIndex, now: Mono) -> bool {
        let item = self.pack(number, now).filter(|item| item.encoded_len() <= SESSION);
        let Some((item, session)) = item.zip(self.sessions.get(&number)) else {
            if let Some(session) = self.sessions.get(&number) {
                self.moves.forget(number, &session.id);
                self.moves.stays.insert(number);
            }
            return false;
        };
        let (id, is_open) = (session.id, session.phase == Phase::Open);
        if is_open {
            self.leave(number, true);
        }
        self.remove(number, Ending::Moved);
        let until = now + self.settings.ping_interval + self.settings.ping_timeout;
        let size = item.encoded_len();
        self.moves.departed.insert(id, Departed { to, item, size, until });
        self.moves.deadlines.push_back((until, id));
        self.moves.send(id);
        true
    }

    /// All that there is of a session. None if it can't move now: a change to a WebSocket is ended
    /// first, for who gives it up in the midst of it may not poll again; and what the client has
    /// said before there was a checkpoint is known here alone.
    fn pack(&self, number: u64, now: Mono) -> Option<EngineSession> {
        let session = self.sessions.get(&number).filter(|session| session.probe.is_none())?;
        let closing = session.phase == Phase::Closing;
        if !closing && !session.kept.has_checkpoint() && session.passed > 0 {
            return None;
        }
        let timer = if closing { Timer::Farewell } else { Timer::Heartbeat };
        let left = self.timers.at(number, timer).map_or(Duration::ZERO, |at| at.since(now));
        Some(EngineSession {
            attach: Some(Attach {
                positions: self.groups.positions(number),
                settled: session.settled,
                attachment: session.moves + 1,
                ..session.kept.attach()?
            }),
            unsettled: session.unsettled().collect(),
            queue: session.queue.iter().map(encode_part).collect(),
            moves: session.moves + 1,
            closing,
            pinged: session.pinged,
            left_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            ledger: Some(encode_ledger(session.ledger.moved())),
        })
    }
}

impl Moves {
    /// Whether more may go to a shard at the moment.
    fn has_room(&self, to: ShardIndex) -> bool {
        let peer = self.peers.get(&to).filter(|_| self.is_ready(to));
        peer.is_some_and(|peer| peer.sessions < SESSIONS && peer.bytes < BYTES)
    }

    /// Says it again to a shard whose link was broken: what was on its way may have been lost.
    pub(super) fn depart_again(&mut self, peer: ShardIndex) {
        let again = self.departed.iter().filter(|(_, departed)| departed.to == peer);
        let again: Vec<_> = again.map(|(id, _)| *id).collect();
        again.into_iter().for_each(|id| self.send(id));
    }

    fn send(&mut self, id: SessionId) {
        let Some(Departed { to, item, size, .. }) = self.departed.get(&id) else { return };
        let (to, item, size) = (*to, item.clone(), *size);
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.sessions += 1;
            peer.bytes += size;
            self.say(to, What::Session(item));
        }
    }

    /// A session has arrived.
    pub(super) fn taken(&mut self, peer: ShardIndex, id: &SessionId) {
        if self.departed.get(id).is_some_and(|departed| departed.to == peer) {
            self.let_go(id);
        }
    }

    /// Forgets one that has left.
    pub(super) fn let_go(&mut self, id: &SessionId) {
        let Some(Departed { to, size, .. }) = self.departed.remove(id) else { return };
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.sessions -= 1;
            peer.bytes -= size;
        }
    }

    /// How often one that has left and may not have arrived has moved.
    pub(super) fn moves_of_departed(&self, id: &SessionId) -> Option<u32> {
        self.departed.get(id).map(|departed| departed.item.moves)
    }

    /// Forgets those that were to arrive by now.
    pub(super) fn give_up_departed(&mut self, now: Mono) {
        while let Some((_, id)) = self.deadlines.pop_front_if(|(at, _)| *at <= now) {
            if self.departed.get(&id).is_some_and(|departed| departed.until <= now) {
                self.let_go(&id);
            }
        }
    }
}

impl Session {
    /// What it has said that isn't settled.
    fn unsettled(&self) -> impl Iterator<Item = ClientMessage> {
        (self.settled + 1..=self.passed).map_while(|sequence| {
            let message = self.kept.unsettled(sequence - self.settled - 1)?;
            Some(ClientMessage {
                sequence,
                payload: message.payload.clone(),
                binary: message.binary,
                answered: message.answered,
                ..ClientMessage::default()
            })
        })
    }
}

fn encode_part((part, kind): (&Part, Option<FrameKind>)) -> EnginePart {
    let Part { payload, binary } = part.clone();
    let kind = kind.map(|kind| match kind {
        FrameKind::Live => trunk::FrameKind::Live.into(),
        FrameKind::Ephemeral => trunk::FrameKind::Ephemeral.into(),
        FrameKind::Reply => trunk::FrameKind::Reply.into(),
    });
    EnginePart { part: Some(trunk::Part { payload, binary }), kind }
}
