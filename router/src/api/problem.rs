//! Why a request of the interface is not granted: a code to tell it by and what to do about it.
//! What it looks like over HTTP and gRPC is for those.

use std::borrow::Cow;

use trunkline_proto::api::Error;
use trunkline_proto::trunk::api_answer;

/// Codes that are more than words to pass on.
pub(crate) mod code {
    pub(crate) const BAD_REQUEST: &str = "bad_request";
    pub(crate) const UNAUTHENTICATED: &str = "unauthenticated";
    pub(crate) const FORBIDDEN: &str = "forbidden";
    pub(crate) const NOT_FOUND: &str = "not_found";
    pub(crate) const METHOD: &str = "method_not_allowed";
    pub(crate) const MEDIA_TYPE: &str = "unsupported_media_type";
    pub(crate) const TOO_LARGE: &str = "too_large";
    pub(crate) const RATE_LIMITED: &str = "rate_limited";
    pub(crate) const UNAVAILABLE: &str = "unavailable";
    pub(crate) const TIMEOUT: &str = "timeout";
    pub(crate) const INTERNAL: &str = "internal";
}

/// Why not, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into() }
    }

    pub(crate) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code::BAD_REQUEST, message)
    }

    pub(crate) fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code::TOO_LARGE, message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            code::UNAUTHENTICATED,
            "send one of the keys of api.keys as `Authorization: Bearer KEY`",
        )
    }

    /// The shard can't be asked, or is gone before it has answered.
    pub(crate) fn unavailable() -> Self {
        Self::new(
            code::UNAVAILABLE,
            "its shard can't be reached now; try again, a message with the same `key`",
        )
    }

    /// There is as much under way as may be.
    pub(crate) fn busy() -> Self {
        Self::new(code::UNAVAILABLE, "this router has all the calls it may have; try again later")
    }

    pub(crate) fn late() -> Self {
        Self::new(
            code::TIMEOUT,
            "its shard did not answer in time; what was asked may or may not have been done: \
             try again, a message with the same `key`",
        )
    }

    /// A shard's answer that does not fit: an error is its own, everything else breaks the
    /// protocol.
    pub(crate) fn unexpected(answer: api_answer::What) -> Self {
        match answer {
            api_answer::What::Error(error) => error.into(),
            _ => Self::internal(),
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            code::INTERNAL,
            "the shard's answer makes no sense; run the same release on routers and shards",
        )
    }

    /// Its code, if it is one of ours: a label for the metric.
    pub(crate) fn label(&self) -> &'static str {
        const LABELS: [&str; 11] = [
            code::BAD_REQUEST,
            code::UNAUTHENTICATED,
            code::FORBIDDEN,
            code::NOT_FOUND,
            code::METHOD,
            code::MEDIA_TYPE,
            code::TOO_LARGE,
            code::RATE_LIMITED,
            code::UNAVAILABLE,
            code::TIMEOUT,
            code::INTERNAL,
        ];
        LABELS.into_iter().find(|label| *label == self.code).unwrap_or("other")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let Error { code, message } = error;
        Self { code: Cow::Owned(code), message: Cow::Owned(message) }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let Problem { code, message } = problem;
        Self { code: code.into_owned(), message: message.into_owned() }
    }
}
