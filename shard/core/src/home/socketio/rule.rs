//! Carrying out the rules of an event, one after the other.
//!
//! A rule that asks the application stops the run until the answer is there; all others are on
//! their way at once. Rules speak the same commands as native clients do, and what a client may
//! not do natively it can't do by emitting an event either.

use std::sync::Arc;

use trunkline_config::events::{Args, CONNECT, DISCONNECT, EventAction, EventRule};

use super::intention::{Intention, intention};
use super::run::{Occasion, Run};
use crate::core::Io;
use crate::dialect::socketio::{self, Emitted, Packet};
use crate::dialect::{ErrorCode, Problem, native};
use crate::home::Home;
use crate::home::command::{Origin, Step};
use crate::home::greeting::Greeting;
use crate::home::line::Line;
use crate::home::respond::ReplyTo;
use crate::message::Body;
use crate::name::RoomId;
use crate::output::Output;
use crate::peer::Action;
use crate::session_id::SessionId;

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
