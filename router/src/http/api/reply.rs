//! Answers as JSON.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use trunkline_proto::api::{
    Acknowledgements, DisconnectReply, HistoryReply, KeptMessage, PresenceReply, PublishReply,
    SendReply,
};

use crate::api::{Outcomes, Problem};

#[derive(Serialize)]
struct Refused<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Results {
    results: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Published<'a> {
    Kept { room: &'a str, epoch: String, offset: u64 },
    Passed { room: &'a str },
    Asked { room: &'a str, acknowledgements: Vec<Box<RawValue>>, asked: u32 },
}

#[derive(Serialize)]
struct Sent<'a> {
    to: &'a str,
    status: String,
}

#[derive(Serialize)]
struct History<'a> {
    room: &'a str,
    epoch: String,
    messages: Vec<Kept>,
}

#[derive(Serialize)]
struct Kept {
    offset: u64,
    time: u64,
    from: String,
    event: String,
    #[serde(flatten)]
    arguments: Arguments,
}

/// One argument is the message's data, as in the native protocol.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Arguments {
    Data(Box<RawValue>),
    Args(Box<RawValue>),
}

#[derive(Serialize)]
struct Presence<'a> {
    room: &'a str,
    users: Vec<User>,
    sure: bool,
}

#[derive(Serialize)]
struct User {
    user: String,
    connections: u32,
}

#[derive(Serialize)]
struct Disconnected<'a> {
    user: &'a str,
    connections: u32,
}

/// The answer to one message, or to each of a batch.
///
/// # Errors
/// The problem of a message that is no batch.
pub(super) fn each<T>(
    outcomes: Outcomes<T>,
    batch: bool,
    answer: impl Fn(T) -> Result<Bytes, Problem>,
) -> Result<Bytes, Problem> {
    let mut answers = outcomes.into_iter().map(|outcome| outcome.and_then(&answer));
    if !batch {
        return answers.next().unwrap_or_else(|| Err(Problem::internal()));
    }
    let result = |answer: Result<Bytes, Problem>| {
        let json = answer.unwrap_or_else(|refused| problem(&refused));
        String::from_utf8(json.into()).map_err(|_| Problem::internal()).and_then(raw)
    };
    json(&Results { results: answers.map(result).collect::<Result<_, _>>()? })
}

pub(super) fn published(room: &str, reply: PublishReply) -> Result<Bytes, Problem> {
    let PublishReply { epoch, offset, acknowledgements } = reply;
    json(&match acknowledgements {
        Some(Acknowledgements { responses, asked }) => {
            let acknowledgements = responses.into_iter().map(raw).collect::<Result<_, _>>()?;
            Published::Asked { room, acknowledgements, asked }
        }
        None if offset == 0 => Published::Passed { room },
        None => Published::Kept { room, epoch, offset },
    })
}

pub(super) fn sent(to: &str, reply: SendReply) -> Result<Bytes, Problem> {
    json(&Sent { to, status: reply.status })
}

pub(super) fn history(room: &str, reply: HistoryReply) -> Result<Bytes, Problem> {
    let HistoryReply { epoch, messages } = reply;
    let messages = messages.into_iter().map(kept).collect::<Result<_, _>>()?;
    json(&History { room, epoch, messages })
}

pub(super) fn presence(room: &str, reply: PresenceReply) -> Result<Bytes, Problem> {
    let PresenceReply { users, sure } = reply;
    let users = users
        .into_iter()
        .map(|presence| User { user: presence.user, connections: presence.connections })
        .collect();
    json(&Presence { room, users, sure })
}

pub(super) fn disconnected(user: &str, reply: &DisconnectReply) -> Result<Bytes, Problem> {
    json(&Disconnected { user, connections: reply.connections })
}

pub(super) fn problem(problem: &Problem) -> Bytes {
    let error = Error { code: &problem.code, message: &problem.message };
    // Two strings can always be written.
    json(&Refused { error }).unwrap_or_default()
}

fn kept(message: KeptMessage) -> Result<Kept, Problem> {
    let KeptMessage { offset, time_ms, from, event, args } = message;
    let values: Vec<&RawValue> = serde_json::from_str(&args).map_err(|_| Problem::internal())?;
    let arguments = match values.as_slice() {
        [data] => Arguments::Data((*data).to_owned()),
        _ => Arguments::Args(to_raw_value(&values).map_err(|_| Problem::internal())?),
    };
    Ok(Kept { offset, time: time_ms, from, event, arguments })
}

fn raw(text: String) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(text).map_err(|_| Problem::internal())
}

fn json(value: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|_| Problem::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: Result<Bytes, Problem>) -> String {
        String::from_utf8(json.expect("an answer").to_vec()).expect("text")
    }

    #[test]
    fn what_became_of_a_publish_shows() {
        let kept = PublishReply { epoch: "9k2f".to_owned(), offset: 5, acknowledgements: None };
        assert_eq!(text(published("a", kept)), r#"{"room":"a","epoch":"9k2f","offset":5}"#);
        assert_eq!(text(published("a", PublishReply::default())), r#"{"room":"a"}"#);
        let responses = vec!["[1.50]".to_owned(), "[]".to_owned()];
        let acknowledgements = Some(Acknowledgements { responses, asked: 3 });
        let asked = PublishReply { acknowledgements, ..PublishReply::default() };
        assert_eq!(
            text(published("a", asked)),
            r#"{"room":"a","acknowledgements":[[1.50],[]],"asked":3}"#
        );
    }

    #[test]
    fn one_argument_is_data_and_any_other_number_is_args() {
        let message = |args: &str| KeptMessage { args: args.to_owned(), ..KeptMessage::default() };
        let messages = vec![message("[ 1.50 ]"), message("[]"), message("[1, {}]")];
        let text = text(history("a", HistoryReply { epoch: String::new(), messages }));
        assert!(text.contains(r#""data":1.50}"#), "{text}");
        assert!(text.contains(r#""args":[]}"#) && text.contains(r#""args":[1,{}]}"#), "{text}");
    }

    #[test]
    fn a_batch_is_answered_in_order_and_a_message_by_itself() {
        let answer = |number: u32| disconnected("a", &DisconnectReply { connections: number });
        let outcomes = || vec![Ok(1), Err(Problem::bad("why"))];
        assert_eq!(
            text(each(outcomes(), true, answer)),
            r#"{"results":[{"user":"a","connections":1},{"error":{"code":"bad_request","message":"why"}}]}"#
        );
        assert_eq!(text(each(outcomes(), false, answer)), r#"{"user":"a","connections":1}"#);
        assert!(each(vec![Err(Problem::bad("why"))], false, answer).is_err());
    }

    #[test]
    fn what_a_shard_says_that_is_no_json_is_not_passed_on() {
        let messages = vec![KeptMessage { args: "[".to_owned(), ..KeptMessage::default() }];
        let problem = history("a", HistoryReply { epoch: String::new(), messages });
        assert_eq!(problem.expect_err("refused").code, "internal");
    }
}
