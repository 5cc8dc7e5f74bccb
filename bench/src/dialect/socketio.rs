//! Socket.IO 5 over the WebSocket of Engine.IO 4. The events are those that every cluster serves
//! without rules (docs/events.md); other servers need handlers for `join`, `leave`, `message`,
//! `typing` and `private`.

use tokio_tungstenite::tungstenite::Message;

use super::{Dialect, Heard, Say, number_at, stamp_in, text};
use crate::identity::Identity;

pub(super) struct SocketIo;

impl Dialect for SocketIo {
    fn path(&mut self, identity: &Identity) -> String {
        format!("/socket.io/?EIO=4&transport=websocket&{}", identity.query())
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
            [b'4', b'0', ..] => heard(Heard::Welcome),
            [b'4', b'1', ..] => heard(Heard::Error("taken out of the namespace")),
            [b'4', b'4', rest @ ..] => heard(Heard::Error(text(rest))),
            [b'2', ..] => heard(Heard::Answer(Message::text("3"))),
            [b'0', ..] => heard(Heard::Answer(Message::text("40"))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(message: &str) -> Vec<String> {
        let mut all = Vec::new();
        SocketIo.hear(message.as_bytes(), &mut |heard| all.push(format!("{heard:?}")));
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
        assert_eq!(hear(r#"40{"sid":"x"}"#), ["Welcome"]);
        assert!(hear(r#"0{"sid":"x"}"#)[0].contains("40"));
        assert!(hear("2")[0].contains('3'));
        assert_eq!(hear("nonsense"), [""; 0]);
    }

    #[test]
    fn requests_carry_their_number() {
        let said = |number| SocketIo.say(&Say::Join { room: "r" }, number).to_string();
        assert_eq!(said(Some(7)), r#"427["join","r"]"#);
        assert_eq!(said(None), r#"42["join","r"]"#);
    }
}
