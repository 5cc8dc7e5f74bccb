//! Clients come, change their connection, and go.

use bytes::Bytes;

use super::Home;
use super::gate::owner_of;
use super::greeting::{Greeting, Heard};
use super::line::{At, Line, Multiplex, Speaks};
use super::session::Session;
use super::socketio::departed::tell_gone;
use super::subscription::Socket;
use crate::core::Io;
use crate::dialect::{native, socketio::Assembly};
use crate::input::{Attach, Comes, Newcomer};
use crate::output::{CloseCode, Output, Part};
use crate::session_id::SessionId;
use crate::small_map::SmallMap;
use crate::topic::Topic;
use crate::{ConnectionId, Dialect, TrunkId};

/// What a client has sent.
pub(crate) struct Message {
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
    pub(crate) binary: bool,
    /// Parts of the answer to it that were given by an earlier process, or an earlier trunk.
    pub(crate) answered: u64,
}

impl Home {
    pub(crate) fn attach(&mut self, io: &mut Io, trunk: TrunkId, attach: Attach) {
        let Attach { connection, session: id, dialect, attachment, comes } = attach;
        let at = (trunk, connection);
        let newcomer = match comes {
            Comes::Anew(newcomer) => newcomer,
            Comes::Again(adoption) => {
                let nth = attachment;
                return self.adopt(io, at, (id, nth), dialect, &adoption);
            }
        };
        // Session IDs are random: the same one twice is the same client, and its newer socket counts.
        self.hang_on_no_more(io, id, "transport close");
        self.connections.insert(at, id);
        match dialect {
            Dialect::Native => {
                let session = Session::native(id, newcomer, attachment, at);
                self.lines.insert(id, Line::new(at, Speaks::Native, attachment));
                let inbox = session.inbox_topic();
                self.sessions.insert(id, Box::new(session));
                self.watch_expiry(io, id);
                // An inbox out of reach must not keep the client from its rooms.
                if !self.join_own(io, id, &inbox, None) {
                    self.greet(io, id);
                }
            }
            Dialect::SocketIo => {
                let Newcomer { identity, authenticated, guest, .. } = newcomer;
                let multiplex = Multiplex {
                    identity,
                    authenticated,
                    guest,
                    assembly: Assembly::default(),
                    sockets: SmallMap::default(),
                    awaited: Vec::new(),
                    ended: Vec::new(),
                    connects: 0,
                    attached_before: 0,
                };
                let speaks = Speaks::SocketIo(Box::new(multiplex));
                self.lines.insert(id, Line::new(at, speaks, attachment));
                self.unconnected.push(io.now.mono, id);
                self.changed.insert(id);
            }
        }
    }

    /// A message on a connection.
    pub(crate) fn message(&mut self, io: &mut Io, at: At, message: Message) {
        let Some(id) = self.connections.get(&at).copied() else { return };
        let Some(line) = self.lines.get_mut(&id) else { return };
        let Some(sequence) = line.begin(message.sequence) else { return };
        if line.multiplex().is_some() {
            return self.take_packet(io, id, Message { sequence, ..message });
        }
        let Message { payload, answered, .. } = message;
        if answered != 0 {
            return self.said_before(io, id, sequence, &payload);
        }
        match self.sessions.get(&id).map(|session| &session.greeting) {
            Some(Greeting::Done) => self.said_natively(io, id, sequence, &payload),
            Some(Greeting::Due(_)) => self.wait(io, id, sequence, Heard::Native(payload)),
            None => {}
        }
    }

    /// What a client says before its welcome waits for that.
    pub(super) fn wait(&mut self, io: &mut Io, id: SessionId, sequence: u64, heard: Heard) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let line = session.line;
        if let Greeting::Due(due) = &mut session.greeting
            && due.hear(sequence, heard).is_err()
        {
            let reason = "too much was sent before the welcome; wait for it";
            self.hang_up(io, line, CloseCode::Policy, reason);
        }
    }

    /// Takes up what a client has said before its welcome.
    pub(super) fn said(&mut self, io: &mut Io, id: SessionId, sequence: u64, heard: Heard) {
        match heard {
            Heard::Native(payload) => self.said_natively(io, id, sequence, &payload),
            Heard::Event(packet) => self.event(io, id, sequence, *packet, 0),
        }
    }

    /// Welcomes a native session whose inbox has not let it in.
    pub(super) fn greet(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for (sequence, heard) in session.welcome(io) {
            self.said(io, id, sequence, heard);
        }
        self.changed(id);
    }

    /// A client has another connection for the same sessions.
    pub(crate) fn move_line(&mut self, io: &mut Io, from: At, to: At) {
        let Some(id) = self.connections.remove(&from) else { return };
        let Some(line) = self.lines.get_mut(&id) else { return };
        line.move_to(to);
        self.connections.insert(to, id);
        // From here on there is a router that keeps it.
        self.changed.insert(id);
        let counts_from = line.origin();
        let Some(multiplex) = line.multiplex() else { return };
        for id in multiplex.sockets.values() {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            session.at = Some(to);
            if let Some(socket) = &mut session.socket {
                socket.counts_from = counts_from;
            }
            if matches!(session.greeting, Greeting::Due(_)) {
                continue;
            }
            session.settle_places(&self.subscriptions);
            for room in session.rooms.keys() {
                self.subscriptions.change(io, &session.room(room), *id, from, to);
            }
        }
    }

    /// A socket is gone from here: closed, or moved to another shard's trunk.
    pub(crate) fn detach(&mut self, io: &mut Io, at: At, moved: bool) {
        let Some(line) = self.connections.get(&at).copied() else { return };
        if moved {
            self.connections.remove(&at);
            self.disown([line].into_iter());
            self.lose_sight(io, line, at);
        } else {
            self.hang_on_no_more(io, line, "transport close");
        }
    }

    /// Whoever speaks by this connection is where this shard can't see it. What it has said is said: nobody
    /// says it again.
    pub(crate) fn lose(&mut self, io: &mut Io, at: At) {
        if let Some(line) = self.connections.remove(&at) {
            self.lose_sight(io, line, at);
        }
    }

    /// The connection is gone: its sessions end, and may come back.
    pub(super) fn hang_on_no_more(
        &mut self,
        io: &mut Io,
        line_id: SessionId,
        reason: &'static str,
    ) {
        let Some(line) = self.lines.get(&line_id) else { return };
        let sessions = line.sessions(line_id);
        if let Some(at) = line.at {
            self.connections.remove(&at);
        }
        for id in sessions {
            self.remember(io, id);
            self.finish(io, id, reason);
        }
        self.lines.remove(&line_id);
    }

    /// The routers' sockets may live on where this shard can't see them. So their sessions leave
    /// what they hear, but stay who they are in their rooms until the grace is over.
    pub(crate) fn trunk_down(&mut self, io: &mut Io, trunk: TrunkId) {
        for receipt in self.handovers.of_trunk(trunk) {
            self.receipt(io, receipt, false);
        }
        let of_trunk = (trunk, ConnectionId(0))..=(trunk, ConnectionId(u64::MAX));
        let lost: Vec<_> = self.connections.extract_if(of_trunk, |_, _| true).collect();
        self.disown(lost.iter().map(|(_, line)| *line));
        for (at, line_id) in lost {
            self.lose_sight(io, line_id, at);
        }
    }

    /// What is under way for those who speak by these connections is theirs no more. They may begin
    /// anew by the same ones, and what is answered late is not for that.
    pub(super) fn disown(&mut self, lines: impl Iterator<Item = SessionId>) {
        let sessions = lines.filter_map(|id| Some(self.lines.get(&id)?.sessions(id))).flatten();
        self.requests.disown(&sessions.collect());
    }

    /// A connection is where this shard can't see it.
    fn lose_sight(&mut self, io: &mut Io, line_id: SessionId, at: At) {
        let Some(line) = self.lines.get_mut(&line_id) else { return };
        line.at = None;
        for id in line.sessions(line_id) {
            if !trunkline_planted::is("forget who is behind a broken trunk") {
                self.orphan(io, id, at);
            }
        }
        self.lines.remove(&line_id);
    }

    pub(super) fn orphan(&mut self, io: &mut Io, id: SessionId, at: At) {
        self.remember(io, id);
        self.answers_no_more(io, id);
        let seen = self.sessions.get(&id).and_then(|it| self.lines.get(&it.line));
        let seen = seen.map_or(0, Line::seen);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let was_in = !session.is_welcome_due();
        if !was_in && session.recalled().is_none() {
            return self.end(io, id);
        }
        session.at = None;
        if let Some(socket) = &mut session.socket {
            // Its last requests, when the grace is over, are none of the connection's.
            socket.origin += seen + 1;
        }
        self.verifying.retain(|_, why| !why.is_renewal_of(id));
        // What it has emitted comes again, if it does.
        self.calls.retain(|_, run| !run.ends_with(id));
        session.broken = Some(io.now.mono);
        session.broken_after = seen;
        self.orphans.push(io.now.mono, (id, io.now.mono));
        let dialect = session.dialect();
        for (room, membership) in session.rooms.iter() {
            let topic = session.room(room);
            let owner = owner_of(&self.subscriptions, io, &topic);
            if membership.live {
                self.subscriptions.remove(io, &topic, id, at, dialect, Socket::Gone);
            }
            // Its client may be attached again, and what it has said be sent again.
            io.tell(owner, session.suspended_in(topic));
        }
        self.leave_inbox(io, id, at);
        if !was_in {
            self.give_away(io, id);
        }
    }

    /// A Socket.IO session goes: what rules say is done, and then it is over.
    pub(super) fn finish(&mut self, io: &mut Io, id: SessionId, reason: &'static str) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.is_in_namespace() {
            self.disconnecting(io, id, reason);
        }
        self.end(io, id);
    }

    /// The session is over: it leaves everything.
    pub(super) fn end(&mut self, io: &mut Io, id: SessionId) {
        self.answers_no_more(io, id);
        self.silence(io, id);
        if let Some(at) = self.sessions.get(&id).and_then(|session| session.at) {
            self.leave_inbox(io, id, at);
        }
        let Some(mut session) = self.sessions.remove(&id) else { return };
        if let Some(at) = session.expires {
            self.expiries.remove(&(at, id));
        }
        let dialect = session.dialect();
        // Its client may yet be attached again, or its messages come again, and repeat themselves.
        let may_repeat = session.at.is_none() || self.has_left_by_a_message(&session);
        let member = session.member();
        // In the rooms' order, which is that of their IDs.
        for room in session.rooms.keys() {
            let topic: Topic = session.room(room);
            let owner = owner_of(&self.subscriptions, io, &topic);
            if let Some(at) = session.at {
                // A Socket.IO client leaves a namespace without hanging up.
                let is_open = self.connections.contains_key(&at);
                let socket = if is_open { Socket::Open } else { Socket::Gone };
                self.subscriptions.remove(io, &topic, id, at, dialect, socket);
            }
            if may_repeat || self.gates.is_closed(&topic) {
                // Its client may say again what it has said, or that waits here.
                self.part_as(io, member.clone(), topic);
            } else {
                io.tell(owner, session.forgotten_in(topic));
            }
        }
        if session.at.is_none() {
            self.part_as(io, member, session.inbox_topic());
        }
        if session.is_welcome_due() {
            self.verifying.retain(|_, why| !why.is_connect_of(id));
            self.calls.retain(|_, run| !run.asks_for(id));
        }
        if let Greeting::Due(due) = &mut session.greeting {
            let said = std::mem::take(&mut due.said).into_iter().map(|(sequence, _)| sequence);
            for sequence in said.chain([due.connect]) {
                self.settle_line(io, session.line, sequence);
            }
        }
        let Some(socket) = &session.socket else { return tell_gone(io, id, id) };
        self.privates.remove(&socket.private_id);
        if self.departed.has(&socket.private_id) {
            return;
        }
        if session.is_welcome_due() && session.attachment.is_first() {
            // Nobody knows of it.
            tell_gone(io, id, socket.private_id);
        } else {
            self.gone_for_good(io, &session);
        }
    }

    /// Whether a client has left a session's namespace by a message that isn't settled.
    fn has_left_by_a_message(&mut self, session: &Session) -> bool {
        let multiplex = self.lines.get_mut(&session.line).and_then(Line::multiplex);
        let ended = multiplex.map_or(&[][..], |multiplex| &multiplex.ended);
        ended.iter().any(|(socket, _)| socket.session == session.id)
    }

    /// A connection speaks for a session no more, and its router hears so before it takes the
    /// connection out of groups.
    fn silence(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (line, is_welcome) = (session.line, !session.is_welcome_due());
        let Some(multiplex) = self.lines.get_mut(&line).and_then(Line::multiplex) else { return };
        multiplex.awaited.retain(|awaited| *awaited != id);
        if multiplex.sockets.get(&session.namespace) == Some(&id) {
            multiplex.sockets.remove(&session.namespace);
            if is_welcome && session.at.is_some_and(|at| self.connections.contains_key(&at)) {
                self.give_checkpoint(io, line);
            }
        }
    }

    /// Takes a session out of its inbox.
    fn leave_inbox(&mut self, io: &mut Io, id: SessionId, at: At) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.inbox.is_over() {
            return;
        }
        let (topic, dialect) = (session.inbox_topic(), session.dialect());
        session.inbox.live = false;
        let (suspended, forgotten) =
            (session.suspended_in(topic.clone()), session.forgotten_in(topic.clone()));
        let stays = session.at.is_none();
        let owner = owner_of(&self.subscriptions, io, &topic);
        self.subscriptions.remove(io, &topic, id, at, dialect, Socket::Gone);
        if stays {
            io.tell(owner, suspended);
        } else if self.gates.is_closed(&topic) {
            self.part(io, id, topic);
        } else {
            io.tell(owner, forgotten);
        }
    }

    /// A Socket.IO client must have connected to a namespace by now.
    pub(super) fn expect_namespace(&mut self, io: &mut Io, line_id: SessionId) {
        let Some(line) = self.lines.get_mut(&line_id) else { return };
        let at = line.at;
        let is_nowhere = |multiplex: &mut Multiplex| {
            multiplex.sockets.is_empty() && multiplex.awaited.is_empty()
        };
        let waits = line.multiplex().is_some_and(is_nowhere);
        if let (true, Some((trunk, connection))) = (waits, at) {
            let (code, reason) = (CloseCode::Done, "no namespace was connected to in time");
            io.output(Output::Close { trunk, connection, code, reason });
        }
    }
}

impl Session {
    /// Welcomes a native client, if it has not been. Gives what it has said meanwhile, to be
    /// taken up.
    pub(super) fn welcome(&mut self, io: &mut Io) -> Vec<(u64, Heard)> {
        match std::mem::replace(&mut self.greeting, Greeting::Done) {
            Greeting::Done => Vec::new(),
            Greeting::Due(due) => {
                let user = &self.identity.user;
                let heartbeat_ms = io.settings.heartbeat.as_millis();
                let welcome = native::welcome(&self.id, user, heartbeat_ms, io.settings.message);
                self.send(io, vec![Part::text(welcome)], None);
                due.said
            }
        }
    }
}
