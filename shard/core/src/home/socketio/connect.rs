//! A client connects to a namespace: it is allowed, knows who speaks, perhaps comes back to a
//! session that it had, and perhaps the application is asked. Then it is let into its topics.

use std::sync::Arc;

use crate::attachment::Attachment;
use crate::core::Io;
use crate::dialect::socketio::{self, Packet};
use crate::dialect::{ErrorCode, Problem, native};
use crate::home::greeting::{Due, Greeting};
use crate::home::line::{Line, Multiplex};
use crate::home::session::{Session, Socket};
use crate::home::{Home, Verifying};
use crate::input::Identity;
use crate::name::{Namespace, UserId};
use crate::output::{Answer, CloseCode, Frame, FrameKind, Output, Part};
use crate::peer;
use crate::rules;
use crate::session_id::SessionId;

/// Namespaces that one connection may be in at a time.
const SOCKETS_MAX: usize = 64;

impl Home {
    pub(super) fn connect(
        &mut self,
        io: &mut Io,
        line_id: SessionId,
        sequence: u64,
        packet: &Packet,
    ) {
        let namespace = Namespace::parse(&packet.namespace)
            .ok()
            .filter(|it| io.settings.namespaces.iter().any(|allowed| allowed.names(it.as_str())));
        let Some(namespace) = namespace else {
            // A name that can't be one is given back as it came.
            let answer = socketio::refused(&packet.namespace, "Invalid namespace", None);
            self.tell_line(io, line_id, answer, sequence);
            return self.settle_line(io, line_id, sequence);
        };
        let Some(multiplex) = self.lines.get_mut(&line_id).and_then(Line::multiplex) else {
            return;
        };
        if multiplex.sockets.len() >= SOCKETS_MAX {
            let answer = socketio::refused(namespace.as_str(), "Too many namespaces", None);
            self.tell_line(io, line_id, answer, sequence);
            return self.settle_line(io, line_id, sequence);
        }
        let auth = (!packet.data.is_empty()).then(|| Arc::from(packet.data.as_str()));
        let due = Due { connect: sequence, auth, ..Due::default() };
        let (identity, authenticated) = (multiplex.identity.clone(), multiplex.authenticated);
        let speaker = speaker(io, multiplex, &packet.data);
        let begun = self.begin_session(io, line_id, namespace, (identity, authenticated), due);
        let Some(id) = begun else { return };
        match speaker {
            Speaker::Known => self.admit(io, id),
            Speaker::Named(user) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.identity.user = user;
                }
                self.admit(io, id);
            }
            Speaker::Token(token) => {
                let ticket = io.ticket();
                self.verifying.insert(ticket, Verifying::Connect(id));
                io.output(Output::Verify { ticket, token });
            }
            Speaker::Unknown => self.refuse_connect(io, id, &not_authenticated(), None),
        }
    }

    /// A client's message to connect to a namespace comes again. If its client has had the welcome it
    /// is there; otherwise it begins anew.
    pub(super) fn connect_again(
        &mut self,
        io: &mut Io,
        line_id: SessionId,
        sequence: u64,
        packet: &Packet,
        answered: u64,
    ) {
        let awaited = |id: &SessionId| {
            let socket = self.sessions.get(id)?.socket.as_ref()?;
            (socket.connect == sequence).then_some(*id)
        };
        let multiplex = self.lines.get_mut(&line_id).and_then(Line::multiplex);
        let Some(multiplex) = multiplex else { return };
        let Some(id) = multiplex.awaited.iter().find_map(awaited) else {
            if answered == 0 {
                return self.connect(io, line_id, sequence, packet);
            }
            // It was refused, or has been left since.
            return self.settle_line(io, line_id, sequence);
        };
        if answered & Answer::bit(0) == 0 {
            self.connect(io, line_id, sequence, packet);
            if self.sessions.get(&id).is_some_and(|session| !session.hears()) {
                self.end(io, id);
            }
            return;
        }
        multiplex.awaited.retain(|awaited| *awaited != id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        multiplex.sockets.insert(session.namespace.clone(), id);
        let Some(socket) = &mut session.socket else { return };
        socket.awaited = false;
        let actions = socket.actions.clone();
        self.go_on(io, id);
        let auth = (!packet.data.is_empty()).then(|| Arc::from(packet.data.as_str()));
        self.connected(io, id, auth, &actions, answered);
    }

    /// Begins a connection's session in a namespace, with new IDs: the same ones if the message by
    /// which it connects comes again. None if the connection is gone.
    pub(super) fn begin_session(
        &mut self,
        io: &Io,
        line_id: SessionId,
        namespace: Namespace,
        (identity, authenticated): (Identity, bool),
        due: Due,
    ) -> Option<SessionId> {
        let line = self.lines.get_mut(&line_id)?;
        let (at, counts_from, again_upto) = (line.at?, line.origin(), line.again_upto());
        let attachment = Attachment::new(0, line.attachment);
        let multiplex = line.multiplex()?;
        multiplex.connects += 1;
        let (nth, connect) = (multiplex.connects, due.connect);
        let id = io.derive(&line_id, namespace.as_str(), connect);
        let private_id = io.derive(&line_id, &format!("private {namespace}"), connect);
        multiplex.awaited.retain(|awaited| *awaited != id);
        multiplex.sockets.insert(namespace.clone(), id);
        let mut session = Session::new(id, line_id, namespace, identity, at);
        session.authenticated = authenticated;
        session.attachment = attachment;
        session.socket = Some(Box::new(Socket {
            private_id,
            origin: 0,
            connect,
            nth,
            counts_from,
            actions: Vec::new(),
            came_with: None,
            adopted: None,
            awaited: false,
            ended: None,
        }));
        session.again_upto = session.sequence_of(again_upto);
        if let Some(before) = self.take_session(id) {
            session.doubt(&before);
        }
        session.greeting = Greeting::Due(Box::new(due));
        self.sessions.insert(id, Box::new(session));
        self.privates.insert(private_id, id);
        Some(id)
    }

    /// What a token says that came with the request to connect.
    pub(in crate::home) fn authenticated(
        &mut self,
        io: &mut Io,
        id: SessionId,
        identity: Option<Identity>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match identity {
            Some(identity) => {
                session.identity = identity;
                session.authenticated = true;
                self.admit(io, id);
            }
            None => self.refuse_connect(io, id, &not_authenticated(), None),
        }
    }

    /// It is known who speaks.
    fn admit(&mut self, io: &mut Io, id: SessionId) {
        self.watch_expiry(io, id);
        match self.comes_back(io, id) {
            Some((private_id, offset)) => self.recall(io, id, private_id, offset),
            None => self.ask_application(io, id),
        }
    }

    /// Lets the session into its topics, first into those of which nothing must be missed.
    pub(in crate::home) fn enter_topics(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let everyone = session.room(&crate::name::RoomId::everyone());
        self.join_own(io, id, &everyone, None);
        self.continue_greeting(io, id);
    }

    /// Asks the inbox when all other topics have let the session in, and welcomes the client when
    /// the inbox has.
    pub(in crate::home) fn continue_greeting(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Greeting::Due(due) = &session.greeting else { return };
        if session.socket.is_none() || due.joins > 0 || !due.out_of_reach.is_empty() {
            return;
        }
        let inbox = session.inbox_topic();
        if !self.join_own(io, id, &inbox, None) {
            // An inbox out of reach must not keep the client from its rooms.
            self.own_join_refused(io, id, &inbox);
        }
    }

    /// The namespace doesn't take the client. `data` is JSON for the client to read.
    pub(in crate::home) fn refuse_connect(
        &mut self,
        io: &mut Io,
        id: SessionId,
        problem: &Problem,
        data: Option<&str>,
    ) {
        let Some(session) = self.sessions.get(&id) else { return };
        let own = native::error(None, problem);
        let data = data.or_else(|| std::str::from_utf8(&own).ok());
        let answer = socketio::refused(session.namespace.as_str(), &problem.message, data);
        let (line, connect) = (session.line, session.connects_by());
        self.tell_line(io, line, answer, connect);
        self.end(io, id);
    }

    /// Answers a connection's message that no session can.
    fn tell_line(&mut self, io: &mut Io, line: SessionId, part: Part, message: u64) {
        let Some(line) = self.lines.get(&line) else { return };
        if let Some((trunk, connection)) = line.at {
            let frame = Frame::socketio(FrameKind::Reply, vec![part]);
            let answers = Answer { message, part: 0 }.counted_from(line.origin());
            let (connections, receipt, position) = (vec![connection], None, None);
            io.output(Output::Send { trunk, connections, frame, receipt, position, answers });
        }
    }

    /// An inbox has been told to end all connections of its user.
    pub(in crate::home) fn dismiss(&mut self, io: &mut Io, inbox: &crate::topic::Topic) {
        let Some(subscription) = self.subscriptions.get(inbox) else { return };
        let members: Vec<SessionId> = subscription.members().collect();
        for id in members {
            let Some(session) = self.sessions.get(&id) else { continue };
            let line = session.line;
            if session.socket.is_some() {
                // Told so, the client's library does not come back by itself. If the client is
                // made to, it begins anew.
                session.send(io, vec![socketio::disconnect(&session.namespace)], None);
                self.finish(io, id, "server namespace disconnect");
            }
            let reason = "the application has ended the connection";
            self.hang_up(io, line, CloseCode::Done, reason);
        }
    }

    /// Tells another shard, by whose digest a session is named, that it is here.
    pub(in crate::home) fn tell_whereabouts(&self, io: &mut Io, session: &Session) {
        let private_id = session.socket.as_ref().map_or(session.id, |socket| socket.private_id);
        let named_by = io.home_of(&session.id);
        if named_by != io.links.me() {
            let (session, attachment) = (session.id, Some(session.attachment));
            io.tell(named_by, peer::PeerMessage::Moved { session, private_id, attachment });
        }
    }
}

/// Who speaks for a session.
enum Speaker {
    /// Whom the connection has named.
    Known,
    /// This user, whose name is believed.
    Named(UserId),
    /// Whom this token names.
    Token(String),
    /// Nobody, where somebody must.
    Unknown,
}

fn speaker(io: &Io, multiplex: &Multiplex, auth: &str) -> Speaker {
    let text = |key| rules::field(auth, key).and_then(rules::plain);
    if io.settings.tokens {
        return match text("token") {
            Some(token) => Speaker::Token(token.into_owned()),
            None if multiplex.authenticated => Speaker::Known,
            None => Speaker::Unknown,
        };
    }
    let named = text("user").and_then(|user| UserId::parse(&user).ok());
    match named.filter(|_| multiplex.guest) {
        Some(user) => Speaker::Named(user),
        None => Speaker::Known,
    }
}

fn not_authenticated() -> Problem {
    let message = "not authenticated: give a valid token in `auth` or in the query";
    Problem::new(ErrorCode::Forbidden, message)
}
