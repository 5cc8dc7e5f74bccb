//! What a request may say. Everything that a shard is sent has passed here.

use serde_json::value::RawValue;
use trunkline_config::events::RESERVED_EVENTS;
use trunkline_config::name::{check_id, check_user};
use trunkline_proto::api::Message;

use super::{LONGEST_ACK, MOST_MESSAGES, Problem};

const LONGEST_EVENT: usize = 256;
const LONGEST_KEY: usize = 128;
const HIGHEST_LIMIT: u32 = 1000;
/// Who a message is from if it doesn't say.
const FROM: &str = "server";
const DEFAULT_NAMESPACE: &str = "/";
/// What a batch may have in all, unless one message may have more.
const BODY: usize = 1024 * 1024;
/// What surrounds the messages.
const AROUND: usize = 64 * 1024;

/// The largest body of a request, in bytes, when a message may have `largest`.
pub(crate) fn longest_body(largest: usize) -> usize {
    BODY.max(largest).saturating_add(AROUND)
}

/// Checks how many messages there are.
pub(super) fn count(messages: usize) -> Result<(), Problem> {
    match messages {
        0 => Err(Problem::bad("there is no message; give at least one")),
        1..=MOST_MESSAGES => Ok(()),
        _ => Err(Problem::too_large(format!("give at most {MOST_MESSAGES} messages at once"))),
    }
}

/// A namespace with its leading slash.
pub(super) fn namespace(text: &str) -> Result<String, Problem> {
    let namespace = match text {
        "" => DEFAULT_NAMESPACE.to_owned(),
        text if text.starts_with('/') => text.to_owned(),
        text => format!("/{text}"),
    };
    check_id(&namespace).map_err(|error| Problem::bad(format!("the namespace: {error}")))?;
    Ok(namespace)
}

pub(super) fn room(text: &str) -> Result<(), Problem> {
    check_id(text).map_err(|error| Problem::bad(format!("the room: {error}")))
}

pub(super) fn user(what: &str, text: &str) -> Result<(), Problem> {
    check_user(text).map_err(|error| Problem::bad(format!("{what}: {error}")))
}

/// After whom users are listed, if after somebody.
pub(super) fn after(text: &str) -> Result<(), Problem> {
    if text.is_empty() { Ok(()) } else { user("`after`", text) }
}

/// How many are asked for; 0 for `usual`.
pub(super) fn limit(limit: u32, usual: u32) -> Result<u32, Problem> {
    match limit {
        0 => Ok(usual),
        1..=HIGHEST_LIMIT => Ok(limit),
        _ => Err(Problem::bad(format!("`limit` must be from 1 to {HIGHEST_LIMIT}"))),
    }
}

/// A message for a room, checked and completed.
pub(super) fn for_room(message: Message, largest: usize) -> Result<Message, Problem> {
    let message = completed(message, largest)?;
    let longest = LONGEST_ACK.as_millis();
    if u128::from(message.ack_timeout_ms) > longest {
        return Err(Problem::bad(format!("`ack_timeout` must be at most {longest} ms")));
    }
    if message.ack_timeout_ms > 0 && !message.key.is_empty() {
        return Err(Problem::bad(
            "a message with `ack_timeout` is not kept; leave out its `key` or the `ack_timeout`",
        ));
    }
    Ok(message)
}

/// A message for a user or a session, checked and completed.
pub(super) fn for_receiver(message: Message, largest: usize) -> Result<Message, Problem> {
    let message = completed(message, largest)?;
    if message.ack_timeout_ms > 0 {
        return Err(Problem::bad(
            "only rooms are asked for acknowledgements; leave out `ack_timeout`",
        ));
    }
    Ok(message)
}

fn completed(mut message: Message, largest: usize) -> Result<Message, Problem> {
    let Message { event, args, from, key, .. } = &mut message;
    if event.is_empty() || event.len() > LONGEST_EVENT {
        return Err(Problem::bad(format!("`event` must have 1 to {LONGEST_EVENT} bytes")));
    }
    if RESERVED_EVENTS.contains(&event.as_str()) {
        let why = format!("the event name {event:?} is reserved; choose another");
        return Err(Problem::bad(why));
    }
    if event.len().saturating_add(args.len()) > largest {
        let why = format!("a message may have {largest} bytes (limits.message); send less");
        return Err(Problem::too_large(why));
    }
    if serde_json::from_str::<Vec<&RawValue>>(args).is_err() {
        return Err(Problem::bad("`args` must be an array in JSON"));
    }
    if from.is_empty() {
        FROM.clone_into(from);
    }
    user("`from`", from)?;
    if key.len() > LONGEST_KEY {
        let why = format!("`key` is longer than {LONGEST_KEY} bytes; shorten it");
        return Err(Problem::too_large(why));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message { event: "note".to_owned(), args: "[1]".to_owned(), ..Message::default() }
    }

    fn code(message: Message) -> String {
        for_room(message, 100).expect_err("refused").code.into_owned()
    }

    #[test]
    fn who_is_not_named_is_the_server() {
        assert_eq!(for_room(message(), 100).map(|message| message.from), Ok("server".to_owned()));
    }

    #[test]
    fn a_message_that_breaks_a_rule_is_refused() {
        let wrong: [fn(&mut Message); 9] = [
            |message| message.event.clear(),
            |message| message.event = "x".repeat(257),
            |message| message.event = "disconnect".to_owned(),
            |message| message.args = "{}".to_owned(),
            |message| message.args = "[1".to_owned(),
            |message| message.args.clear(),
            |message| message.from = "~bob".to_owned(),
            |message| message.ack_timeout_ms = 60_001,
            |message| {
                message.ack_timeout_ms = 1;
                message.key = "k".to_owned();
            },
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            let mut message = message();
            change(&mut message);
            assert!(for_room(message, 1000).is_err(), "{number}");
        }
    }

    #[test]
    fn what_is_too_large_is_called_so() {
        assert_eq!(
            code(Message { args: format!("[{:?}]", "x".repeat(100)), ..message() }),
            "too_large"
        );
        assert_eq!(code(Message { key: "x".repeat(129), ..message() }), "too_large");
        assert_eq!(count(101).expect_err("refused").code, "too_large");
        assert!(count(100).is_ok() && count(0).is_err());
    }

    #[test]
    fn a_user_is_not_asked_to_acknowledge() {
        assert!(for_receiver(Message { ack_timeout_ms: 1, ..message() }, 100).is_err());
        assert!(for_room(Message { ack_timeout_ms: 60_000, ..message() }, 100).is_ok());
    }

    #[test]
    fn a_namespace_has_a_leading_slash() {
        assert_eq!(namespace(""), Ok("/".to_owned()));
        assert_eq!(namespace("game"), Ok("/game".to_owned()));
        assert_eq!(namespace("/game"), Ok("/game".to_owned()));
        assert!(namespace(&"x".repeat(256)).is_err());
    }

    #[test]
    fn a_limit_is_from_1_to_1000() {
        assert_eq!(limit(0, 100), Ok(100));
        assert_eq!(limit(1000, 100), Ok(1000));
        assert!(limit(1001, 100).is_err());
    }
}
