//! Carrying out the rules of an event, one after the other.
//!
//! A rule that asks the application stops the run until the answer is there; all others are on
//! their way at once. Rules speak the same commands as native clients do, and what a client may
//! not do natively it can't do by emitting an event either.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use trunkline_config::events::{
    Args, CONNECT, DISCONNECT, EventAction, EventRule, Message, Reference, Text,
};

use super::parted::Parted;
use crate::core::Io;
use crate::dialect::command::{
    Command, EVENT_MAX, HISTORY_LIMIT, HISTORY_LIMIT_MAX, KEY_MAX, PRESENCE_LIMIT, name_problem,
};
use crate::dialect::socketio::{self, Emitted, Packet};
use crate::dialect::{ErrorCode, Problem, native};
use crate::home::Home;
use crate::home::command::{Origin, Step};
use crate::home::greeting::Greeting;
use crate::home::line::Line;
use crate::home::respond::{ReplyTo, part_of};
use crate::home::session::Session;
use crate::message::Body;
use crate::name::{Namespace, RoomId, UserId};
use crate::output::{Answer, Output};
use crate::peer::Action;
use crate::position::{Epoch, Position};
use crate::rules::{self, Event};
use crate::session_id::SessionId;

/// Rules of one event, some of which may have been carried out.
#[derive(Debug)]
pub(in crate::home) struct Run {
    pub(super) session: SessionId,
    /// The connection that it came by.
    pub(super) line: SessionId,
    pub(super) occasion: Occasion,
    pub(super) namespace: Namespace,
    pub(super) user: UserId,
    /// What the client might do that is gone since.
    pub(super) parted: Option<Parted>,
    /// The event whose rules they are.
    event_name: Arc<str>,
    /// What messages are named that a rule gives no name.
    pub(super) name: Arc<str>,
    /// A JSON array, and where in it the arguments stand.
    data: String,
    arguments: Vec<Range<usize>>,
    attachments: Vec<Bytes>,
    auth: Option<Arc<str>>,
    reason: Option<&'static str>,
    /// The acknowledgement's number, while it is owed.
    pub(super) ack: Option<u64>,
    /// The message that is settled when all is done.
    pub(super) message: Option<u64>,
    /// What repeats of the request before the next are recognised by.
    sequence: u64,
    /// Parts of the answer that were given when the event came before: what they tell of is done.
    answered: u64,
    /// Rules that have been carried out or passed over.
    done: usize,
}

/// When rules are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::home) enum Occasion {
    /// The client has emitted an event.
    Emitted,
    /// It wants to connect: the application is asked, and nothing else is done yet.
    Asks,
    /// It has connected.
    Connected,
    /// It is going.
    Gone,
}

impl Run {
    fn new(session: &Session, occasion: Occasion, name: Arc<str>, message: u64) -> Self {
        Self {
            session: session.id,
            line: session.line,
            occasion,
            namespace: session.namespace.clone(),
            user: session.identity.user.clone(),
            parted: None,
            event_name: Arc::clone(&name),
            name,
            data: String::new(),
            arguments: Vec::new(),
            attachments: Vec::new(),
            auth: None,
            reason: None,
            ack: None,
            message: None,
            sequence: session.sequence_of(message),
            answered: 0,
            done: 0,
        }
    }

    pub(super) fn event(&self) -> Event<'_> {
        Event {
            name: &self.name,
            namespace: &self.namespace,
            user: &self.user,
            session: self.session,
            arguments: self.arguments.iter().map(|place| &self.data[place.clone()]).collect(),
            attachments: &self.attachments,
            auth: self.auth.as_deref(),
            reason: self.reason,
        }
    }

    /// The application has other arguments for the rules that follow.
    pub(super) fn rewrite(&mut self, name: Option<&str>, body: Option<&Body>) {
        if let Some(name) = name {
            self.name = name.into();
        }
        if let Some(body) = body {
            self.data = format!("[{}]", body.arguments.json());
            self.arguments = socketio::array_parts(&self.data).unwrap_or_default();
            self.attachments.clone_from(&body.attachments);
        }
    }

    /// Whether it ends with the connection of a session: what its client has emitted comes again
    /// if that is attached again.
    pub(in crate::home) fn ends_with(&self, session: SessionId) -> bool {
        self.session == session && self.occasion != Occasion::Gone
    }

    /// Whether it asks if a session may connect.
    pub(in crate::home) fn asks_for(&self, session: SessionId) -> bool {
        self.session == session && self.occasion == Occasion::Asks
    }

    /// Whether the request that was numbered last was done when the event came before, and the
    /// client told.
    pub(super) fn is_done(&self) -> bool {
        self.answered & Answer::bit(part_of(self.sequence)) != 0
    }

    /// Whether the client was given the acknowledgement when the event came before.
    pub(super) fn is_answered(&self) -> bool {
        self.answered & Answer::bit(0) != 0
    }

    /// What a frame says that tells the client of the request that was numbered last.
    fn answer(&self) -> Option<Answer> {
        Some(Answer { message: self.message?, part: part_of(self.sequence) })
    }

    /// The same of the event as a whole.
    pub(super) fn final_answer(&self) -> Option<Answer> {
        Some(Answer { message: self.message?, part: 0 })
    }

    /// What repeats of the next request are recognised by.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(super) fn origin(&mut self, reply_to: ReplyTo) -> Origin {
        let (session, line, message) = (self.session, self.line, self.message);
        Origin { session, line, reply_to, message, sequence: self.next_sequence() }
    }

    /// Whom the outcome of a rule is told, when it is or isn't the acknowledgement.
    pub(super) fn reply_to(&mut self, acknowledges: bool) -> ReplyTo {
        match self.occasion {
            Occasion::Emitted if acknowledges => ReplyTo::Event(self.ack.take()),
            Occasion::Emitted => ReplyTo::Event(None),
            Occasion::Asks | Occasion::Connected | Occasion::Gone => ReplyTo::Nobody,
        }
    }

    fn takes(&self, rule: &EventRule) -> bool {
        let calls = matches!(rule.action, EventAction::Call { .. });
        match self.occasion {
            Occasion::Asks => calls,
            Occasion::Connected => !calls,
            Occasion::Emitted | Occasion::Gone => true,
        }
    }
}

impl Home {
    /// A client that has been welcomed emits an event.
    pub(in crate::home) fn event(
        &mut self,
        io: &mut Io,
        id: SessionId,
        sequence: u64,
        packet: Packet,
        answered: u64,
    ) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Packet { id: ack, data, emitted, attachments, .. } = packet;
        let Some(Emitted { name, arguments }) = emitted else { return };
        let mut run = Run::new(session, Occasion::Emitted, name, sequence);
        run.arguments = arguments;
        run.data = data;
        run.attachments = attachments;
        run.answered = answered;
        run.ack = ack.filter(|_| !run.is_answered());
        run.message = Some(sequence);
        self.run(io, run);
    }

    /// Asks the application whether a client may connect, where a rule says so.
    pub(in crate::home) fn ask_application(&mut self, io: &mut Io, id: SessionId) {
        if let Some(run) = self.lifecycle(id, Occasion::Asks, CONNECT, None) {
            self.run(io, run);
        }
    }

    /// Carries out what is to be done once a client has connected. Then its message to connect is
    /// settled.
    pub(super) fn connected(
        &mut self,
        io: &mut Io,
        id: SessionId,
        auth: Option<Arc<str>>,
        actions: &[String],
        answered: u64,
    ) {
        let Some(session) = self.sessions.get(&id) else { return };
        let message = session.connects_by();
        let mut run = Run::new(session, Occasion::Connected, CONNECT.into(), message);
        run.message = Some(message);
        run.answered = answered;
        run.auth = auth;
        self.carry_out_answer(io, &mut run, actions);
        self.run(io, run);
    }

    /// Carries out what is to be done when a client goes, as long as it is still there.
    pub(in crate::home) fn disconnecting(
        &mut self,
        io: &mut Io,
        id: SessionId,
        reason: &'static str,
    ) {
        if let Some(run) = self.lifecycle(id, Occasion::Gone, DISCONNECT, Some(reason)) {
            self.run(io, run);
        }
    }

    fn lifecycle(
        &self,
        id: SessionId,
        occasion: Occasion,
        name: &str,
        reason: Option<&'static str>,
    ) -> Option<Run> {
        let session = self.sessions.get(&id)?;
        let line = self.lines.get(&session.line);
        let message = match &session.greeting {
            Greeting::Due(due) => due.connect,
            // One more than any message of the connection.
            Greeting::Done => line.map_or(0, Line::seen) + 1,
        };
        let mut run = Run::new(session, occasion, name.into(), message);
        run.reason = reason;
        if let Greeting::Due(due) = &session.greeting {
            run.auth.clone_from(&due.auth);
        }
        Some(run)
    }

    /// Carries out rules until there are no more, or the application must be asked.
    pub(super) fn run(&mut self, io: &mut Io, mut run: Run) {
        let rules = Arc::clone(&io.settings.events);
        let matching = rules.of(run.namespace.as_str(), &run.event_name);
        let acknowledging = acknowledging(&matching);
        for (index, rule) in matching.iter().enumerate().skip(run.done) {
            run.done += 1;
            if !run.takes(rule) {
                continue;
            }
            if let EventAction::Call { url, timeout, retries } = &rule.action {
                return self.call(io, run, url.clone(), *timeout, *retries);
            }
            let acknowledges = acknowledging == Some(index);
            self.carry_out_rule(io, &mut run, &rule.action, acknowledges);
        }
        self.end_run(io, &run, matching.is_empty());
    }

    /// Nothing is left to do.
    pub(super) fn end_run(&mut self, io: &mut Io, run: &Run, unhandled: bool) {
        match run.occasion {
            Occasion::Asks => self.enter_topics(io, run.session),
            Occasion::Connected | Occasion::Gone => {}
            Occasion::Emitted => {
                if unhandled {
                    io.output(Output::Unhandled);
                }
                self.answer_event(io, run, unhandled);
            }
        }
        if let Some(sequence) = run.message {
            self.settle_line(io, run.line, sequence);
        }
    }

    /// Gives the acknowledgement that no rule has given.
    fn answer_event(&self, io: &mut Io, run: &Run, unhandled: bool) {
        let Some(session) = self.sessions.get(&run.session) else { return };
        if run.is_answered() {
            return;
        }
        if unhandled {
            let name: String = run.name.chars().take(64).collect();
            let message = format!("no rule says what to do with the event {name:?}");
            let problem = Problem::new(ErrorCode::UnknownType, message);
            session.complain(io, ReplyTo::Event(run.ack), &problem, run.final_answer());
        } else if let Some(ack) = run.ack {
            let parts = session.granted(ReplyTo::Event(Some(ack)), native::ok::nothing);
            session.send(io, parts, run.final_answer());
        }
    }

    fn carry_out_rule(
        &mut self,
        io: &mut Io,
        run: &mut Run,
        action: &EventAction,
        acknowledges: bool,
    ) {
        if let EventAction::Reply { emit, args } = action {
            run.next_sequence();
            return self.reply_to_sender(io, run, emit.as_deref(), args);
        }
        let reply_to = run.reply_to(acknowledges);
        let origin = run.origin(reply_to);
        if run.is_done() {
            return;
        }
        let outcome = match intention(&run.event(), action) {
            Ok(Intention::Command(command)) => self.command_of(io, run, origin, command),
            Ok(Intention::Broadcast(action)) => self.broadcast(io, run, origin, action),
            Err(problem) => Err(problem),
        };
        self.carried_out(io, origin, outcome);
    }

    /// A message to everyone in the sender's namespace.
    fn broadcast(
        &mut self,
        io: &mut Io,
        run: &Run,
        origin: Origin,
        action: Action,
    ) -> Result<Step, Problem> {
        if run.parted.is_none() {
            self.session(origin)?.take_rate(io, origin.sequence)?;
        }
        self.publish_of(io, run, origin, &RoomId::everyone(), action)
    }

    pub(super) fn carried_out(
        &mut self,
        io: &mut Io,
        origin: Origin,
        outcome: Result<Step, Problem>,
    ) {
        match outcome {
            Ok(Step::Asked) => {
                let line = self.lines.get_mut(&origin.line);
                if let (Some(line), Some(sequence)) = (line, origin.message) {
                    line.hold(sequence);
                }
            }
            Ok(Step::Done) => {}
            Err(problem) => {
                if let Some(session) = self.sessions.get(&origin.session) {
                    session.complain(io, origin.reply_to, &problem, origin.answer());
                }
            }
        }
    }

    /// An event for the sender alone, or the acknowledgement.
    fn reply_to_sender(&mut self, io: &mut Io, run: &mut Run, emit: Option<&str>, args: &Args) {
        let body = run.event().body(emit.unwrap_or_default().into(), args, 0);
        match emit {
            Some(_) => self.emit_to_sender(io, run, &body),
            None => self.acknowledge(io, run, &body),
        }
    }

    pub(super) fn emit_to_sender(&mut self, io: &mut Io, run: &Run, body: &Body) {
        if run.is_done() || !self.speaks_by(run.session, run.line) {
            return;
        }
        let Some(session) = self.sessions.get(&run.session) else { return };
        // A text at the end, be it the event's name, would be taken for a stamp: so the newest one
        // stands behind it.
        let json = body.arguments.json();
        let ends_in_text =
            (json.is_empty() || json.ends_with('"')) && io.settings.recovery.is_some();
        let stamp = ends_in_text.then(|| self.stream.newest());
        let content = (&body.arguments, &body.attachments[..]);
        let (namespace, event) = (&session.namespace, &body.event);
        let parts = socketio::event(namespace, None, event, content, None, stamp.as_deref());
        session.send(io, parts, run.answer());
    }

    pub(super) fn acknowledge(&mut self, io: &mut Io, run: &mut Run, body: &Body) {
        let Some(session) = self.sessions.get(&run.session) else { return };
        if let Some(id) = run.ack.take() {
            let (json, attachments) = (body.arguments.json().as_bytes(), body.attachments.clone());
            let parts = socketio::acknowledgement(&session.namespace, id, json, attachments);
            session.send(io, parts, run.final_answer());
        }
    }
}

/// Which of an event's rules gives the acknowledgement.
fn acknowledging(rules: &[&EventRule]) -> Option<usize> {
    let says_so = |rule: &&EventRule| rule.ack == Some(true);
    let replies = |rule: &&EventRule| matches!(rule.action, EventAction::Reply { emit: None, .. });
    let has_outcome = |rule: &&EventRule| {
        let silent = matches!(rule.action, EventAction::Reply { .. } | EventAction::Call { .. });
        rule.ack != Some(false) && !silent
    };
    let position = |of: &dyn Fn(&&EventRule) -> bool| rules.iter().position(of);
    position(&says_so).or_else(|| position(&replies)).or_else(|| position(&has_outcome))
}

/// What a rule wants done.
pub(super) enum Intention {
    Command(Command),
    Broadcast(Action),
}

fn intention(event: &Event<'_>, action: &EventAction) -> Result<Intention, Problem> {
    let command = match action {
        EventAction::Join { room } => {
            let options = event.arguments.get(1).filter(|_| room.is_first_argument());
            let after = options.and_then(|options| position(rules::field(options, "after")?));
            Command::Join { room: room_id(event, room)?, after }
        }
        EventAction::Leave { room } => Command::Leave { room: room_id(event, room)? },
        EventAction::Publish { room, message } => {
            let room_id = room_id(event, room)?;
            let Said { body, key } = said(event, message, usize::from(room.is_first_argument()))?;
            let Message { ephemeral, echo, .. } = *message;
            Command::Publish { room: room_id, body, key, ephemeral, echo }
        }
        EventAction::Private { to, message } => {
            let receiver = text(event, to)?;
            let Said { body, key } = said(event, message, usize::from(to.is_first_argument()))?;
            let to = receiver.into_owned();
            Command::Send { to, body, key, ephemeral: message.ephemeral }
        }
        EventAction::Broadcast { message } => {
            let Said { body, key } = said(event, message, 0)?;
            let Message { ephemeral, echo, .. } = *message;
            return Ok(Intention::Broadcast(Action::Publish { body, key, ephemeral, echo }));
        }
        EventAction::History { room, query } => history(event, room, query.as_ref())?,
        EventAction::Presence { room } => {
            let room = room_id(event, room)?;
            Command::Presence { room, after: None, limit: PRESENCE_LIMIT }
        }
        EventAction::Reply { .. } | EventAction::Call { .. } => Command::Ping,
    };
    Ok(Intention::Command(command))
}

/// What a message says, and by which key a repeat of it is known.
struct Said {
    body: Body,
    key: Option<Arc<str>>,
}

fn said(event: &Event<'_>, message: &Message, skip: usize) -> Result<Said, Problem> {
    let emit = message.emit.as_deref().map_or_else(|| Arc::clone(event.name), Arc::from);
    if emit.is_empty() || emit.len() > EVENT_MAX {
        return Err(Problem::bad("an event's name must have 1 to 256 bytes"));
    }
    let key = message.key.as_ref().map(|key| text(event, key)).transpose()?;
    let key = key.map(|key| checked_key(&key)).transpose()?;
    Ok(Said { body: event.body(emit, &message.args, skip), key })
}

pub(super) fn checked_key(key: &str) -> Result<Arc<str>, Problem> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Problem::new(ErrorCode::TooLarge, "an idempotency key has 1 to 128 bytes"));
    }
    Ok(Arc::from(key))
}

fn text<'a>(event: &'a Event<'_>, text: &Text) -> Result<Cow<'a, str>, Problem> {
    event.text(text).map_err(|error| Problem::bad(error.to_string()))
}

fn room_id(event: &Event<'_>, room: &Text) -> Result<RoomId, Problem> {
    RoomId::parse(&text(event, room)?).map_err(|error| name_problem("room", error))
}

/// A position as it is written in JSON; none if it is none.
fn position(json: &str) -> Option<Position> {
    let epoch = rules::field(json, "epoch").and_then(rules::plain)?;
    let offset = rules::field(json, "offset")?.parse().ok()?;
    Some(Position { epoch: Epoch::new(&epoch), offset })
}

fn history(event: &Event<'_>, room: &Text, query: Option<&Reference>) -> Result<Command, Problem> {
    let room = room_id(event, room)?;
    let query = query.and_then(|query| event.value(query));
    let number = |key: &str| -> Result<Option<u64>, Problem> {
        match query.as_deref().and_then(|query| rules::field(query, key)) {
            None | Some("null") => Ok(None),
            Some(value) => value
                .parse()
                .map(Some)
                .map_err(|_| Problem::bad(format!("`{key}` must be a whole number"))),
        }
    };
    let limit = match number("limit")?.map(usize::try_from) {
        None => HISTORY_LIMIT,
        Some(Ok(limit)) if (1..=HISTORY_LIMIT_MAX).contains(&limit) => limit,
        Some(_) => {
            let message = format!("`limit` must be a whole number from 1 to {HISTORY_LIMIT_MAX}");
            return Err(Problem::bad(message));
        }
    };
    Ok(Command::History { room, after: number("after")?, before: number("before")?, limit })
}
