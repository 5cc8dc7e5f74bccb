//! What a Socket.IO client's packets mean: one arm per kind. What the reference server hangs up
//! for ends the connection here too.

use crate::core::Io;
use crate::dialect::socketio::{Kind, Packet, ParseError, Whole};
use crate::home::greeting::{Greeting, Heard};
use crate::home::{Home, Message};
use crate::output::{CloseCode, Output};
use crate::session_id::SessionId;

impl Home {
    /// A message on a Socket.IO client's connection.
    pub(in crate::home) fn take_packet(&mut self, io: &mut Io, line: SessionId, message: Message) {
        let Message { sequence, payload, binary, answered } = message;
        let bytes_max = io.settings.packet;
        let Some(it) = self.lines.get_mut(&line) else { return };
        let Some(multiplex) = it.multiplex() else { return };
        let taken = match binary {
            true => multiplex.assembly.take_binary(payload, bytes_max),
            false => multiplex.assembly.take_text(&payload, sequence, answered),
        };
        match taken {
            Ok(Some(Whole { packet, sequence: first, answered })) => {
                // It is one thing, that is settled by its text and sent again from there.
                let is_open = first != sequence && !it.is_settled(first);
                if is_open {
                    self.settle_line(io, line, sequence);
                }
                let sequence = if is_open { first } else { sequence };
                self.packet(io, line, sequence, packet, answered);
            }
            Ok(None) if !binary => {}
            Ok(None) => self.settle_line(io, line, sequence),
            Err(ParseError::TooLarge) => {
                self.hang_up(io, line, CloseCode::TooLarge, "a packet was over the limit");
            }
            Err(_) => self.hang_up(io, line, CloseCode::Policy, "that was no packet of Socket.IO"),
        }
    }

    fn packet(
        &mut self,
        io: &mut Io,
        line: SessionId,
        sequence: u64,
        packet: Packet,
        answered: u64,
    ) {
        let Some(it) = self.lines.get_mut(&line) else { return };
        let again_upto = it.again_upto();
        let Some(multiplex) = it.multiplex() else { return };
        let socket = multiplex.sockets.get(&*packet.namespace).copied();
        match (packet.kind, socket) {
            (Kind::Connect, None) if sequence <= again_upto => {
                self.connect_again(io, line, sequence, &packet, answered);
            }
            (Kind::Connect, None) => self.connect(io, line, sequence, &packet),
            (Kind::Event, Some(session)) => {
                self.hear_event(io, session, sequence, packet, answered);
            }
            (Kind::Acknowledgement, Some(session)) => {
                self.acknowledged(io, session, &packet);
                self.settle_line(io, line, sequence);
            }
            (Kind::Disconnect, Some(session)) => {
                self.leaves_namespace(io, session, sequence);
                self.finish(io, session, "client namespace disconnect");
                self.settle_line(io, line, sequence);
            }
            // It was heard before, by a session that is no more.
            (Kind::Event | Kind::Acknowledgement | Kind::Disconnect, None)
                if sequence <= again_upto =>
            {
                self.settle_line(io, line, sequence);
            }
            // Connected already, not connected, or a packet that only a server sends.
            _ => self.hang_up(io, line, CloseCode::Policy, "that packet was out of turn"),
        }
    }

    fn hear_event(
        &mut self,
        io: &mut Io,
        id: SessionId,
        sequence: u64,
        packet: Packet,
        answered: u64,
    ) {
        match self.sessions.get(&id).map(|session| &session.greeting) {
            Some(Greeting::Done) => self.event(io, id, sequence, packet, answered),
            Some(Greeting::Due(_)) => self.wait(io, id, sequence, Heard::Event(Box::new(packet))),
            None => {}
        }
    }

    pub(in crate::home) fn settle_line(&mut self, io: &mut Io, line: SessionId, sequence: u64) {
        let Some(it) = self.lines.get_mut(&line) else { return };
        let was_known = it.is_known_to_its_router();
        it.settle(io, sequence);
        if !was_known && it.is_known_to_its_router() {
            self.changed.insert(line);
        }
        for (session, room) in it.take_settled() {
            self.join_own(io, session, &room, None);
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
