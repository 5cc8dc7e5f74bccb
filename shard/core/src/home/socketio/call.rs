//! Asking the application: what it is told, and what its answer means for the rules that follow
//! (docs/events.md, "Calling the application").

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::intention::checked_key;
use super::parted::Parted;
use super::run::{Occasion, Run};
use crate::Ticket;
use crate::core::Io;
use crate::dialect::command::{Command, EVENT_MAX, name_problem};
use crate::dialect::socketio::json_text;
use crate::dialect::{ErrorCode, Problem};
use crate::home::Home;
use crate::home::greeting::Greeting;
use crate::input::CallFailure;
use crate::message::Body;
use crate::name::RoomId;
use crate::output::{Call, Output};
use crate::peer::Action;

/// Actions that one answer may name.
const ACTIONS_MAX: usize = 64;

/// What the application answers.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    ack: Option<&'a RawValue>,
    #[serde(borrow)]
    reject: Option<Reject<'a>>,
    #[serde(borrow)]
    rewrite: Option<Rewrite<'a>>,
    #[serde(borrow, rename = "do", default)]
    actions: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Reject<'a> {
    message: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Rewrite<'a> {
    event: Option<String>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

/// An action that an answer names: the same words as in a rule, with values in place of
/// references.
#[derive(Deserialize)]
struct Planned<'a> {
    #[serde(rename = "do")]
    action: String,
    room: Option<String>,
    to: Option<String>,
    emit: Option<String>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    key: Option<String>,
    #[serde(default)]
    ephemeral: bool,
    #[serde(default = "yes")]
    echo: bool,
}

fn yes() -> bool {
    true
}

impl Home {
    /// Asks, and goes on with the run when the answer is there.
    pub(super) fn call(
        &mut self,
        io: &mut Io,
        mut run: Run,
        url: Option<String>,
        timeout: Option<Duration>,
        retries: Option<u32>,
    ) {
        if run.occasion == Occasion::Gone
            && run.parted.is_none()
            && let Some(session) = self.sessions.get(&run.session)
        {
            run.parted = Some(Parted::new(session));
        }
        let ticket = io.ticket();
        let sequence = run.next_sequence();
        let id = format!("{}.{sequence:x}", run.session);
        let body = question(&run, &id);
        self.calls.insert(ticket, run);
        io.output(Output::Call(Call { ticket, id, url, timeout, retries, body }));
    }

    /// The answer to [`Output::Call`].
    pub(crate) fn called(
        &mut self,
        io: &mut Io,
        ticket: Ticket,
        answer: Result<Bytes, CallFailure>,
    ) {
        let Some(mut run) = self.calls.remove(&ticket) else { return };
        if run.occasion != Occasion::Gone && !self.speaks_by(run.session, run.line) {
            // What the event waited for is over all the same.
            if let Some(sequence) = run.message {
                self.settle_line(io, run.line, sequence);
            }
            return;
        }
        let body = match answer {
            Ok(body) => body,
            Err(CallFailure::Refused) => {
                let problem = Problem::new(ErrorCode::Forbidden, "the application has refused it");
                return self.reject(io, run, &problem, None);
            }
            Err(CallFailure::Unavailable) => {
                let message = "the application can't be reached now; try again";
                let problem = Problem::new(ErrorCode::Unavailable, message);
                return self.reject(io, run, &problem, None);
            }
        };
        if body.trim_ascii().is_empty() {
            return self.run(io, run);
        }
        let Ok(answer) = serde_json::from_slice::<Answer<'_>>(&body) else {
            let message = "the application's answer can't be read; see docs/events.md";
            return self.reject(io, run, &Problem::new(ErrorCode::Internal, message), None);
        };
        let Answer { ack, reject, rewrite, actions } = answer;
        if let Some(Reject { message, data }) = reject {
            let problem = Problem::new(ErrorCode::Forbidden, message);
            return self.reject(io, run, &problem, data.map(RawValue::get));
        }
        if let Some(ack) = ack.and_then(|ack| Body::from_json_array("", ack.get()).ok()) {
            self.acknowledge(io, &mut run, &ack);
        }
        if let Some(Rewrite { event, args }) = rewrite {
            let body = args.and_then(|args| Body::from_json_array("", args.get()).ok());
            run.rewrite(event.as_deref(), body.as_ref());
        }
        let actions: Vec<String> =
            actions.iter().take(ACTIONS_MAX).map(|it| it.get().to_owned()).collect();
        match run.occasion {
            Occasion::Asks => {
                let greeting = self.sessions.get_mut(&run.session).map(|it| &mut it.greeting);
                if let Some(Greeting::Due(due)) = greeting {
                    due.actions.extend(actions);
                }
            }
            Occasion::Emitted | Occasion::Connected | Occasion::Gone => {
                self.carry_out_answer(io, &mut run, &actions);
            }
        }
        self.run(io, run);
    }

    /// No further rule is carried out.
    fn reject(&mut self, io: &mut Io, mut run: Run, problem: &Problem, data: Option<&str>) {
        match run.occasion {
            Occasion::Asks => self.refuse_connect(io, run.session, problem, data),
            Occasion::Connected | Occasion::Gone => {}
            Occasion::Emitted => {
                let ack = run.ack.take();
                if let Some(session) = self.sessions.get(&run.session)
                    && !run.is_answered()
                {
                    session.refuse_event(io, ack, problem, data, run.final_answer());
                }
                self.end_run(io, &run, false);
            }
        }
    }

    /// Carries out what the application wants done. It may speak where the client may not.
    pub(super) fn carry_out_answer(&mut self, io: &mut Io, run: &mut Run, actions: &[String]) {
        for action in actions {
            let reply_to = run.reply_to(false);
            let origin = run.origin(reply_to);
            if run.is_done() {
                continue;
            }
            let name = Arc::clone(&run.name);
            let planned = serde_json::from_str::<Planned<'_>>(action);
            let outcome = match planned.map_err(|_| unreadable()).and_then(|it| plan(it, &name)) {
                Ok(Plan::Command(command)) => self.command_of(io, run, origin, command),
                Ok(Plan::Publish(room, action)) => self.publish_of(io, run, origin, &room, action),
                Ok(Plan::Emit(body)) => {
                    self.emit_to_sender(io, run, &body);
                    continue;
                }
                Err(problem) => Err(problem),
            };
            self.carried_out(io, origin, outcome);
        }
    }
}

enum Plan {
    Command(Command),
    Publish(RoomId, Action),
    Emit(Body),
}

fn plan(planned: Planned<'_>, name: &str) -> Result<Plan, Problem> {
    let Planned { action, room, to, emit, args, key, ephemeral, echo } = planned;
    let room = || {
        let room = room.as_deref().ok_or_else(unreadable)?;
        RoomId::parse(room).map_err(|error| name_problem("room", error))
    };
    let body = || {
        let emit = emit.as_deref().unwrap_or(name);
        if emit.is_empty() || emit.len() > EVENT_MAX {
            return Err(unreadable());
        }
        Body::from_json_array(emit, args.map_or("[]", RawValue::get)).map_err(|_| unreadable())
    };
    let key = key.map(|key| checked_key(&key)).transpose()?;
    Ok(match action.as_str() {
        "join" => Plan::Command(Command::Join { room: room()?, after: None }),
        "leave" => Plan::Command(Command::Leave { room: room()? }),
        "publish" => {
            let publish = Action::Publish { body: body()?, key, ephemeral, echo };
            Plan::Publish(room()?, publish)
        }
        "broadcast" => {
            let publish = Action::Publish { body: body()?, key, ephemeral, echo };
            Plan::Publish(RoomId::everyone(), publish)
        }
        "private" => {
            let to = to.ok_or_else(unreadable)?;
            Plan::Command(Command::Send { to, body: body()?, key, ephemeral })
        }
        "reply" => Plan::Emit(body()?),
        _ => return Err(unreadable()),
    })
}

fn unreadable() -> Problem {
    let message = "the application has named an action that can't be carried out";
    Problem::new(ErrorCode::Internal, message)
}

/// What the application is told: a JSON object.
fn question(run: &Run, id: &str) -> Bytes {
    let event = run.event();
    let arguments = event.body("".into(), &trunkline_config::events::Args::Rest, 0);
    let mut json = format!(
        "{{\"id\":{},\"event\":{},\"namespace\":{},\"user\":{},\"session\":{},\"args\":{}",
        json_text(id),
        json_text(event.name),
        json_text(event.namespace.as_str()),
        json_text(event.user.as_str()),
        json_text(&event.session.to_string()),
        arguments.to_json_array(),
    );
    if let Some(auth) = event.auth {
        json = format!("{json},\"auth\":{auth}");
    }
    if let Some(reason) = event.reason {
        json = format!("{json},\"reason\":{}", json_text(reason));
    }
    json.push('}');
    json.into()
}
