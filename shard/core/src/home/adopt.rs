//! Going on with a connection whose trunk or whose process is no more. Its router has kept it and
//! gives back what shards have told it; the client hears nothing of all this but what it has
//! missed.

use super::Home;
use super::command::Origin;
use super::line::{At, Line, Multiplex, Speaks};
use super::respond::ReplyTo;
use super::resume::{resume, socket_of};
use super::session::Session;
use crate::Dialect;
use crate::attachment::Attachment;
use crate::checkpoint::{Checkpoint, KeptLine, KeptSession};
use crate::core::Io;
use crate::dialect::command::Command;
use crate::dialect::native::{self, Request};
use crate::dialect::socketio;
use crate::input::Adoption;
use crate::name::RoomId;
use crate::output::{CloseCode, Output};
use crate::session_id::SessionId;
use crate::small_map::SmallMap;
use crate::topic::Topic;

impl Home {
    /// Goes on with a connection as its router has kept it.
    pub(super) fn adopt(
        &mut self,
        io: &mut Io,
        at: At,
        (id, nth): (SessionId, u32),
        dialect: Dialect,
        adoption: &Adoption,
    ) {
        let checkpoint = Checkpoint::decode(&adoption.state);
        match checkpoint.filter(|it| self.may_be_adopted(io, dialect, it)) {
            Some(Checkpoint::Native(kept)) => self.adopt_native(io, at, (id, nth), kept, adoption),
            Some(Checkpoint::SocketIo(kept)) => self.adopt_line(io, at, (id, nth), kept, adoption),
            None => {
                self.hang_on_no_more(io, id, "transport close");
                let ((trunk, connection), code) = (at, CloseCode::Restart);
                let reason = "the session can't be gone on with; come back";
                io.output(Output::Close { trunk, connection, code, reason });
            }
        }
    }

    fn may_be_adopted(&self, io: &Io, dialect: Dialect, checkpoint: &Checkpoint) -> bool {
        let is_its_own = match checkpoint {
            Checkpoint::Native(_) => dialect == Dialect::Native,
            Checkpoint::SocketIo(_) => dialect == Dialect::SocketIo,
        };
        let is_valid = |kept: &KeptSession| {
            kept.identity.expires_ms.is_none_or(|expires_ms| expires_ms > io.now.wall_ms)
        };
        // Its client may go on by another connection than this one.
        let is_newest = |(session, recoveries)| {
            !self.has_come_back(session, Attachment::new(recoveries, u32::MAX))
        };
        is_its_own
            && checkpoint.sessions().into_iter().all(is_valid)
            && checkpoint.recoveries().into_iter().all(is_newest)
    }

    fn adopt_native(
        &mut self,
        io: &mut Io,
        at: At,
        (id, nth): (SessionId, u32),
        kept: KeptSession,
        adoption: &Adoption,
    ) {
        self.take_line(io, id);
        self.aliases.remove(&id);
        let before = self.take_session(id);
        let is_over = before.as_ref().is_some_and(|it| it.broken_after <= adoption.settled);
        let mut session = Session::new(id, id, kept.namespace.clone(), kept.identity.clone(), at);
        session.attachment = Attachment::new(0, nth);
        let session = resume(session, kept, adoption, adoption.settled, before);
        self.connections.insert(at, id);
        self.lines.insert(id, Line::resumed(at, Speaks::Native, nth, 0, adoption.settled));
        self.sessions.insert(id, Box::new(session));
        self.watch_expiry(io, id);
        // Before anything else, so that a router that loses this trunk too can give back either
        // all that it gave now, or all that has come since.
        self.give_checkpoint(io, id);
        self.go_on(io, id);
        if is_over {
            self.leave_what_is_over(io, id);
        }
    }

    /// All that a client has said to this process is settled: where it isn't any more it has left, or
    /// was refused, by another.
    fn leave_what_is_over(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let rooms: Vec<RoomId> = session.rooms.keys().cloned().collect();
        for room in rooms {
            self.stays_out(io, id, &room);
        }
    }

    fn adopt_line(
        &mut self,
        io: &mut Io,
        at: At,
        (id, nth): (SessionId, u32),
        kept: KeptLine,
        adoption: &Adoption,
    ) {
        self.take_line(io, id);
        let KeptLine { identity, authenticated, guest, connects, origin, attached_before, sockets } =
            kept;
        let nth = attached_before.saturating_add(nth);
        let settled = origin + adoption.settled;
        let mut multiplex = Multiplex {
            identity,
            authenticated,
            guest,
            assembly: socketio::Assembly::default(),
            sockets: SmallMap::default(),
            awaited: Vec::new(),
            ended: Vec::new(),
            connects,
            attached_before,
        };
        let mut present = Vec::new();
        for (socket, kept) in sockets {
            if socket.ended.is_some_and(|ended| ended <= settled) {
                continue;
            }
            let session = socket.session;
            self.aliases.remove(&session);
            let before = self.take_session(session);
            let namespace = kept.namespace.clone();
            let mut resumed =
                Session::new(session, id, namespace.clone(), kept.identity.clone(), at);
            resumed.attachment = Attachment::new(socket.recoveries, nth);
            let known_from = self.known_from(resumed.attachment, before.as_deref());
            resumed.socket = Some(Box::new(socket_of(socket, (origin, settled), known_from)));
            let resumed = resume(resumed, kept, adoption, settled, before);
            if resumed.socket.as_ref().is_some_and(|socket| socket.awaited) {
                multiplex.awaited.push(session);
            } else {
                multiplex.sockets.insert(namespace, session);
                present.push(session);
            }
            if let Some(socket) = &resumed.socket {
                self.privates.insert(socket.private_id, session);
                self.aliases.remove(&socket.private_id);
                self.departed.forget(&socket.private_id);
            }
            self.tell_whereabouts(io, &resumed);
            self.sessions.insert(session, Box::new(resumed));
            self.watch_expiry(io, session);
        }
        self.connections.insert(at, id);
        let speaks = Speaks::SocketIo(Box::new(multiplex));
        self.lines.insert(id, Line::resumed(at, speaks, nth, origin, settled));
        self.unconnected.push(io.now.mono, id);
        self.give_checkpoint(io, id);
        for session in present {
            self.go_on(io, session);
        }
    }

    /// The first stamp that says of a client that is gone on with what it has had. With the newest up to
    /// now it may have heard more elsewhere since, unless it was here `before`, and nowhere in between.
    fn known_from(&self, attachment: Attachment, before: Option<&Session>) -> u64 {
        let was_here = before.filter(|it| it.attachment.0 + 1 == attachment.0);
        match was_here.and_then(|it| it.socket.as_ref()) {
            Some(before) => self.stream.last().max(before.adopted.unwrap_or_default()),
            None => self.stream.last() + 1,
        }
    }

    /// Asks all topics of a session to let it go on.
    pub(super) fn go_on(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let topics: Vec<Topic> = session.resuming().chain(session.own_topics()).collect();
        for topic in topics {
            self.join_own(io, id, &topic, None);
        }
    }

    /// Takes a connection's sessions from where they were in this process, if they were.
    fn take_line(&mut self, io: &mut Io, id: SessionId) {
        let Some(line) = self.lines.get(&id) else { return };
        let sessions = line.sessions(id);
        if let Some(at) = line.at {
            self.connections.remove(&at);
            self.disown([id].into_iter());
            for session in sessions {
                self.orphan(io, session, at);
            }
        }
        self.lines.remove(&id);
    }

    /// Takes out a session that is gone on with.
    pub(super) fn take_session(&mut self, id: SessionId) -> Option<Box<Session>> {
        let session = self.sessions.remove(&id)?;
        if let Some(at) = session.expires {
            self.expiries.remove(&(at, id));
        }
        if let Some(socket) = &session.socket {
            self.privates.remove(&socket.private_id);
        }
        Some(session)
    }

    /// A client's message that comes again though the client has been answered. What the answer
    /// said was done is done, and what it refused stays so; only who speaks may not be known here.
    pub(super) fn said_before(
        &mut self,
        io: &mut Io,
        id: SessionId,
        sequence: u64,
        payload: &[u8],
    ) {
        if let Ok(Request { command: command @ Command::Auth { .. }, .. }) = native::decode(payload)
        {
            let (session, line, message) = (id, id, Some(sequence));
            let origin = Origin { session, line, reply_to: ReplyTo::Nobody, message, sequence };
            if self.command(io, origin, command).is_ok() {
                return;
            }
        }
        self.settle_line(io, id, sequence);
    }
}
