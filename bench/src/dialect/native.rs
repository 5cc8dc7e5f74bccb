//! `trunkline.v1`, as docs/protocol.md has it. Only the load's own messages are taken apart, by
//! their first bytes: a JSON parser would make the driver the slowest of all.

use tokio_tungstenite::tungstenite::Message;

use super::{Dialect, Heard, Say, number_after, stamp_in, text, text_after};
use crate::identity::Identity;

pub(super) struct Native;

impl Dialect for Native {
    fn again(&self) -> Box<dyn Dialect> {
        Box::new(Self)
    }

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
            Say::Publish { room, payload, key } => format!(
                r#"{{"type":"publish"{id}{},"room":"{room}","event":"message","data":{payload}}}"#,
                idempotency(*key)
            ),
            Say::Typing { room, payload } => format!(
                r#"{{"type":"publish"{id},"room":"{room}","event":"typing","ephemeral":true,"echo":false,"data":{payload}}}"#
            ),
            Say::Private { user, payload, key } => format!(
                r#"{{"type":"send"{id}{},"to":"{user}","event":"private","data":{payload}}}"#,
                idempotency(*key)
            ),
        })
    }

    fn hear(&mut self, message: &[u8], heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(rest) = message.strip_prefix(br#"{"type":""#.as_slice()) else { return };
        let kind = &rest[..memchr::memchr(b'"', rest).unwrap_or(rest.len())];
        match kind {
            b"message" | b"private" | b"ephemeral" => {
                if let Some(stamp) = stamp_in(message) {
                    heard(Heard::Delivery(stamp));
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
            b"welcome" => heard(Heard::Welcome { recovered: false }),
            b"joined" | b"left" => {
                let user = text_after(message, b"\"user\":\"");
                heard(Heard::Presence { user, is_here: kind == b"joined" });
            }
            _ => {}
        }
    }
}

fn idempotency(key: Option<u64>) -> String {
    key.map(|key| format!(",\"key\":\"{key}\"")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Stamp;
    use super::*;

    fn hear(message: &str) -> Vec<String> {
        let mut all = Vec::new();
        Native.hear(message.as_bytes(), &mut |heard| all.push(format!("{heard:?}")));
        all
    }

    #[test]
    fn what_it_says_is_json() {
        let payload = super::super::payload(Stamp { time: 5, number: 6 }, 60);
        for what in [
            Say::Join { room: "r" },
            Say::Leave { room: "r" },
            Say::Publish { room: "r", payload: &payload, key: None },
            Say::Publish { room: "r", payload: &payload, key: Some(8) },
            Say::Typing { room: "r", payload: &payload },
            Say::Private { user: "u", payload: &payload, key: Some(8) },
        ] {
            for number in [None, Some(7)] {
                let message = Native.say(&what, number).into_text().expect("text");
                let value: serde_json::Value = serde_json::from_str(&message).expect("JSON");
                assert_eq!(value["id"].as_u64(), number);
                if let Say::Publish { key, .. } | Say::Private { key, .. } = what {
                    let key = key.map(|key| key.to_string());
                    assert_eq!(value["key"].as_str(), key.as_deref());
                }
            }
        }
    }

    #[test]
    fn messages_answers_and_errors_are_told_apart() {
        let message = r#"{"type":"message","room":"r","epoch":"e","offset":1,"from":"a","event":"message","data":{"t":12,"n":1,"p":""},"time":1790000000000}"#;
        assert_eq!(hear(message), ["Delivery(Stamp { time: 12, number: 1 })"]);
        assert_eq!(hear(r#"{"type":"ok","id":3}"#), ["Done(3)"]);
        assert_eq!(hear(r#"{"type":"welcome","session":"~x"}"#), ["Welcome { recovered: false }"]);
        for (kind, is_here) in [("joined", true), ("left", false)] {
            let message = format!(r#"{{"type":"{kind}","room":"r","user":"b"}}"#);
            let presence = format!(r#"Presence {{ user: "b", is_here: {is_here} }}"#);
            assert_eq!(hear(&message), [presence]);
        }
        let error = r#"{"type":"error","id":3,"code":"forbidden"}"#;
        assert!(hear(error)[0].starts_with("Failed(3"));
        assert!(hear(r#"{"type":"error","code":"bad_request"}"#)[0].starts_with("Error("));
        assert_eq!(hear("nonsense"), [""; 0]);
    }
}
