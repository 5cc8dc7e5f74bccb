//! Rules of one event that are carried out one after the other: what they tell of, and how far it has come.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use trunkline_config::events::{EventAction, EventRule};

use super::parted::Parted;
use crate::dialect::socketio;
use crate::home::command::Origin;
use crate::home::respond::{ReplyTo, part_of};
use crate::home::session::Session;
use crate::message::Body;
use crate::name::{Namespace, UserId};
use crate::output::Answer;
use crate::rules::Event;
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
    pub(super) event_name: Arc<str>,
    /// What messages are named that a rule gives no name.
    pub(super) name: Arc<str>,
    /// A JSON array, and where in it the arguments stand.
    pub(super) data: String,
    pub(super) arguments: Vec<Range<usize>>,
    pub(super) attachments: Vec<Bytes>,
    pub(super) auth: Option<Arc<str>>,
    pub(super) reason: Option<&'static str>,
    /// The acknowledgement's number, while it is owed.
    pub(super) ack: Option<u64>,
    /// The message that is settled when all is done.
    pub(super) message: Option<u64>,
    /// What repeats of the request before the next are recognised by.
    sequence: u64,
    /// Parts of the answer that were given when the event came before: what they tell of is done.
    pub(super) answered: u64,
    /// Rules that have been carried out or passed over.
    pub(super) done: usize,
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
    pub(super) fn new(session: &Session, occasion: Occasion, name: Arc<str>, message: u64) -> Self {
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
    pub(super) fn answer(&self) -> Option<Answer> {
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

    pub(super) fn takes(&self, rule: &EventRule) -> bool {
        let calls = matches!(rule.action, EventAction::Call { .. });
        match self.occasion {
            Occasion::Asks => calls,
            Occasion::Connected => !calls,
            Occasion::Emitted | Occasion::Gone => true,
        }
    }
}
