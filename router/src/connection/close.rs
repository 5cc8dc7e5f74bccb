//! Why the router closes a WebSocket, with the codes of PROTOCOL.md.

use std::borrow::Cow;

/// A close code and a text that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloseReason {
    pub(crate) code: u16,
    pub(crate) text: Cow<'static, str>,
}

const fn reason(code: u16, text: &'static str) -> CloseReason {
    CloseReason { code, text: Cow::Borrowed(text) }
}

impl CloseReason {
    pub(crate) const DONE: Self = reason(1000, "goodbye");
    pub(crate) const PROTOCOL: Self = reason(1002, "that was no frame of RFC 6455");
    pub(crate) const NO_PACKET: Self =
        reason(1002, "that was no packet for a server of Engine.IO 4");
    pub(crate) const NOT_TEXT: Self = reason(1003, "send text frames");
    pub(crate) const NOT_UTF8: Self = reason(1007, "a text was not UTF-8");
    pub(crate) const TOO_LARGE: Self = reason(1009, "a message was over the limit");
    pub(crate) const RESTART: Self = reason(1012, "the service restarts; come back, and recover");
    pub(crate) const OVERLOADED: Self = reason(1013, "overloaded; come back after a pause");
    pub(crate) const SLOW: Self = reason(1013, "read faster; come back and recover");
    pub(crate) const NO_TOKEN: Self = reason(4001, "this service needs a token");
    pub(crate) const NO_PONG: Self = reason(4002, "no pong in time; come back");

    /// What a shard asks for. A code that may not be sent (RFC 6455 §7.4.1) becomes 1011.
    pub(crate) fn from_shard(code: u32, text: String) -> Self {
        let code = u16::try_from(code).ok().filter(|code| may_be_sent(*code)).unwrap_or(1011);
        Self { code, text: text.into() }
    }

    /// A token that is not believed.
    pub(crate) fn bad_token(why: &impl std::fmt::Display) -> Self {
        Self { code: 4001, text: format!("the token is not believed: {why}").into() }
    }
}

fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_can_not_ask_for_a_code_that_may_not_be_sent() {
        for code in [0, 999, 1005, 1006, 1015, 2999, 5000, 70_000] {
            assert_eq!(CloseReason::from_shard(code, String::new()).code, 1011, "{code}");
        }
        assert_eq!(CloseReason::from_shard(4001, "renew".to_owned()).code, 4001);
    }
}
