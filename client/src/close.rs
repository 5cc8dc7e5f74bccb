//! Why a connection ended, and whether to come back.

use std::fmt;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The code of a close frame (RFC 6455 §7.4), among them those of `trunkline.v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// Done.
    pub const NORMAL: Self = Self(1000);
    /// The router is going away.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// A frame that is not text was sent.
    pub const NOT_TEXT: Self = Self(1003);
    /// The close frame carried no code. Never on the wire.
    pub const NONE: Self = Self(1005);
    /// The connection broke without a close frame. Never on the wire.
    pub const BROKEN: Self = Self(1006);
    /// Text that is not UTF-8 was sent.
    pub const NOT_UTF8: Self = Self(1007);
    /// A rule was broken.
    pub const POLICY: Self = Self(1008);
    /// A message over the limit was sent.
    pub const TOO_LARGE: Self = Self(1009);
    /// The service restarts.
    pub const RESTART: Self = Self(1012);
    /// The service is overloaded, or this client reads too slowly.
    pub const OVERLOADED: Self = Self(1013);
    /// Not authenticated, or the token has expired.
    pub const NOT_AUTHENTICATED: Self = Self(4001);
    /// No pong came in time.
    pub const NO_PONG: Self = Self(4002);

    /// Whether connecting again with the same options may succeed. After
    /// [`NOT_AUTHENTICATED`](Self::NOT_AUTHENTICATED) it may with a new token only; after
    /// [`OVERLOADED`](Self::OVERLOADED) it should wait first.
    #[must_use]
    pub fn comes_back(self) -> bool {
        matches!(
            self,
            Self::GOING_AWAY
                | Self::NONE
                | Self::BROKEN
                | Self::RESTART
                | Self::OVERLOADED
                | Self::NO_PONG
        )
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection closed with {code} ({reason})")]
pub struct Closed {
    /// The code, [`CloseCode::BROKEN`] when there was no close frame.
    pub code: CloseCode,
    /// What the peer, or the network, gave as the reason; may be empty.
    pub reason: String,
}

impl Closed {
    /// The connection ended without a close frame.
    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self { code: CloseCode::BROKEN, reason: reason.into() }
    }

    pub(crate) fn by_frame(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(CloseFrame { code, reason }) => {
                Self { code: CloseCode(code.into()), reason: reason.as_str().to_owned() }
            }
            None => Self { code: CloseCode::NONE, reason: String::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_comes_back_after_what_will_pass_and_not_after_its_own_mistakes() {
        for code in [1001, 1005, 1006, 1012, 1013, 4002] {
            assert!(CloseCode(code).comes_back(), "{code}");
        }
        for code in [1000, 1002, 1003, 1007, 1008, 1009, 4001, 4999] {
            assert!(!CloseCode(code).comes_back(), "{code}");
        }
    }
}
