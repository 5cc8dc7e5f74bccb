//! What the servers of an application ask, and why it may not be granted.

use std::borrow::Cow;
use std::sync::Arc;

use crate::message::Body;
use crate::peer::Action;
use crate::session_id::SessionId;
use crate::topic::Topic;

/// A router's number for a call; unique on its trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiCallId(pub u64);

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiCall {
    /// Something of a topic.
    Topic(Topic, Action),
    /// A private message for one session.
    Session {
        /// To which session.
        to: SessionId,
        /// The content.
        body: Body,
        /// The idempotency key.
        key: Option<Arc<str>>,
        /// Whether it may be dropped under pressure.
        ephemeral: bool,
    },
}

/// Why a call was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiProblem {
    /// A code of the native protocol.
    pub code: &'static str,
    /// What to do about it.
    pub message: Cow<'static, str>,
}
