//! Socket.IO 5 over Engine.IO 4. The events are those that every cluster serves
//! without rules (docs/events.md); other servers need handlers for `join`, `leave`, `message`,
//! `typing` and `private`. Whoever connects again recovers its session, as the libraries do.

use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;

use super::{Dialect, Heard, Say, number_at, stamp_in, text};
use crate::identity::Identity;

#[derive(Clone)]
pub(super) struct SocketIo {
    transport: &'static str,
    /// The session that it has, or had last.
    session: Option<Session>,
    /// The stamp of the last event that had one.
    offset: String,
}

/// What a server says of a session, if it lets the client recover it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
struct Session {
    sid: String,
    pid: String,
}

impl SocketIo {
    pub(super) fn new(transport: &'static str) -> Self {
        Self { transport, session: None, offset: String::new() }
    }

    /// Asks to be let into the namespace, and back to the session before.
    fn greeting(&self) -> String {
        match &self.session {
            None => "40".to_owned(),
            Some(Session { pid, .. }) if self.offset.is_empty() => {
                format!(r#"40{{"pid":"{pid}"}}"#)
            }
            Some(Session { pid, .. }) => {
                format!(r#"40{{"pid":"{pid}","offset":"{}"}}"#, self.offset)
            }
        }
    }

    /// It has been let in: whether to the session before.
    fn is_let_in(&mut self, session: &[u8]) -> bool {
        let before = std::mem::replace(&mut self.session, serde_json::from_slice(session).ok());
        before.is_some() && before == self.session
    }

    /// The last argument of an event is its stamp, if it is a string.
    fn keep_stamp(&mut self, event: &[u8]) {
        let Some(rest) = event.strip_suffix(b"\"]") else { return };
        let start = memchr::memrchr(b'"', rest).map_or(0, |quote| quote + 1);
        if let Ok(stamp) = std::str::from_utf8(&rest[start..]) {
            self.offset.clear();
            self.offset.push_str(stamp);
        }
    }
}

impl Dialect for SocketIo {
    fn again(&self) -> Box<dyn Dialect> {
        Box::new(self.clone())
    }

    fn path(&mut self, identity: &Identity) -> String {
        format!("/socket.io/?EIO=4&transport={}&{}", self.transport, identity.query())
    }

    fn say(&mut self, what: &Say<'_>, number: Option<u64>) -> Message {
        let id = number.map(|number| number.to_string()).unwrap_or_default();
        Message::text(match what {
            Say::Join { room } => format!(r#"42{id}["join","{room}"]"#),
            Say::Leave { room } => format!(r#"42{id}["leave","{room}"]"#),
            Say::Publish { room, payload, .. } => {
                format!(r#"42{id}["message","{room}",{payload}]"#)
            }
            Say::Typing { room, payload } => format!(r#"42{id}["typing","{room}",{payload}]"#),
            Say::Private { user, payload, .. } => {
                format!(r#"42{id}["private","{user}",{payload}]"#)
            }
        })
    }

    fn hear(&mut self, message: &[u8], heard: &mut dyn FnMut(Heard<'_>)) {
        match message {
            [b'4', b'2', rest @ ..] if rest.starts_with(b"[\"error\"") => {
                heard(Heard::Error(text(rest)));
            }
            [b'4', b'2', rest @ ..] => {
                self.keep_stamp(rest);
                if let Some(stamp) = stamp_in(rest) {
                    heard(Heard::Delivery(stamp));
                }
            }
            [b'4', b'3', rest @ ..] => {
                let Some((number, length)) = number_at(rest) else { return };
                if rest[length..].starts_with(br#"[{"type":"error""#) {
                    heard(Heard::Failed(number, text(&rest[length..])));
                } else {
                    heard(Heard::Done(number));
                }
            }
            [b'4', b'0', rest @ ..] => heard(Heard::Welcome { recovered: self.is_let_in(rest) }),
            [b'4', b'1', ..] => heard(Heard::Error("taken out of the namespace")),
            [b'4', b'4', rest @ ..] => heard(Heard::Error(text(rest))),
            [b'2', ..] => heard(Heard::Answer(Message::text("3"))),
            [b'0', ..] => heard(Heard::Answer(Message::text(self.greeting()))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> SocketIo {
        SocketIo::new("websocket")
    }

    fn hear(message: &str) -> Vec<String> {
        let mut all = Vec::new();
        socket().hear(message.as_bytes(), &mut |heard| all.push(format!("{heard:?}")));
        all
    }

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(
            hear(r#"42["message",{"t":12,"n":1,"p":""},{"room":"r"},"s"]"#),
            ["Delivery(Stamp { time: 12, number: 1 })"]
        );
        assert_eq!(hear(r#"437[{"type":"ok"}]"#), ["Done(7)"]);
        assert_eq!(hear("437[]"), ["Done(7)"]);
        assert!(hear(r#"437[{"type":"error","code":"forbidden"}]"#)[0].starts_with("Failed(7"));
        assert!(hear(r#"42["error",{"code":"forbidden"}]"#)[0].starts_with("Error("));
        assert!(hear(r#"44{"message":"no"}"#)[0].starts_with("Error("));
        assert!(hear("41")[0].starts_with("Error("));
        assert_eq!(hear(r#"40{"sid":"x"}"#), ["Welcome { recovered: false }"]);
        assert!(hear(r#"0{"sid":"x"}"#)[0].contains("40"));
        assert!(hear("2")[0].contains('3'));
        assert_eq!(hear("nonsense"), [""; 0]);
    }

    #[test]
    fn requests_carry_their_number() {
        let said = |number| socket().say(&Say::Join { room: "r" }, number).to_string();
        assert_eq!(said(Some(7)), r#"427["join","r"]"#);
        assert_eq!(said(None), r#"42["join","r"]"#);
    }

    #[test]
    fn who_connects_again_asks_for_its_session_by_the_last_stamp() {
        let mut socket = socket();
        let mut all = Vec::new();
        let mut hear = |socket: &mut SocketIo, message: &str| {
            all.clear();
            socket.hear(message.as_bytes(), &mut |heard| all.push(format!("{heard:?}")));
            all.concat()
        };
        assert_eq!(socket.greeting(), "40");
        let welcome = r#"40{"sid":"s","pid":"p"}"#;
        assert_eq!(hear(&mut socket, welcome), "Welcome { recovered: false }");
        assert_eq!(socket.greeting(), r#"40{"pid":"p"}"#);
        hear(&mut socket, r#"42["message",{"t":1,"n":1,"p":""},{"room":"r"},"stamp-1"]"#);
        // Neither has a stamp.
        hear(&mut socket, r#"42["joined",{"room":"r","user":"u"}]"#);
        hear(&mut socket, r#"431[{"type":"ok"}]"#);
        assert_eq!(socket.greeting(), r#"40{"pid":"p","offset":"stamp-1"}"#);
        assert_eq!(hear(&mut socket, welcome), "Welcome { recovered: true }");
        let other = r#"40{"sid":"s2","pid":"p"}"#;
        assert_eq!(hear(&mut socket, other), "Welcome { recovered: false }");
        // Without recovery servers name no `pid`, and nothing is the same.
        for _ in 0..2 {
            assert_eq!(hear(&mut socket, r#"40{"sid":"s"}"#), "Welcome { recovered: false }");
        }
        assert_eq!(socket.greeting(), "40");
    }
}
