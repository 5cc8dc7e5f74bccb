//! Sessions come from the shards that had them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use trunkline_core::{ConnectionId, FrameKind, Input, Ledger, Mono, Part, SessionId, ShardIndex};
use trunkline_proto::kept::{Kept, Unsettled};
use trunkline_proto::peer::engine::What;
use trunkline_proto::peer::{EnginePart, EngineSession};
use trunkline_proto::trunk::{self, Attach, ClientMessage};

use super::super::POLLING;
use super::super::ending::Ending;
use super::super::queue::OutQueue;
use super::super::session::{Phase, Session};
use super::super::timers::Timer;
use super::Engine;
use crate::wire::{BadItem, decode_attach, decode_ledger, session};

/// Of more the oldest are forgotten.
const MOST: usize = 100_000;

/// Who has come of late, and with how many moves: whoever sent it may not know, and say it again.
#[derive(Default)]
pub(super) struct Arrived {
    moves: BTreeMap<SessionId, (u32, Mono)>,
    /// Until when each is known, the first first.
    order: VecDeque<(Mono, SessionId)>,
}

impl Arrived {
    fn moves(&self, id: &SessionId) -> Option<u32> {
        self.moves.get(id).map(|(moves, _)| *moves)
    }

    fn note(&mut self, id: SessionId, moves: u32, until: Mono, now: Mono) {
        while self.order.len() >= MOST || self.order.front().is_some_and(|(at, _)| *at <= now) {
            let Some((at, id)) = self.order.pop_front() else { break };
            // One that has come again since is in the order once more.
            if self.moves.get(&id).is_some_and(|(_, until)| *until == at) {
                self.moves.remove(&id);
            }
        }
        self.moves.insert(id, (moves, until));
        self.order.push_back((until, id));
    }
}

impl Engine {
    /// A shard hands a session over.
    pub(super) fn arrive(
        &mut self,
        peer: ShardIndex,
        item: EngineSession,
        now: Mono,
    ) -> Result<(), BadItem> {
        let attach = item.attach.as_ref().ok_or(BadItem("session that polls"))?;
        let (id, moves) = (session(&attach.session)?, item.moves);
        self.moves.say_of(peer, &id, What::Taken);
        let number = self.by_id.get(&id).copied();
        let here = number.and_then(|number| self.sessions.get(&number));
        let known = [
            here.map(|session| session.moves),
            self.moves.arrived.moves(&id),
            self.moves.moves_of_departed(&id),
        ];
        let is_open = here.is_some_and(|session| session.phase == Phase::Open);
        if known.into_iter().flatten().any(|known| known >= moves) {
            // It was sent again. It may be over, or somewhere else, by now.
            return Ok(());
        }
        // What was kept in doubt is not the newest.
        self.moves.let_go(&id);
        if let Some(number) = number {
            if is_open {
                self.leave(number, true);
            }
            self.remove(number, Ending::Moved);
        }
        let patience = self.settings.ping_interval + self.settings.ping_timeout;
        self.moves.arrived.note(id, moves, now + 2 * patience, now);
        self.go_on(id, item, now)
    }

    /// Goes on with a session as it is in an item.
    pub(super) fn go_on(
        &mut self,
        id: SessionId,
        item: EngineSession,
        now: Mono,
    ) -> Result<(), BadItem> {
        let EngineSession {
            attach,
            unsettled,
            queue: waiting,
            moves,
            closing,
            pinged,
            left_ms,
            ledger,
        } = item;
        let wire = attach.ok_or(BadItem("session that polls"))?;
        let settled = wire.settled;
        let mut queue = OutQueue::new(self.bounds);
        for part in waiting {
            let (part, kind) = decode_part(part)?;
            queue.append(part, kind);
        }
        let mut session = Session::new(id, queue, keep(&wire));
        session.ledger = Ledger::of_moved(decode_ledger(ledger.ok_or(BadItem("ledger"))?)?);
        let mut attach = decode_attach(wire)?;

        self.last += 1;
        let number = self.last;
        let connection = ConnectionId(number);
        attach.connection = connection;
        let mut inputs = vec![Input::Attach { trunk: POLLING, attach }];
        for (sequence, message) in (settled + 1..).zip(unsettled) {
            let ClientMessage { payload, binary, answered, .. } = message;
            session.kept.keep_again(Unsettled { payload: payload.clone(), binary, answered });
            session.passed = sequence;
            let trunk = POLLING;
            let message = Input::Message { trunk, connection, sequence, payload, binary, answered };
            inputs.push(message);
        }
        session.passed = session.passed.max(settled);
        session.settled = settled;
        session.pinged = pinged;
        session.moves = moves;
        let timer = if closing { Timer::Farewell } else { Timer::Heartbeat };
        if closing {
            session.phase = Phase::Closing;
        } else {
            self.inputs.extend(inputs);
        }
        self.sessions.insert(number, session);
        self.by_id.insert(id, number);
        self.timers.set(number, timer, now + Duration::from_millis(left_ms.into()));
        self.consider(number);
        self.found(&id, now);
        Ok(())
    }
}

/// What is kept of who has moved in.
fn keep(attach: &Attach) -> Kept {
    let mut kept = Kept::begin(attach);
    kept.checkpoint(&attach.checkpoint);
    attach.slots.iter().for_each(|slot| kept.has_had(slot));
    kept.hold(attach.positions.clone());
    kept
}

fn decode_part(part: EnginePart) -> Result<(Part, Option<FrameKind>), BadItem> {
    let EnginePart { part, kind } = part;
    let trunk::Part { payload, binary } = part.ok_or(BadItem("part"))?;
    let kind = kind.map(|kind| match trunk::FrameKind::try_from(kind) {
        Ok(trunk::FrameKind::Live) => Ok(FrameKind::Live),
        Ok(trunk::FrameKind::Ephemeral) => Ok(FrameKind::Ephemeral),
        Ok(trunk::FrameKind::Reply) => Ok(FrameKind::Reply),
        Err(_) => Err(BadItem("part")),
    });
    Ok((Part { payload, binary }, kind.transpose()?))
}
