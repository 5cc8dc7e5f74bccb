//! What a client says with a POST.

use bytes::Bytes;
use trunkline_core::{ConnectionId, Input, Mono, SessionId};
use trunkline_proto::engine::Packet;

use super::ending::Ending;
use super::session::Phase;
use super::{Asked, Engine, POLLING, answer, payload};

impl Engine {
    pub(super) fn post(&mut self, asked: Asked, id: &SessionId, body: &Bytes, now: Mono) {
        let Some((number, session)) = self.find(id) else { return self.answer_unknown(asked, id) };
        if session.post.is_some() {
            // The order of what both say would be anybody's guess.
            self.end(number, Ending::Broken);
            return self.answer_overlap(asked);
        }
        if session.phase == Phase::Closing {
            return self.answer_ok(asked, answer::TAKEN);
        }
        for packet in payload::decode(body) {
            match packet {
                Ok(Packet::Message(text)) => self.pass(number, text, false),
                Ok(Packet::Binary(bytes)) => self.pass(number, bytes, true),
                Ok(Packet::Pong) => self.pong(number, now),
                // They mean nothing here, and the reference says nothing to them.
                Ok(Packet::Open | Packet::Upgrade | Packet::Noop) => {}
                Ok(Packet::Close) => {
                    self.end(number, Ending::Closed);
                    return self.answer_ok(asked, answer::TAKEN);
                }
                // Since protocol 4 it is the server that asks. The reference says no more of a
                // mistake than that it was read.
                Ok(Packet::Ping(_)) | Err(_) => {
                    self.end(number, Ending::Broken);
                    return self.answer_ok(asked, answer::TAKEN);
                }
            }
        }
        match self.sessions.get_mut(&number) {
            // A client waits for the answer before it says more: so the next request waits.
            Some(session) if session.is_unsettled() => {
                session.post = Some(asked);
                self.waiting.insert(asked, number);
            }
            _ => self.answer_ok(asked, answer::TAKEN),
        }
    }

    /// The core has settled a session's messages up to this one.
    pub(super) fn settle(&mut self, number: u64, sequence: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.settled = session.settled.max(sequence).min(session.passed);
        if session.is_unsettled() {
            return;
        }
        if let Some(asked) = session.post.take() {
            self.waiting.remove(&asked);
            self.answer_ok(asked, answer::TAKEN);
        }
    }

    fn pass(&mut self, number: u64, payload: Bytes, binary: bool) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.passed += 1;
        let (sequence, connection) = (session.passed, ConnectionId(number));
        let message = Input::Message { trunk: POLLING, connection, sequence, payload, binary };
        self.inputs.push_back(message);
    }
}
