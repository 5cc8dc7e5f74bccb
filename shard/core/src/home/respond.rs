//! Telling whoever has asked what became of it, each in its own way.

use bytes::Bytes;

use super::Home;
use super::requests::{Asked, Pending};
use super::session::{REQUESTS, Session};
use crate::api::{ApiCallId, ApiProblem};
use crate::asker::Asker;
use crate::core::Io;
use crate::dialect::native;
use crate::dialect::{Problem, socketio};
use crate::output::{Answer, Output, Part};
use crate::peer::{Refusal, Reply};
use crate::{TrunkId, dialect::ErrorCode};

/// Who is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReplyTo {
    /// Nobody: the home has asked by itself.
    Nobody,
    /// A native client, by its number; without one it hears of problems only.
    Native(Option<u64>),
    /// A Socket.IO client that has emitted an event, by the acknowledgement's number; without one
    /// it hears of problems only.
    Event(Option<u64>),
    /// A server of the application.
    Api { trunk: TrunkId, call: ApiCallId },
    /// A peer that has passed the question on.
    Relay(Asker),
}

impl ReplyTo {
    /// Whether somebody hears of success.
    pub(super) fn is_awaited(self) -> bool {
        match self {
            Self::Nobody => false,
            Self::Native(number) | Self::Event(number) => number.is_some(),
            Self::Api { .. } => true,
            Self::Relay(asker) => asker.request.is_awaited(),
        }
    }

    /// Which answer to a client's message it is told with. A native message has one; of an event
    /// each request has one of its own, and what is answered when all is done is the first.
    pub(super) fn answer(self, message: Option<u64>, sequence: u64) -> Option<Answer> {
        let message = message?;
        let part = match self {
            Self::Native(_) => 0,
            Self::Nobody | Self::Event(_) => part_of(sequence),
            Self::Api { .. } | Self::Relay(_) => return None,
        };
        Some(Answer { message, part })
    }
}

/// Which part of the answer to its event a request's outcome is.
pub(super) fn part_of(sequence: u64) -> u32 {
    u32::try_from(sequence & ((1 << REQUESTS) - 1)).unwrap_or(u32::MAX)
}

impl Session {
    /// What a client whose request was granted is told. `write` makes the object, with the
    /// client's number if it has one.
    pub(super) fn granted(
        &self,
        reply_to: ReplyTo,
        write: impl FnOnce(Option<u64>) -> Bytes,
    ) -> Vec<Part> {
        match reply_to {
            ReplyTo::Native(Some(id)) => vec![Part::text(write(Some(id)))],
            // Binary in it stays base64: a client's library takes few attachments at a time, and
            // a history may have many.
            ReplyTo::Event(Some(id)) => {
                socketio::acknowledgement(&self.namespace, id, &write(None), Vec::new())
            }
            ReplyTo::Native(None)
            | ReplyTo::Event(None)
            | ReplyTo::Nobody
            | ReplyTo::Api { .. }
            | ReplyTo::Relay(_) => Vec::new(),
        }
    }

    /// Tells a client why its request was refused, with the answer `answers`.
    pub(super) fn complain(
        &self,
        io: &mut Io,
        reply_to: ReplyTo,
        problem: &Problem,
        answers: Option<Answer>,
    ) {
        match reply_to {
            ReplyTo::Native(id) => {
                self.send(io, vec![Part::text(native::error(id, problem))], answers);
            }
            ReplyTo::Event(ack) => self.refuse_event(io, ack, problem, None, answers),
            ReplyTo::Nobody | ReplyTo::Api { .. } | ReplyTo::Relay(_) => {}
        }
    }

    /// Tells a Socket.IO client why its event was refused: as the acknowledgement `ack`, or as an
    /// `error`. `data` is JSON of the application's for the client to read.
    pub(super) fn refuse_event(
        &self,
        io: &mut Io,
        ack: Option<u64>,
        problem: &Problem,
        data: Option<&str>,
        answers: Option<Answer>,
    ) {
        let object = native::error_with(None, problem, data);
        let parts = match ack {
            Some(id) => socketio::acknowledgement(&self.namespace, id, &object, Vec::new()),
            None => vec![socketio::object_event(&self.namespace, "error", &object)],
        };
        self.send(io, parts, answers);
    }
}

impl Home {
    /// Answers those who are no clients of this shard; gives back what is for a client.
    pub(super) fn forward(
        &mut self,
        io: &mut Io,
        pending: &Pending,
        result: Result<Reply, Refusal>,
    ) -> Option<Result<Reply, Refusal>> {
        match pending.reply_to {
            ReplyTo::Api { trunk, call } => {
                let answer = result.map_err(|refusal| {
                    let Problem { code, message } =
                        super::answer::problem(&pending.subject, refusal);
                    ApiProblem { code: code.as_str(), message }
                });
                io.output(Output::ApiAnswer { trunk, call, answer });
                None
            }
            ReplyTo::Relay(asker) => {
                let result = match (&pending.asked, result) {
                    // That whoever had a session last doesn't know it any more makes nobody else's
                    // memory of it newer.
                    (Asked::Recall { .. }, Err(Refusal::Unknown)) => Err(Refusal::Unavailable),
                    (Asked::Whisper { to, .. }, Err(Refusal::Unknown)) => {
                        self.whispered_to_nobody(*to, pending.owner)
                    }
                    (_, result) => result,
                };
                asker.answer(io, result);
                None
            }
            ReplyTo::Nobody | ReplyTo::Native(_) | ReplyTo::Event(_) => Some(result),
        }
    }
}

impl From<Problem> for ApiProblem {
    fn from(problem: Problem) -> Self {
        let Problem { code, message } = problem;
        Self { code: ErrorCode::as_str(code), message }
    }
}
