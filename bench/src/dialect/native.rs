//! `trunkline.v1`, as docs/protocol.md has it. Only the load's own messages are taken apart, by
//! their first bytes: a JSON parser would make the driver the slowest of all.

use tokio_tungstenite::tungstenite::Message;

use super::{Dialect, Heard, Say, number_after, text, time_in};
use crate::identity::Identity;

pub(super) struct Native;

impl Dialect for Native {
    fn path(&mut self, identity: &Identity) -> String {
        format!("/ws?{}", identity.query())
    }

    fn subprotocol(&self) -> Option<&'static str> {
        Some("trunkline.v1")
    }

    fn say(&mut self, what: &Say<'_>, number: Option<u64>) -> Message {
        let id = number.map(|number| format!(",\"id\":{number}")).unwrap_or_default();
        Message::text(match what {
            Say::Join { room } => format!(r#"{{"type":"join"{id},"room":"{room}"}}"#),
            Say::Leave { room } => format!(r#"{{"type":"leave"{id},"room":"{room}"}}"#),
            Say::Publish { room, payload } => format!(
                r#"{{"type":"publish"{id},"room":"{room}","event":"message","data":{payload}}}"#
            ),
            Say::Typing { room, payload } => format!(
                r#"{{"type":"publish"{id},"room":"{room}","event":"typing","ephemeral":true,"echo":false,"data":{payload}}}"#
            ),
            Say::Private { user, payload } => {
                format!(r#"{{"type":"send"{id},"to":"{user}","event":"private","data":{payload}}}"#)
            }
        })
    }

    fn hear(&mut self, message: &[u8], heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(rest) = message.strip_prefix(br#"{"type":""#.as_slice()) else { return };
        let kind = &rest[..memchr::memchr(b'"', rest).unwrap_or(rest.len())];
        match kind {
            b"message" | b"private" | b"ephemeral" => {
                if let Some(time) = time_in(message) {
                    heard(Heard::Delivery(time));
                }
            }
            b"ok" => {
                if let Some(number) = number_after(message, b"\"id\":") {
                    heard(Heard::Done(number));
                }
            }
            b"error" => match number_after(message, b"\"id\":") {
                Some(number) => heard(Heard::Failed(number, text(message))),
                None => heard(Heard::Error(text(message))),
            },
            b"welcome" => heard(Heard::Welcome),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(message: &str) -> Vec<String> {
        let mut all = Vec::new();
        Native.hear(message.as_bytes(), &mut |heard| all.push(format!("{heard:?}")));
        all
    }

    #[test]
    fn what_it_says_is_json() {
        let payload = super::super::payload(5, 6, 60);
        for what in [
            Say::Join { room: "r" },
            Say::Leave { room: "r" },
            Say::Publish { room: "r", payload: &payload },
            Say::Typing { room: "r", payload: &payload },
            Say::Private { user: "u", payload: &payload },
        ] {
            for number in [None, Some(7)] {
                let message = Native.say(&what, number).into_text().expect("text");
                let value: serde_json::Value = serde_json::from_str(&message).expect("JSON");
                assert_eq!(value["id"].as_u64(), number);
            }
        }
    }

    #[test]
    fn messages_answers_and_errors_are_told_apart() {
        let message = r#"{"type":"message","room":"r","epoch":"e","offset":1,"from":"a","event":"message","data":{"t":12,"n":1,"p":""},"time":1790000000000}"#;
        assert_eq!(hear(message), ["Delivery(12)"]);
        assert_eq!(hear(r#"{"type":"ok","id":3}"#), ["Done(3)"]);
        assert_eq!(hear(r#"{"type":"welcome","session":"~x"}"#), ["Welcome"]);
        assert_eq!(hear(r#"{"type":"joined","room":"r","user":"b"}"#), [""; 0]);
        let error = r#"{"type":"error","id":3,"code":"forbidden"}"#;
        assert!(hear(error)[0].starts_with("Failed(3"));
        assert!(hear(r#"{"type":"error","code":"bad_request"}"#)[0].starts_with("Error("));
        assert_eq!(hear("nonsense"), [""; 0]);
    }
}
