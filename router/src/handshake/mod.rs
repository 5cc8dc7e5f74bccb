//! The upgrade request and its checks: the WebSocket handshake, the Origin, the query, the
//! token. Its outcome is an answer and what becomes of the socket after it; it touches neither.

mod credentials;
mod identity;
mod origin;
mod query;
mod upgrade;

use hyper::StatusCode;
use trunkline_proto::trunk::{Attach, Dialect};

use crate::connection::close::CloseReason;
pub(crate) use credentials::bearer;
pub(crate) use identity::Doorkeeper;
pub(crate) use upgrade::{SUBPROTOCOL, upgrade, wanted};

/// What becomes of an upgraded socket.
pub(crate) enum Admission {
    /// It is attached to the shard where its session belongs. The connection's number is still 0.
    Attach(Box<Attach>),
    /// It is closed at once. Browsers don't show a refused upgrade's status to scripts, but they
    /// show a close code (PROTOCOL.md).
    Close(CloseReason),
    /// Each message is sent back.
    Echo,
}

impl Admission {
    /// How the client will speak; one that is closed at once is native for so long.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Attach(attach) => attach.dialect(),
            Self::Close(_) | Self::Echo => Dialect::Native,
        }
    }
}

/// A request that is not upgraded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Says what to do.
    pub(crate) text: String,
    /// A word for the metric.
    pub(crate) label: &'static str,
}

impl Refusal {
    fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into(), label: "request" }
    }

    fn forbidden(text: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, text: text.into(), label: "origin" }
    }

    /// A token that is not believed.
    fn bad_token(why: &impl std::fmt::Display) -> Self {
        let text = format!("the token is not believed: {why}");
        Self { status: StatusCode::BAD_REQUEST, text, label: "token" }
    }

    fn wrong_version() -> Self {
        Self {
            status: StatusCode::UPGRADE_REQUIRED,
            text: "speak WebSocket version 13 (RFC 6455)".to_owned(),
            label: "request",
        }
    }

    pub(crate) fn full() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "this router has all the connections it may have; try again later".to_owned(),
            label: "full",
        }
    }
}
