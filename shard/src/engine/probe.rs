//! The change from polling to a WebSocket. The client asks over the WebSocket whether it works
//! (`2probe`, answered `3probe`), ends its poll, and says `5`. From then on the WebSocket is the
//! session's connection, on a trunk like any other, and nothing of the session stays here.
//!
//! Until `5` a WebSocket that fails costs the session nothing: it polls on.

use std::time::Duration;

use bytes::Bytes;
use trunkline_core::{
    CloseCode, ConnectionId, Frame, FrameKind, Input, Mono, Output, Part, SessionId, TrunkId,
};
use trunkline_proto::engine::{PROBE, PROBED, Packet};

use super::ending::Ending;
use super::session::{Phase, Session};
use super::timers::Timer;
use super::{Engine, POLLING};
use crate::wire::encode_down;

/// The type of the packet that changes.
const UPGRADE: u8 = b'5';
/// How often a poll that holds up the change is released; the reference's time.
const CHECK: Duration = Duration::from_millis(100);
/// About how many bytes of what is queued go to the WebSocket as one item.
const CHUNK: usize = 256 * 1024;

pub(super) type At = (TrunkId, ConnectionId);

impl Engine {
    /// Whether this is the change. What the core has said to the session must be in its queue
    /// before it is heard.
    pub(crate) fn is_change(payload: &Bytes, binary: bool) -> bool {
        !binary && payload.first() == Some(&UPGRADE)
    }

    pub(super) fn begin_probe(&mut self, at: At, id: &SessionId, now: Mono) {
        match self.find(id) {
            Some((number, session)) if session.probe.is_none() && session.phase == Phase::Open => {
                session.probe = Some(at);
                self.probes.insert(at, number);
                self.timers.set(number, Timer::Upgrade, now + self.settings.upgrade_timeout);
            }
            _ => self.close_socket(at, "no session that could change to this; begin a new one"),
        }
    }

    /// What came over a WebSocket before the change.
    pub(super) fn control(&mut self, at: At, payload: &Bytes, binary: bool, now: Mono) {
        // It may have been given up with this on its way.
        let Some(number) = self.probes.get(&at).copied() else { return };
        match Packet::decode(payload) {
            Ok(Packet::Ping(data)) if !binary && data == PROBE => {
                self.send(at, vec![Part::text(Bytes::from_static(PROBED.as_bytes()))]);
                self.timers.set(number, Timer::Check, now + CHECK);
            }
            Ok(Packet::Upgrade) if !binary => self.change(at, number),
            _ => self.give_up_probe(number),
        }
    }

    /// Ends the poll that the client waits for before it says `5`.
    pub(super) fn check(&mut self, number: u64, now: Mono) {
        self.release(number);
        self.timers.set(number, Timer::Check, now + CHECK);
    }

    /// Closes the WebSocket, if there is one; the session polls on.
    pub(super) fn give_up_probe(&mut self, number: u64) {
        let probe = self.sessions.get(&number).and_then(|session| session.probe);
        if let Some(at) = probe {
            self.forget_probe(at);
            self.close_socket(at, "the change to this WebSocket was given up");
        }
    }

    /// The WebSocket is no more. False if it was none that a session might change to.
    pub(super) fn forget_probe(&mut self, at: At) -> bool {
        let Some(number) = self.probes.remove(&at) else { return false };
        self.timers.clear(number, Timer::Check);
        self.timers.clear(number, Timer::Upgrade);
        if let Some(session) = self.sessions.get_mut(&number) {
            session.probe = None;
        }
        self.consider_again(number);
        true
    }

    pub(super) fn detach(&mut self, trunk: TrunkId, connection: ConnectionId, moved: bool) {
        if !self.forget_probe((trunk, connection)) {
            self.inputs.push_back(Input::Detach { trunk, connection, moved });
        }
    }

    /// The change, in one go: what is queued goes to the WebSocket before anything that the core
    /// says to it.
    fn change(&mut self, at: At, number: u64) {
        self.forget_probe(at);
        let Some(session) = self.remove(number, Ending::Upgraded) else { return };
        let Session { mut queue, .. } = session;
        let (mut parts, mut size) = (Vec::new(), 0);
        while let Some(part) = queue.pop() {
            size += part.payload.len();
            parts.push(part);
            if size >= CHUNK {
                self.send(at, std::mem::take(&mut parts));
                size = 0;
            }
        }
        self.send(at, parts);
        self.inputs.push_back(Input::Move { from: (POLLING, ConnectionId(number)), to: at });
    }

    fn send(&mut self, (trunk, connection): At, parts: Vec<Part>) {
        if parts.is_empty() {
            return;
        }
        let frame = Frame::socketio(FrameKind::Reply, parts);
        let connections = vec![connection];
        let (receipt, position, answers) = (None, None, None);
        let send = Output::Send { trunk, connections, frame, receipt, position, answers };
        self.items.extend(encode_down(send));
    }

    pub(super) fn close_socket(&mut self, (trunk, connection): At, reason: &'static str) {
        let code = CloseCode::Done;
        self.items.extend(encode_down(Output::Close { trunk, connection, code, reason }));
    }
}
