//! From a client's request to what is asked of an owner.

use std::sync::Arc;

use super::permission::{not_joined, unavailable};
use super::requests::{Asked, Pending, Subject};
use super::respond::ReplyTo;
use super::session::{Membership, Session};
use super::subscription::Socket;
use super::{Home, Verifying};
use crate::Ticket;
use crate::core::Io;
use crate::dialect::command::{Command, name_problem};
use crate::dialect::native::{self, Request};
use crate::dialect::{ErrorCode, Problem};
use crate::input::Identity;
use crate::message::Body;
use crate::name::{RoomId, UserId};
use crate::output::{Answer, Output};
use crate::peer::{Action, Member};
use crate::position::Position;
use crate::rights::Verdict;
use crate::session_id::SessionId;
use crate::topic::Topic;

/// What became of a command at once.
pub(super) enum Step {
    /// It is on its way; the answer will settle it.
    Asked,
    /// It is done, with nothing to wait for.
    Done,
}

/// A private message.
pub(super) struct Letter {
    /// A user, or a session by its ID.
    pub(super) to: String,
    pub(super) body: Body,
    pub(super) key: Option<Arc<str>>,
    pub(super) ephemeral: bool,
}

/// A client's request, as far as every command needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) session: SessionId,
    /// The connection that has asked.
    pub(super) line: SessionId,
    pub(super) reply_to: ReplyTo,
    /// Of the message that it came in; none if it came in none.
    pub(super) message: Option<u64>,
    /// What a repeat is recognised by.
    pub(super) sequence: u64,
}

impl Origin {
    /// What the answer to the client is.
    pub(super) fn answer(self) -> Option<Answer> {
        self.reply_to.answer(self.message, self.sequence)
    }
}

impl Home {
    /// A native client that has been welcomed says something.
    pub(super) fn said_natively(
        &mut self,
        io: &mut Io,
        id: SessionId,
        sequence: u64,
        payload: &[u8],
    ) {
        let outcome = match native::decode(payload) {
            Ok(Request { id: number, command }) => {
                let reply_to = ReplyTo::Native(number);
                let (session, line, message) = (id, id, Some(sequence));
                let origin = Origin { session, line, reply_to, message, sequence };
                self.command(io, origin, command).map_err(|problem| (number, problem))
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Step::Asked) => {}
            Ok(Step::Done) => self.settle_line(io, id, sequence),
            Err((number, problem)) => {
                if let Some(session) = self.sessions.get(&id) {
                    let reply_to = ReplyTo::Native(number);
                    let answers = reply_to.answer(Some(sequence), sequence);
                    session.complain(io, reply_to, &problem, answers);
                }
                self.settle_line(io, id, sequence);
            }
        }
    }

    pub(super) fn command(
        &mut self,
        io: &mut Io,
        origin: Origin,
        command: Command,
    ) -> Result<Step, Problem> {
        let session = self.session(origin)?;
        match command {
            Command::Join { room, after } => {
                let step = self.join(io, origin, &room, after);
                step.inspect_err(|_| self.stays_out(io, origin.session, &room))
            }
            Command::Leave { room } => self.leave(io, origin, &room),
            Command::Publish { room, body, key, ephemeral, echo } => {
                session.take_rate(io, origin.sequence)?;
                session.may_publish(&room, origin.sequence)?;
                let action = Action::Publish { body, key, ephemeral, echo };
                self.publish(io, origin, &room, action)
            }
            Command::Send { to, body, key, ephemeral } => {
                session.take_rate(io, origin.sequence)?;
                let member = session.member();
                self.send(io, origin, member, Letter { to, body, key, ephemeral })
            }
            Command::History { room, after, before, limit } => {
                session.may_read(&room, origin.sequence)?;
                let topic = session.room(&room);
                let action = Action::History { after, before, limit };
                self.ask(io, origin, Subject::History(topic.clone()), topic, action)
            }
            Command::Presence { room, after, limit } => {
                session.may_see(&room, origin.sequence)?;
                let topic = session.room(&room);
                let action = Action::Presence { after, limit };
                self.ask(io, origin, Subject::Presence(topic.clone()), topic, action)
            }
            Command::Auth { token } => self.auth(io, origin, token),
            Command::Ping => {
                let parts = session.granted(origin.reply_to, native::ok::nothing);
                session.send(io, parts, origin.answer());
                Ok(Step::Done)
            }
        }
    }

    /// A message to a room, whose sender may speak there.
    pub(super) fn publish(
        &mut self,
        io: &mut Io,
        origin: Origin,
        room: &RoomId,
        action: Action,
    ) -> Result<Step, Problem> {
        let session = self.session(origin)?;
        let (member, topic) = (session.member(), session.room(room));
        self.ask_as(io, origin, member, Subject::Publish(topic.clone()), topic, action)
    }

    fn join(
        &mut self,
        io: &mut Io,
        origin: Origin,
        room: &RoomId,
        after: Option<Position>,
    ) -> Result<Step, Problem> {
        let limit = io.settings.rooms_per_session;
        let session = self.session(origin)?;
        if !origin.reply_to.is_awaited() && session.has_left_since(room, origin.sequence) {
            // Sent again: whether it was carried out can't be seen, and it doesn't matter.
            return Ok(Step::Done);
        }
        session.may_join(room)?;
        if !session.rooms.contains_key(room) && session.rooms_joined() >= limit {
            return Err(Problem::new(
                ErrorCode::TooManyRooms,
                format!("a session may be in {limit} rooms; leave one first"),
            ));
        }
        let topic = session.room(room);
        // Where it goes on anyway counts: this may take that join's place.
        let after = session.resumes_after(&topic).or(after);
        let action = Action::Join { after };
        let step = self.ask(io, origin, Subject::Join(topic.clone()), topic.clone(), action)?;
        self.session(origin)?.joins(&topic);
        Ok(step)
    }

    /// Leaving can't fail: what the session hears ends here and now, and an owner that can't be
    /// told will not have the membership claimed again.
    fn leave(&mut self, io: &mut Io, origin: Origin, room: &RoomId) -> Result<Step, Problem> {
        let session = self.session(origin)?;
        session.not_its_own(room)?;
        if !session.was_in(room, origin.sequence) {
            return Err(not_joined("leaving", room));
        }
        let topic = session.room(room);
        let (at, dialect) = (session.at, session.dialect());
        let membership = session.rooms.get_or_insert_with(room.clone(), Membership::default);
        membership.wanted = false;
        membership.live = false;
        membership.resumes = false;
        self.departs(io, origin.session, room, origin.sequence);
        if let Some(at) = at {
            self.subscriptions.remove(io, &topic, origin.session, at, dialect, Socket::Open);
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
                let parts = session.granted(origin.reply_to, |id| native::ok::room(id, room));
                session.send(io, parts, origin.answer());
                Ok(Step::Done)
            }
        }
    }

    pub(super) fn send(
        &mut self,
        io: &mut Io,
        origin: Origin,
        member: Member,
        letter: Letter,
    ) -> Result<Step, Problem> {
        let Letter { to, body, key, ephemeral } = letter;
        if to.starts_with('~') {
            let Some(session) = SessionId::parse(&to) else {
                return Err(Problem::bad("`to` is no session's ID; take it from a `welcome`"));
            };
            if self.requests.reclaim(origin) {
                return Ok(Step::Asked);
            }
            let (sequence, subject) = (origin.sequence, Subject::Send { to });
            let to = session;
            let asked = Asked::Whisper { member, sequence, to, body, key, ephemeral };
            return self.begin(io, origin, subject, asked);
        }
        let user = UserId::parse(&to).map_err(|error| name_problem("to", error))?;
        let topic = Topic::Inbox(user);
        let action = Action::Publish { body, key, ephemeral, echo: true };
        self.ask_as(io, origin, member, Subject::Send { to }, topic, action)
    }

    fn auth(&mut self, io: &mut Io, origin: Origin, token: String) -> Result<Step, Problem> {
        if !self.session(origin)?.authenticated {
            return Err(Problem::bad("no token is needed here: auth.mode is \"open\""));
        }
        let ticket = io.ticket();
        self.verifying.insert(ticket, Verifying::Renewal(origin));
        io.output(Output::Verify { ticket, token });
        Ok(Step::Asked)
    }

    /// The answer to [`Output::Verify`].
    pub(crate) fn verified(&mut self, io: &mut Io, ticket: Ticket, identity: Option<Identity>) {
        match self.verifying.remove(&ticket) {
            Some(Verifying::Renewal(origin)) => self.renewed(io, origin, identity),
            Some(Verifying::Connect(session)) => self.authenticated(io, session, identity),
            None => {}
        }
    }

    fn renewed(&mut self, io: &mut Io, origin: Origin, identity: Option<Identity>) {
        let id = origin.session;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let renewed = identity.filter(|identity| identity.user == session.identity.user);
        match &renewed {
            Some(_) => {
                let parts = session.granted(origin.reply_to, native::ok::nothing);
                session.send(io, parts, origin.answer());
            }
            None => {
                let message = "the token is not valid for this user; get a new one";
                let problem = Problem::new(ErrorCode::Forbidden, message);
                session.complain(io, origin.reply_to, &problem, origin.answer());
            }
        }
        if let Some(identity) = renewed {
            session.identity = identity;
            self.watch_expiry(io, id);
            self.changed(id);
            self.leave_forbidden(io, id, origin.sequence);
        }
        if let Some(sequence) = origin.message {
            self.settle_line(io, origin.line, sequence);
        }
    }

    /// A renewed token may allow less than the one before: what may not be joined any more is
    /// left, and the client told so.
    fn leave_forbidden(&mut self, io: &mut Io, id: SessionId, sequence: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (rights, dialect) = (&session.identity.rights, session.dialect());
        let forbidden = |room: &RoomId| rights.join(room) == Verdict::Forbidden;
        let rooms: Vec<RoomId> = session.rooms.keys().filter(|it| forbidden(it)).cloned().collect();
        for room in rooms.into_iter().filter(|room| !room.is_everyone()) {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            let topic = session.room(&room);
            let membership = session.rooms.remove(&room);
            let message = format!("the new token does not let you stay in {room}; you have left");
            let problem = Problem::new(ErrorCode::Forbidden, message);
            session.complain(io, ReplyTo::Native(None), &problem, None);
            let at = session.at;
            self.departs(io, id, &room, sequence);
            if let (Some(at), Some(Membership { live: true, .. })) = (at, membership) {
                self.subscriptions.remove(io, &topic, id, at, dialect, Socket::Open);
            }
            self.part(io, id, topic);
        }
    }

    pub(super) fn session(&mut self, origin: Origin) -> Result<&mut Session, Problem> {
        self.sessions
            .get_mut(&origin.session)
            .map(Box::as_mut)
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
        let member = self.session(origin)?.member();
        self.ask_as(io, origin, member, subject, topic, action)
    }

    /// Asks the owner of a topic for someone who need not be a session of this shard.
    pub(super) fn ask_as(
        &mut self,
        io: &mut Io,
        origin: Origin,
        member: Member,
        subject: Subject,
        topic: Topic,
        action: Action,
    ) -> Result<Step, Problem> {
        if self.requests.reclaim(origin) {
            return Ok(Step::Asked);
        }
        let sequence = origin.sequence;
        self.begin(io, origin, subject, Asked::Topic { member, sequence, topic, action })
    }

    fn begin(
        &mut self,
        io: &mut Io,
        origin: Origin,
        subject: Subject,
        asked: Asked,
    ) -> Result<Step, Problem> {
        let pending = Box::new(Pending {
            session: origin.session,
            line: origin.line,
            sequence: origin.message,
            known_by: origin.sequence,
            reply_to: origin.reply_to,
            owner: io.links.me(),
            started: io.now.mono,
            subject,
            asked,
        });
        self.dispatch(io, pending).map_err(|_| unavailable())?;
        Ok(Step::Asked)
    }
}
