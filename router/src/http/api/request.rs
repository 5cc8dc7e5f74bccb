//! Messages as JSON: one object, or a batch of them.
//!
//! `data` and `args` are passed on as they were written; nothing here reads what is in them.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use trunkline_config::parse_duration;
use trunkline_proto::api::Message;

use crate::api::{Asked, Problem};

/// What a body asks for.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) messages: Vec<Asked>,
    /// Whether it is a batch, which is answered by a list even if it has one message.
    pub(super) batch: bool,
}

/// Reads a body. A message of a batch that can't be read is its own problem and not the others'.
///
/// # Errors
/// `bad_request` when there is no message to be found.
pub(super) fn read(body: &[u8]) -> Result<Messages, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::bad("the body is not UTF-8"))?;
    let Probe { messages } = parse(text)?;
    if messages.is_none() {
        return Ok(Messages { messages: vec![Ok(message(text)?)], batch: false });
    }
    let Batch { messages } = parse(text)?;
    let messages = messages.into_iter().map(|raw| message(raw.get())).collect();
    Ok(Messages { messages, batch: true })
}

/// Tells a batch from a message.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    messages: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// A field that is not known is a mistake: with a misspelt `key` or `ephemeral` something else
/// would be done than was asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    event: String,
    // `null` is a value here.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    from: Option<String>,
    key: Option<String>,
    #[serde(default)]
    ephemeral: bool,
    ack_timeout: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::bad(format!("the body: {error}")))
}

fn message(text: &str) -> Asked {
    let Fields { event, data, args, from, key, ephemeral, ack_timeout } = parse(text)?;
    let args = match (data, args) {
        (Some(data), None) => format!("[{}]", data.get()),
        (None, Some(args)) => args.get().to_owned(),
        (Some(_), Some(_)) => return Err(Problem::bad("give `data` or `args`, not both")),
        (None, None) => return Err(Problem::bad("`data` is missing (or `args`, an array)")),
    };
    if key.as_deref() == Some("") {
        return Err(Problem::bad("`key` is empty; give it 1 to 128 bytes, or leave it out"));
    }
    if from.as_deref() == Some("") {
        return Err(Problem::bad("`from` is empty; give it a user's name, or leave it out"));
    }
    Ok(Message {
        event,
        args,
        from: from.unwrap_or_default(),
        key: key.unwrap_or_default(),
        ephemeral,
        ack_timeout_ms: ack_timeout.map_or(Ok(0), |timeout| milliseconds(&timeout))?,
    })
}

/// `"5s"` or `5000`.
fn milliseconds(timeout: &Value) -> Result<u32, Problem> {
    let bad = |why: &str| Problem::bad(format!("`ack_timeout` {why}"));
    let milliseconds = match timeout {
        Value::String(text) => {
            parse_duration(text).map_err(|why| bad(&why))?.as_millis().try_into().ok()
        }
        other => other.as_u64(),
    };
    match milliseconds {
        Some(0) => Err(bad("is nothing; leave it out, or give clients some time")),
        // What is too long is told so where it is checked.
        Some(milliseconds) => Ok(u32::try_from(milliseconds).unwrap_or(u32::MAX)),
        None => Err(bad("must be a duration such as \"5s\", or milliseconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Asked {
        read(text.as_bytes()).map(|mut read| {
            assert!(!read.batch);
            read.messages.remove(0)
        })?
    }

    fn why(text: &str) -> String {
        one(text).expect_err(text).message.into_owned()
    }

    #[test]
    fn arguments_are_passed_on_as_they_were_written() {
        let args = |text| one(text).map(|message| message.args);
        assert_eq!(args(r#"{"event":"e","data":{"b": 1.50}}"#), Ok(r#"[{"b": 1.50}]"#.to_owned()));
        assert_eq!(args(r#"{"event":"e","data":null}"#), Ok("[null]".to_owned()));
        assert_eq!(args(r#"{"event":"e","args":[ 1 , 2 ]}"#), Ok("[ 1 , 2 ]".to_owned()));
    }

    #[test]
    fn a_timeout_is_a_duration_or_milliseconds() {
        let timeout = |value: &str| {
            one(&format!(r#"{{"event":"e","data":1,"ack_timeout":{value}}}"#))
                .map(|message| message.ack_timeout_ms)
                .ok()
        };
        assert_eq!(timeout(r#""5s""#), Some(5000));
        assert_eq!(timeout("250"), Some(250));
        assert_eq!(timeout("99999999999"), Some(u32::MAX));
        for bad in ["0", "-1", "1.5", "\"5\"", "true", "[]", r#""0s""#] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(why("[]").contains("body"));
        assert!(why("").contains("body"));
        assert!(why(r#"{"data":1}"#).contains("`event`"));
        assert!(why(r#"{"event":"e"}"#).contains("`data` is missing"));
        assert!(why(r#"{"event":"e","data":1,"args":[]}"#).contains("not both"));
        assert!(why(r#"{"event":"e","data":1,"ephemral":true}"#).contains("ephemral"));
        assert!(why(r#"{"event":"e","data":1,"key":""}"#).contains("`key`"));
        assert!(why(r#"{"event":"e","data":1,"from":""}"#).contains("`from`"));
        assert!(read(b"\xff").is_err());
    }

    #[test]
    fn in_a_batch_a_bad_message_is_its_own_problem() {
        let body = br#"{"messages":[{"event":"a","data":1},{"event":"b"},7]}"#;
        let read = read(body).expect("a batch");
        let good: Vec<_> = read.messages.iter().map(Result::is_ok).collect();
        assert!(read.batch);
        assert_eq!(good, [true, false, false]);
    }

    #[test]
    fn a_batch_is_a_list_and_nothing_besides() {
        for bad in [r#"{"messages":null}"#, r#"{"messages":{}}"#, r#"{"messages":[],"event":"e"}"#]
        {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(br#"{"messages":[]}"#).is_ok_and(|read| read.messages.is_empty()));
    }

    #[test]
    fn what_nests_deeper_than_any_stack_is_read_all_the_same() {
        let deep = "[".repeat(500_000) + &"]".repeat(500_000);
        assert!(one(&format!(r#"{{"event":"e","data":{deep}}}"#)).is_ok());
    }
}
