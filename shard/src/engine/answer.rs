//! The answers to requests, word for word those of the reference server.

use bytes::Bytes;
use trunkline_proto::engine::Problem;
use trunkline_proto::trunk::{Down, PollAnswer, down};

use super::{Asked, Engine};

/// What a POST is answered with when its packets were taken.
pub(super) const TAKEN: &str = "ok";
/// About what an item takes beside its body, in bytes.
const ITEM: usize = 32;

impl Engine {
    pub(super) fn answer_ok(&mut self, asked: Asked, body: impl Into<Bytes>) {
        self.push_answer(asked, 200, body.into());
    }

    pub(super) fn answer(&mut self, asked: Asked, problem: Problem) {
        self.push_answer(asked, u32::from(problem.status()), problem.body().into());
    }

    /// Two requests at once, of which there may be one. The reference says nothing with it.
    pub(super) fn answer_overlap(&mut self, asked: Asked) {
        self.push_answer(asked, 400, Bytes::new());
    }

    pub(super) fn answer_unavailable(&mut self, asked: Asked) {
        self.push_answer(asked, 503, Bytes::new());
    }

    /// There is no such session that polls: it has a WebSocket, or is over.
    pub(super) fn answer_stray(&mut self, asked: Asked, is_connected: bool) {
        let problem = if is_connected { Problem::BadRequest } else { Problem::UnknownSession };
        self.answer(asked, problem);
    }

    /// The session is not here: the router is to ask the shard `at`, or if none is named the one
    /// that it then takes for the session's.
    pub(super) fn answer_moved(&mut self, asked: Asked, at: Option<String>) {
        let moved = Some(at.unwrap_or_default());
        self.push_item(asked, PollAnswer { moved, ..PollAnswer::default() });
    }

    fn push_answer(&mut self, asked: Asked, status: u32, body: Bytes) {
        self.push_item(asked, PollAnswer { status, body, ..PollAnswer::default() });
    }

    fn push_item(&mut self, asked: Asked, answer: PollAnswer) {
        let Asked { trunk, request } = asked;
        let size = ITEM + answer.body.len();
        let item = down::Item::Poll(PollAnswer { request, ..answer });
        self.items.push((trunk, (Down { item: Some(item) }, size)));
    }
}
