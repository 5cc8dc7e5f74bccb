//! Decodes what the server sends.
//!
//! A type that this client doesn't know is not an error: servers may be newer.

use serde::Deserialize;

use crate::{Ephemeral, ErrorCode, Event, Gap, Member, Message, Private};

/// One text frame of the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The first one.
    Welcome(Welcome),
    /// The reply to a request that succeeded.
    Ok {
        /// The request's number.
        id: u64,
        /// The whole reply as JSON; what it means depends on the request.
        reply: String,
    },
    /// A request was refused.
    Error {
        /// The request's number, if it had one and it could be read.
        id: Option<u64>,
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// What was not asked for.
    Event(Event),
    /// A type that this client doesn't know.
    Unknown(String),
}

/// What the server says first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Welcome {
    /// The session's ID, which begins with `~`.
    pub session: String,
    /// Who speaks; a name like `guest-7f3a9c` if none was given.
    pub user: String,
    /// How often the server pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// How long a message to the server may be.
    pub max_message_bytes: u64,
}

/// The server's text is not as the protocol says.
#[derive(Debug, thiserror::Error)]
#[error("the server sent what trunkline.v1 doesn't have; check the versions of both")]
pub struct Malformed(#[from] pub(crate) serde_json::Error);

#[derive(Deserialize)]
struct Head {
    r#type: String,
}

#[derive(Deserialize)]
struct OkHead {
    id: u64,
}

#[derive(Deserialize)]
struct Refusal {
    id: Option<u64>,
    code: ErrorCode,
    #[serde(default)]
    message: String,
}

impl Incoming {
    /// Decodes one text frame. It is parsed twice, for its type and then as that type: serde can't
    /// keep raw values through a tagged enum.
    ///
    /// # Errors
    /// When the text is not an object with a `type`, or lacks a field of its type.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let Head { r#type } = serde_json::from_str(text)?;
        Ok(match r#type.as_str() {
            "welcome" => Self::Welcome(serde_json::from_str(text)?),
            "ok" => {
                let OkHead { id } = serde_json::from_str(text)?;
                Self::Ok { id, reply: text.to_owned() }
            }
            "error" => {
                let Refusal { id, code, message } = serde_json::from_str(text)?;
                Self::Error { id, code, message }
            }
            "message" => Self::Event(Event::Message(serde_json::from_str::<Message>(text)?)),
            "ephemeral" => Self::Event(Event::Ephemeral(serde_json::from_str::<Ephemeral>(text)?)),
            "private" => Self::Event(Event::Private(serde_json::from_str::<Private>(text)?)),
            "joined" => Self::Event(Event::Joined(serde_json::from_str::<Member>(text)?)),
            "left" => Self::Event(Event::Left(serde_json::from_str::<Member>(text)?)),
            "gap" => Self::Event(Event::Gap(serde_json::from_str::<Gap>(text)?)),
            _ => Self::Unknown(r#type),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Body, Position};

    fn event(text: &str) -> Event {
        match Incoming::decode(text).unwrap() {
            Incoming::Event(event) => event,
            other => panic!("not an event: {other:?}"),
        }
    }

    #[test]
    fn the_examples_of_the_protocol_are_understood() {
        let welcome = Incoming::decode(
            r#"{"type":"welcome","session":"~1","user":"alice","heartbeat_ms":25000,"max_message_bytes":65536}"#,
        );
        assert!(matches!(welcome, Ok(Incoming::Welcome(welcome)) if welcome.user == "alice"));

        let message = event(
            r#"{"type":"message","room":"lobby","epoch":"9k2f","offset":58,"from":"alice","event":"chat message","data":"hi","time":1790000000000}"#,
        );
        let Event::Message(message) = message else { panic!("{message:?}") };
        assert_eq!(message.position, Position::new("9k2f", 58));
        assert_eq!(message.body.decode::<String>().unwrap(), "hi");

        assert_eq!(
            event(r#"{"type":"gap","room":"lobby","epoch":"e","offset":91}"#),
            Event::Gap(Gap { room: Some("lobby".to_owned()), position: Position::new("e", 91) })
        );
        let refused = r#"{"type":"error","id":3,"code":"not_joined","message":"join first"}"#;
        assert_eq!(
            Incoming::decode(refused).unwrap(),
            Incoming::Error {
                id: Some(3),
                code: ErrorCode::NotJoined,
                message: "join first".to_owned()
            }
        );
    }

    #[test]
    fn data_keeps_its_digits_and_null_is_a_value() {
        for data in ["123456789012345678901234567890", "1.0", "null", "{\"a\":  1e400}"] {
            let text = format!(
                r#"{{"type":"ephemeral","from":"a","event":"e","room":"r","data":{data}}}"#
            );
            let Event::Ephemeral(ephemeral) = event(&text) else { panic!("{text}") };
            assert_eq!(ephemeral.body.get(), data);
        }
    }

    #[test]
    fn args_come_as_one_array() {
        let text = r#"{"type":"private","from":"a","event":"e","args":[1,"two"]}"#;
        let Event::Private(private) = event(text) else { panic!("{text}") };
        assert!(matches!(private.body, Body::Args(_)));
        assert_eq!(private.body.decode::<(u8, String)>().unwrap(), (1, "two".to_owned()));
        assert_eq!(private.position, None);
    }

    #[test]
    fn a_message_without_its_position_is_malformed_and_an_unknown_type_is_not() {
        let text = r#"{"type":"message","room":"r","from":"a","event":"e","data":1,"time":1}"#;
        assert!(Incoming::decode(text).is_err());
        assert_eq!(
            Incoming::decode(r#"{"type":"weather"}"#).unwrap(),
            Incoming::Unknown("weather".to_owned())
        );
    }

    fn near_json() -> impl Strategy<Value = String> {
        let kind = prop::sample::select(vec![
            "welcome",
            "ok",
            "error",
            "message",
            "ephemeral",
            "private",
            "joined",
            "left",
            "gap",
        ]);
        let field = prop::sample::select(vec![
            "id", "room", "epoch", "offset", "from", "event", "data", "args", "time", "user",
            "code",
        ]);
        let value = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            "\"[a-z]{0,4}\"",
            Just("[{}, 1e999]".to_owned()),
        ];
        (kind, prop::collection::vec((field, value), 0..12)).prop_map(|(kind, fields)| {
            let fields: String =
                fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
            format!("{{\"type\":\"{kind}\"{fields}}}")
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_decoding_panic(text in ".{0,200}") {
            // What is to be shown is that this returns.
            prop_assert!(Incoming::decode(&text).is_err() || text.contains("type"));
        }

        #[test]
        fn no_mix_of_fields_makes_decoding_panic(text in near_json()) {
            if let Ok(Incoming::Event(Event::Message(message))) = Incoming::decode(&text) {
                prop_assert!(text.contains(message.body.get()));
            }
        }
    }
}
