//! From a client's message to what is asked of an owner.

use std::sync::Arc;

use bytes::Bytes;

use super::permission::{not_joined, unavailable};
use super::requests::{Pending, Subject};
use super::session::{Greeting, Membership, Session};
use super::subscription::Socket;
use super::{Home, Verifying};
use crate::core::Io;
use crate::dialect::native::{self, Command, ErrorCode, Problem, Request};
use crate::input::Identity;
use crate::message::Body;
use crate::name::{RoomId, UserId};
use crate::output::{CloseCode, Output};
use crate::peer::{Action, Member, PeerMessage};
use crate::position::Position;
use crate::rights::Verdict;
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ConnectionId, Ticket, TrunkId};

/// Messages that a client may send before it has been welcomed. Routers let it have fewer
/// unacknowledged.
const EAGER: usize = 128;

/// What became of a command at once.
enum Step {
    /// It is on its way; the answer will settle it.
    Asked,
    /// It is done, with nothing to wait for.
    Done,
}

/// A client's message, as far as every command needs it.
#[derive(Clone, Copy)]
struct Origin {
    session: SessionId,
    id: Option<u64>,
    sequence: u64,
}

impl Home {
    pub(crate) fn message(
        &mut self,
        io: &mut Io,
        trunk: TrunkId,
        connection: ConnectionId,
        sequence: u64,
        payload: Bytes,
    ) {
        let Some(id) = self.connections.get(&(trunk, connection)).copied() else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if !session.begin(sequence) {
            return;
        }
        match &mut session.greeting {
            Greeting::Done => self.said(io, id, sequence, &payload),
            Greeting::Due(said) if said.len() < EAGER => said.push((sequence, payload)),
            Greeting::Due(_) => {
                let reason = "too much was sent before the welcome; wait for it";
                io.output(Output::Close { trunk, connection, code: CloseCode::Policy, reason });
            }
        }
    }

    /// A client that has been welcomed says something.
    pub(super) fn said(&mut self, io: &mut Io, id: SessionId, sequence: u64, payload: &[u8]) {
        let outcome = match native::decode(payload) {
            Ok(Request { id: number, command }) => {
                let origin = Origin { session: id, id: number, sequence };
                self.command(io, origin, command).map_err(|problem| (number, problem))
            }
            Err(error) => Err(error),
        };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match outcome {
            Ok(Step::Asked) => {}
            Ok(Step::Done) => session.settle(io, sequence),
            Err((number, problem)) => {
                session.answer(io, vec![native::error(number, &problem)]);
                session.settle(io, sequence);
            }
        }
    }

    fn command(&mut self, io: &mut Io, origin: Origin, command: Command) -> Result<Step, Problem> {
        match command {
            Command::Join { room, after } => self.join(io, origin, room, after),
            Command::Leave { room } => self.leave(io, origin, &room),
            Command::Publish { room, body, key, ephemeral, echo } => {
                self.session(origin)?.may_publish(io, &room)?;
                let topic = self.session(origin)?.room(&room);
                let action = Action::Publish { body, key, ephemeral, echo };
                self.ask(io, origin, Subject::Publish(topic.clone()), topic, action)
            }
            Command::Send { to, body, key, ephemeral } => {
                self.session(origin)?.take_rate(io)?;
                self.send(io, origin, to, body, key, ephemeral)
            }
            Command::History { room, after, before, limit } => {
                let session = self.session(origin)?;
                session.may(
                    "read the history of",
                    &room,
                    session.identity.rights.history(&room),
                )?;
                let topic = session.room(&room);
                let action = Action::History { after, before, limit };
                self.ask(io, origin, Subject::History(topic.clone()), topic, action)
            }
            Command::Presence { room, after, limit } => {
                let session = self.session(origin)?;
                if !session.has_joined(&room) {
                    session.may("see who is in", &room, session.identity.rights.join(&room))?;
                }
                let topic = session.room(&room);
                let action = Action::Presence { after, limit };
                self.ask(io, origin, Subject::Presence(topic.clone()), topic, action)
            }
            Command::Auth { token } => self.auth(io, origin, token),
            Command::Ping => {
                if let Some(id) = origin.id {
                    self.session(origin)?.answer(io, vec![native::ok::nothing(id)]);
                }
                Ok(Step::Done)
            }
        }
    }

    fn join(
        &mut self,
        io: &mut Io,
        origin: Origin,
        room: RoomId,
        after: Option<Position>,
    ) -> Result<Step, Problem> {
        let limit = io.settings.rooms_per_session;
        let session = self.session(origin)?;
        session.may("join", &room, session.identity.rights.join(&room))?;
        if !session.rooms.contains_key(&room) && session.rooms.len() >= limit {
            return Err(Problem::new(
                ErrorCode::TooManyRooms,
                format!("a session may be in {limit} rooms; leave one first"),
            ));
        }
        let topic = session.room(&room);
        let action = Action::Join { after };
        let step = self.ask(io, origin, Subject::Join(topic.clone()), topic, action)?;
        let membership = self.session(origin)?.rooms.entry(room).or_default();
        membership.wanted = true;
        membership.outstanding += 1;
        Ok(step)
    }

    /// Leaving can't fail: what the session hears ends here and now, and an owner that can't be
    /// told will not have the membership claimed again.
    fn leave(&mut self, io: &mut Io, origin: Origin, room: &RoomId) -> Result<Step, Problem> {
        let session = self.session(origin)?;
        if !session.has_joined(room) {
            return Err(not_joined("leaving", room));
        }
        let topic = session.room(room);
        let at = session.at;
        if let Some(membership) = session.rooms.get_mut(room) {
            membership.wanted = false;
            membership.live = false;
        }
        if let Some(at) = at {
            self.subscriptions.remove(io, &topic, origin.session, at, Socket::Open);
        }
        let subject = Subject::Leave(topic.clone());
        match self.ask(io, origin, subject, topic.clone(), Action::Leave) {
            Ok(step) => {
                if let Some(membership) = self.session(origin)?.rooms.get_mut(room) {
                    membership.outstanding += 1;
                }
                Ok(step)
            }
            Err(_unreachable_owner) => {
                let session = self.session(origin)?;
                session.tidy(&topic);
                if let Some(id) = origin.id {
                    session.answer(io, vec![native::ok::room(id, room)]);
                }
                Ok(Step::Done)
            }
        }
    }

    fn send(
        &mut self,
        io: &mut Io,
        origin: Origin,
        to: String,
        body: Body,
        key: Option<Arc<str>>,
        ephemeral: bool,
    ) -> Result<Step, Problem> {
        if to.starts_with('~') {
            let Some(session) = SessionId::parse(&to) else {
                return Err(Problem::bad("`to` is no session's ID; take it from a `welcome`"));
            };
            let home = io.home_of(&session);
            let user = self.session(origin)?.identity.user.clone();
            let request = self.begin(io, origin, home, Subject::Send { to })?;
            let whisper = PeerMessage::Whisper {
                request,
                member: Member { session: origin.session, user },
                sequence: origin.sequence,
                to: session,
                body,
                key,
                ephemeral,
            };
            io.tell(home, whisper);
            return Ok(Step::Asked);
        }
        let user = UserId::parse(&to).map_err(|error| native::name_problem("to", error))?;
        let topic = Topic::Inbox(user);
        let action = Action::Publish { body, key, ephemeral, echo: true };
        self.ask(io, origin, Subject::Send { to }, topic, action)
    }

    fn auth(&mut self, io: &mut Io, origin: Origin, token: String) -> Result<Step, Problem> {
        if !self.session(origin)?.authenticated {
            return Err(Problem::bad("no token is needed here: auth.mode is \"open\""));
        }
        let ticket = io.ticket();
        let Origin { session, id, sequence } = origin;
        self.verifying.insert(ticket, Verifying { session, id, sequence });
        io.output(Output::Verify { ticket, token });
        Ok(Step::Asked)
    }

    /// The answer to [`Output::Verify`].
    pub(crate) fn verified(&mut self, io: &mut Io, ticket: Ticket, identity: Option<Identity>) {
        let Some(Verifying { session: id, id: number, sequence }) = self.verifying.remove(&ticket)
        else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let renewed = identity.filter(|identity| identity.user == session.identity.user);
        let answer = match &renewed {
            Some(_) => number.map(native::ok::nothing),
            None => {
                let message = "the token is not valid for this user; get a new one";
                let problem = Problem::new(ErrorCode::Forbidden, message);
                Some(native::error(number, &problem))
            }
        };
        session.answer(io, answer.into_iter().collect());
        session.settle(io, sequence);
        if let Some(identity) = renewed {
            session.identity = identity.clone();
            self.watch_expiry(io, id, &identity);
            self.leave_forbidden(io, id);
        }
    }

    /// A renewed token may allow less than the one before: what may not be joined any more is
    /// left, and the client told so.
    fn leave_forbidden(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let rights = &session.identity.rights;
        let forbidden = |room: &RoomId| rights.join(room) == Verdict::Forbidden;
        let rooms: Vec<RoomId> = session.rooms.keys().filter(|it| forbidden(it)).cloned().collect();
        for room in rooms {
            let topic = session.room(&room);
            let membership = session.rooms.remove(&room);
            let message = format!("the new token does not let you stay in {room}; you have left");
            let problem = Problem::new(ErrorCode::Forbidden, message);
            session.answer(io, vec![native::error(None, &problem)]);
            if let (Some(at), Some(Membership { live: true, .. })) = (session.at, membership) {
                self.subscriptions.remove(io, &topic, id, at, Socket::Open);
            }
            io.tell(io.owner_of(&topic), PeerMessage::Forget { topic, session: id });
        }
    }

    fn session(&mut self, origin: Origin) -> Result<&mut Session, Problem> {
        self.sessions
            .get_mut(&origin.session)
            .ok_or_else(|| Problem::new(ErrorCode::Unavailable, "the session has ended"))
    }

    /// Asks the owner of a topic.
    fn ask(
        &mut self,
        io: &mut Io,
        origin: Origin,
        subject: Subject,
        topic: Topic,
        action: Action,
    ) -> Result<Step, Problem> {
        let owner = io.owner_of(&topic);
        let user = self.session(origin)?.identity.user.clone();
        let request = self.begin(io, origin, owner, subject)?;
        let member = Member { session: origin.session, user };
        let sequence = origin.sequence;
        io.tell(owner, PeerMessage::Request { request, member, sequence, topic, action });
        Ok(Step::Asked)
    }

    fn begin(
        &mut self,
        io: &Io,
        origin: Origin,
        owner: crate::link::ShardIndex,
        subject: Subject,
    ) -> Result<crate::peer::RequestId, Problem> {
        if !io.links.is_up(owner) {
            return Err(unavailable());
        }
        Ok(self.requests.begin(Pending {
            session: origin.session,
            sequence: Some(origin.sequence),
            id: origin.id,
            owner,
            started: io.now.mono,
            subject,
        }))
    }
}
