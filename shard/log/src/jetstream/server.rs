//! What is asked of the servers: one try of each, within a deadline of its own. Who asks decides
//! whether to try again.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::entry::{AppendId, Entry};

/// A server that has not answered by then is asked again. An election takes longer; those who ask
/// have more patience.
const TRY: Duration = Duration::from_secs(3);
/// Atomic batches under way. A server takes 50 per stream, from all shards together; one that is
/// refused for it is sent again.
const BATCHES: usize = 40;
/// What a message's headers take at most, in bytes.
const HEADERS: usize = 512;
/// JetStream's code for a message that expected another one to be the newest.
const WRONG_LAST_SEQUENCE: u32 = 10071;
/// The same, when what is the newest is not settled yet.
const WRONG_LAST_SEQUENCE_UNSETTLED: u32 = 10164;
/// JetStream's code for a subject that has no message.
const NO_MESSAGE: u32 = 10037;

/// A stream, over one connection.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    stream: String,
    batches: Semaphore,
}

/// What is there of a range of messages.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) entries: Vec<Entry>,
    /// Nothing more is to come. Otherwise there is more than a server sends at once, or it is late.
    pub(super) whole: bool,
}

/// Why something was not done, or it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Another message than the expected one is the newest of the subject; if known, which.
    #[error("another message is the newest")]
    Moved(Option<u64>),
    /// It can't be done, however often it is tried.
    #[error("a message of {0} bytes is more than the server takes (its `max_payload`)")]
    TooLarge(usize),
    /// No answer, or one of which it isn't known whether it lasts.
    #[error("{0}")]
    Unknown(String),
}

/// How a server answers what is published, and most of what its interface is asked.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    error: Option<ApiError>,
}

/// How a stream's leader answers what its newest message is.
#[derive(Debug, Deserialize)]
struct Newest {
    message: Option<Stored>,
    error: Option<ApiError>,
}

/// A message in a stream.
#[derive(Debug, Deserialize)]
struct Stored {
    seq: u64,
}

/// An error that JetStream answers.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

impl Server {
    pub(super) fn new(client: Client, stream: String) -> Self {
        Self { client, stream, batches: Semaphore::new(BATCHES) }
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    /// Keeps all of these messages or none, if `expected` is the place of the subject's newest
    /// one (0 if it must have none). Gives the place of the last. `attempt` is another one each
    /// time that the same append is sent.
    pub(super) async fn publish(
        &self,
        subject: &str,
        expected: u64,
        append: AppendId,
        attempt: u32,
        payloads: &[Bytes],
    ) -> Result<u64, Failure> {
        let largest = payloads.iter().map(Bytes::len).max().unwrap_or(0);
        if largest + HEADERS > self.client.max_payload() {
            return Err(Failure::TooLarge(largest));
        }
        let Some((last, others)) = payloads.split_last() else {
            return Err(Failure::Unknown("there is nothing to publish".to_owned()));
        };
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
        if others.is_empty() {
            return published(&self.request(subject, headers, last.clone()).await?);
        }
        let publish_all = async {
            let _under_way = self.batches.acquire().await.map_err(unknown)?;
            let batch = format!("{:016x}-{attempt}", append.0);
            for (payload, number) in others.iter().zip(1_u64..) {
                let mut headers = std::mem::take(&mut headers);
                headers.insert("Nats-Batch-Id", batch.as_str());
                headers.insert("Nats-Batch-Sequence", number.to_string());
                let message = (subject.to_owned(), headers, payload.clone());
                self.client
                    .publish_with_headers(message.0, message.1, message.2)
                    .await
                    .map_err(unknown)?;
            }
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", batch.as_str());
            headers.insert("Nats-Batch-Sequence", payloads.len().to_string());
            headers.insert("Nats-Batch-Commit", "1");
            self.request(subject, headers, last.clone()).await
        };
        // Its messages wait for the connection while there is none, and the batch for others.
        let answer = timeout(2 * TRY, publish_all).await.map_err(unknown)??;
        published(&answer)
    }

    /// The subject's newest message, as one of the servers knows it: it may be late.
    pub(super) async fn newest(&self, subject: &str) -> Result<Option<Entry>, Failure> {
        let api = format!("$JS.API.DIRECT.GET.{}.{subject}", self.stream);
        let message = self.request(&api, HeaderMap::new(), Bytes::new()).await?;
        match message.status.map(|status| status.as_u16()) {
            None => entry(&message).map(Some),
            Some(404) => Ok(None),
            Some(other) => Err(Failure::Unknown(format!("status {other}"))),
        }
    }

    /// The place of the subject's newest message, 0 if it has none. The stream's leader answers, so
    /// that nothing which was kept before is missed.
    pub(super) async fn newest_place(&self, subject: &str) -> Result<u64, Failure> {
        let question = json!({ "last_by_subj": subject });
        let answer = self.ask("STREAM.MSG.GET", &question).await?;
        let answer: Newest = serde_json::from_value(answer).map_err(unknown)?;
        match (answer.message, answer.error) {
            (Some(message), None) => Ok(message.seq),
            (_, Some(error)) if error.err_code == NO_MESSAGE => Ok(0),
            (_, Some(error)) => Err(unknown(error.description)),
            (None, None) => Err(Failure::Unknown("the answer has no message".to_owned())),
        }
    }

    /// Of the subject's messages those from one place in the stream to another.
    pub(super) async fn range(
        &self,
        subject: &str,
        (from, to): (u64, u64),
    ) -> Result<Range, Failure> {
        let fetch = async {
            let inbox = self.client.new_inbox();
            let mut replies = self.client.subscribe(inbox.clone()).await.map_err(unknown)?;
            let query = json!({
                "seq": from,
                "next_by_subj": subject,
                "batch": MESSAGES_AT_ONCE,
                "max_bytes": BYTES_AT_ONCE,
            });
            let api = format!("$JS.API.DIRECT.GET.{}", self.stream);
            let query = Bytes::from(query.to_string());
            self.client.publish_with_reply(api, inbox, query).await.map_err(unknown)?;
            let mut entries = Vec::new();
            let range = |entries, whole| Ok(Range { entries, whole });
            loop {
                let message = futures_util::StreamExt::next(&mut replies)
                    .await
                    .ok_or_else(|| Failure::Unknown("the connection is closed".to_owned()))?;
                match message.status.map(|status| status.as_u16()) {
                    None => {
                        let entry = entry(&message)?;
                        let done = entry.sequence >= to;
                        if entry.sequence <= to {
                            entries.push(entry);
                        }
                        if done {
                            return range(entries, true);
                        }
                    }
                    // The end of what is sent at once, or of all that there is.
                    Some(204 | 404) => return range(entries, false),
                    Some(other) => return Err(Failure::Unknown(format!("status {other}"))),
                }
            }
        };
        timeout(TRY, fetch).await.map_err(unknown)?
    }

    /// Removes the subject's messages before this place in the stream.
    pub(super) async fn purge(&self, subject: &str, before: u64) -> Result<(), Failure> {
        self.api("STREAM.PURGE", &json!({ "filter": subject, "seq": before })).await.map(|_| ())
    }

    /// Removes one message.
    pub(super) async fn delete(&self, sequence: u64) -> Result<(), Failure> {
        self.api("STREAM.MSG.DELETE", &json!({ "seq": sequence, "no_erase": true }))
            .await
            .map(|_| ())
    }

    /// Asks the interface about the stream. An error that it answers is one of the value's fields.
    pub(super) async fn ask(&self, verb: &str, question: &Value) -> Result<Value, Failure> {
        let api = format!("$JS.API.{verb}.{}", self.stream);
        let question = Bytes::from(question.to_string());
        let answer = self.request(&api, HeaderMap::new(), question).await?;
        serde_json::from_slice(&answer.payload).map_err(unknown)
    }

    async fn api(&self, verb: &str, question: &Value) -> Result<Value, Failure> {
        let answer = self.ask(verb, question).await?;
        match answer.get("error") {
            Some(error) => Err(Failure::Unknown(error.to_string())),
            None => Ok(answer),
        }
    }

    async fn request(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Message, Failure> {
        let mut request = Request::new().payload(payload).timeout(None);
        if !headers.is_empty() {
            request = request.headers(headers);
        }
        let answer = self.client.send_request(subject.to_owned(), request);
        timeout(TRY, answer).await.map_err(unknown)?.map_err(unknown)
    }
}

/// Messages, and bytes of them, that a server sends at once.
const MESSAGES_AT_ONCE: usize = 512;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

fn unknown(error: impl std::fmt::Display) -> Failure {
    Failure::Unknown(error.to_string())
}

/// What became of a message that was published.
fn published(message: &Message) -> Result<u64, Failure> {
    let answer: Answer = serde_json::from_slice(&message.payload).map_err(unknown)?;
    match answer.error {
        None if answer.seq > 0 => Ok(answer.seq),
        None => Err(Failure::Unknown("the answer has no sequence".to_owned())),
        Some(error) if error.err_code == WRONG_LAST_SEQUENCE => {
            // "wrong last sequence: 123"
            let newest = error.description.rsplit(' ').next().and_then(|it| it.parse().ok());
            Err(Failure::Moved(newest))
        }
        Some(error) if error.err_code == WRONG_LAST_SEQUENCE_UNSETTLED => Err(Failure::Moved(None)),
        Some(error) => Err(unknown(error.description)),
    }
}

/// A message that a server gives back.
fn entry(message: &Message) -> Result<Entry, Failure> {
    let sequence = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Nats-Sequence"))
        .and_then(|sequence| sequence.as_str().parse().ok())
        .ok_or_else(|| Failure::Unknown("a message has no sequence".to_owned()))?;
    Entry::decode(sequence, message.payload.clone()).map_err(|error| {
        tracing::warn!(sequence, %error, "the stream has a message that is none of a topic's");
        unknown(error)
    })
}
