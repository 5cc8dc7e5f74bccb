//! What a client says with a POST.

use bytes::Bytes;
use trunkline_core::{ConnectionId, Input, Mono, SessionId};
use trunkline_proto::engine::Packet;

use super::ending::Ending;
use super::session::{Phase, Post};
use super::{Asked, Engine, POLLING, answer, payload};

impl Engine {
    /// A POST whose body is still to come: there may be no other until it has.
    pub(super) fn announce(&mut self, asked: Asked, id: &SessionId) {
        let Some((number, session)) = self.find(id) else { return };
        if session.post.is_some() {
            return self.overlap(number, asked);
        }
        session.post = Some(Post::Coming(asked));
        self.waiting.insert(asked, number);
    }

    /// One that was announced has come to nothing that would end the session.
    pub(super) fn too_large(&mut self, asked: Asked) {
        let Some(number) = self.waiting.remove(&asked) else { return };
        if let Some(session) = self.sessions.get_mut(&number) {
            session.post.take_if(|post| *post == Post::Coming(asked));
        }
    }

    pub(super) fn post(&mut self, asked: Asked, id: &SessionId, body: &Bytes, now: Mono) {
        let Some((number, session)) = self.find(id) else { return };
        session.post.take_if(|post| *post == Post::Coming(asked));
        if session.post.is_some() {
            return self.overlap(number, asked);
        }
        let closing = session.phase == Phase::Closing;
        self.waiting.remove(&asked);
        if closing {
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
        let bytes = self.bounds.messages;
        match self.sessions.get_mut(&number) {
            // A client waits for the answer before it says more: so the next request waits.
            Some(session) if session.is_unsettled(bytes) => {
                session.post = Some(Post::Unsettled(asked));
                self.waiting.insert(asked, number);
            }
            _ => self.answer_ok(asked, answer::TAKEN),
        }
    }

    /// The core has settled a session's messages up to this one.
    pub(super) fn settle(&mut self, number: u64, sequence: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.settle(sequence);
        if !session.is_unsettled(self.bounds.messages) {
            self.release_post(number);
        }
    }

    /// Answers the POST whose messages were passed on, if there is one.
    pub(super) fn release_post(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if let Some(Post::Unsettled(asked)) = session.post {
            session.post = None;
            self.waiting.remove(&asked);
            self.answer_ok(asked, answer::TAKEN);
        }
    }

    /// Two POSTs at once: the order of what both say would be anybody's guess.
    fn overlap(&mut self, number: u64, asked: Asked) {
        self.end(number, Ending::Broken);
        self.answer_overlap(asked);
    }

    fn pass(&mut self, number: u64, payload: Bytes, binary: bool) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.passed += 1;
        session.kept.keep(payload.clone(), binary);
        let (sequence, connection) = (session.passed, ConnectionId(number));
        let (trunk, answered) = (POLLING, 0);
        let message = Input::Message { trunk, connection, sequence, payload, binary, answered };
        self.inputs.push_back(message);
    }
}
