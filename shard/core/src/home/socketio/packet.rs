//! What a Socket.IO client's packets mean: one arm per kind. What the reference server hangs up
//! for ends the connection here too.

use bytes::Bytes;

use crate::core::Io;
use crate::dialect::socketio::{Kind, Packet, ParseError};
use crate::home::Home;
use crate::home::greeting::{Greeting, Heard};
use crate::name::Namespace;
use crate::output::{CloseCode, Output};
use crate::session_id::SessionId;

impl Home {
    /// A message on a Socket.IO client's connection.
    pub(in crate::home) fn take_packet(
        &mut self,
        io: &mut Io,
        line: SessionId,
        sequence: u64,
        payload: Bytes,
        binary: bool,
    ) {
        let bytes_max = io.settings.packet;
        let Some(multiplex) = self.lines.get_mut(&line).and_then(|it| it.multiplex()) else {
            return;
        };
        match multiplex.assembly.take(payload, binary, bytes_max) {
            Ok(Some(packet)) => self.packet(io, line, sequence, packet),
            Ok(None) => self.settle_line(io, line, sequence),
            Err(ParseError::TooLarge) => {
                self.hang_up(io, line, CloseCode::TooLarge, "a packet was over the limit");
            }
            Err(_) => self.hang_up(io, line, CloseCode::Policy, "that was no packet of Socket.IO"),
        }
    }

    fn packet(&mut self, io: &mut Io, line: SessionId, sequence: u64, packet: Packet) {
        let socket = Namespace::parse(&packet.namespace).ok().and_then(|namespace| {
            let multiplex = self.lines.get_mut(&line)?.multiplex()?;
            multiplex.sockets.get(&namespace).copied()
        });
        match (packet.kind, socket) {
            (Kind::Connect, None) => self.connect(io, line, sequence, &packet),
            (Kind::Event, Some(session)) => self.hear_event(io, session, sequence, packet),
            (Kind::Acknowledgement, Some(session)) => {
                self.acknowledged(io, session, &packet);
                self.settle_line(io, line, sequence);
            }
            (Kind::Disconnect, Some(session)) => {
                self.finish(io, session, "client namespace disconnect");
                self.settle_line(io, line, sequence);
            }
            // Connected already, not connected, or a packet that only a server sends.
            _ => self.hang_up(io, line, CloseCode::Policy, "that packet was out of turn"),
        }
    }

    fn hear_event(&mut self, io: &mut Io, id: SessionId, sequence: u64, packet: Packet) {
        match self.sessions.get(&id).map(|session| &session.greeting) {
            Some(Greeting::Done) => self.event(io, id, sequence, packet),
            Some(Greeting::Due(_)) => self.wait(io, id, sequence, Heard::Event(Box::new(packet))),
            None => {}
        }
    }

    pub(in crate::home) fn settle_line(&mut self, io: &mut Io, line: SessionId, sequence: u64) {
        let Some(it) = self.lines.get_mut(&line) else { return };
        it.settle(io, sequence);
        for room in it.take_settled() {
            self.join_own(io, line, &room, None);
        }
    }

    /// Closes a client's connection; its end follows when the router says so.
    pub(in crate::home) fn hang_up(
        &mut self,
        io: &mut Io,
        line: SessionId,
        code: CloseCode,
        reason: &'static str,
    ) {
        if let Some((trunk, connection)) = self.lines.get(&line).and_then(|line| line.at) {
            io.output(Output::Close { trunk, connection, code, reason });
        }
    }
}
