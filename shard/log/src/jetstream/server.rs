//! What is asked of the servers: one try of each, within a deadline of its own. Who asks decides
//! whether to try again.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request, Subscriber};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::entry::{AppendId, Entry};
use super::reached::Reached;
use super::subject::word;

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

/// A stream, over one connection.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    stream: String,
    batches: Semaphore,
    reached: Reached,
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
        Self { client, stream, batches: Semaphore::new(BATCHES), reached: Reached::default() }
    }

    /// How far the stream is known to have got.
    pub(super) fn progress(&self) -> &Reached {
        &self.reached
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
        let sent = Instant::now();
        let answer = self.send(subject, expected, append, attempt, payloads).await?;
        self.kept(sent, &answer)
    }

    /// Keeps a message that says nothing, and is no topic's. Gives its place.
    pub(super) async fn publish_word(&self) -> Result<u64, Failure> {
        let sent = Instant::now();
        let subject = word(&self.stream);
        let answer = self.request(&subject, HeaderMap::new(), Bytes::new()).await?;
        self.kept(sent, &answer)
    }

    /// Takes note of what was kept, if it was.
    fn kept(&self, sent: Instant, answer: &Message) -> Result<u64, Failure> {
        let last = published(answer)?;
        self.reached.note(sent, last);
        Ok(last)
    }

    /// Sends what is to be published; gives the answer.
    async fn send(
        &self,
        subject: &str,
        expected: u64,
        append: AppendId,
        attempt: u32,
        payloads: &[Bytes],
    ) -> Result<Message, Failure> {
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
            return self.request(subject, headers, last.clone()).await;
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
        timeout(2 * TRY, publish_all).await.map_err(unknown)?
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

    /// The place of the subject's newest message, as one of the servers knows it that has all before
    /// `reached`; none if the one that has answered hasn't got so far. 0 if there is no message.
    pub(super) async fn newest_place(
        &self,
        subject: &str,
        reached: u64,
    ) -> Result<Option<u64>, Failure> {
        let answer = async {
            let mut replies = self.direct(&json!({ "multi_last": [subject] })).await?;
            let mut newest = 0;
            loop {
                let message = next(&mut replies).await?;
                match message.status.map(|status| status.as_u16()) {
                    None => newest = number(&message, "Nats-Sequence")?,
                    Some(204) => {
                        let up_to = number(&message, "Nats-UpTo-Sequence")?;
                        return Ok((up_to >= reached).then_some(newest));
                    }
                    // It doesn't say how far it has got.
                    Some(404) => return Ok(Some(0)),
                    Some(other) => return Err(Failure::Unknown(format!("status {other}"))),
                }
            }
        };
        timeout(TRY, answer).await.map_err(unknown)?
    }

    /// Of the subject's messages those from one place in the stream to another.
    pub(super) async fn range(
        &self,
        subject: &str,
        (from, to): (u64, u64),
    ) -> Result<Range, Failure> {
        let fetch = async {
            let query = json!({
                "seq": from,
                "next_by_subj": subject,
                "batch": MESSAGES_AT_ONCE,
                "max_bytes": BYTES_AT_ONCE,
            });
            let mut replies = self.direct(&query).await?;
            let mut entries = Vec::new();
            let range = |entries, whole| Ok(Range { entries, whole });
            loop {
                let message = next(&mut replies).await?;
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

    /// Asks any of the servers for messages, which come one by one.
    async fn direct(&self, query: &Value) -> Result<Subscriber, Failure> {
        let inbox = self.client.new_inbox();
        let replies = self.client.subscribe(inbox.clone()).await.map_err(unknown)?;
        let api = format!("$JS.API.DIRECT.GET.{}", self.stream);
        let query = Bytes::from(query.to_string());
        self.client.publish_with_reply(api, inbox, query).await.map_err(unknown)?;
        Ok(replies)
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

/// The next of the messages that were asked for.
async fn next(replies: &mut Subscriber) -> Result<Message, Failure> {
    let message = futures_util::StreamExt::next(replies).await;
    message.ok_or_else(|| Failure::Unknown("the connection is closed".to_owned()))
}

fn number(message: &Message, header: &str) -> Result<u64, Failure> {
    message
        .headers
        .as_ref()
        .and_then(|headers| headers.get(header))
        .and_then(|number| number.as_str().parse().ok())
        .ok_or_else(|| Failure::Unknown(format!("a message has no {header}")))
}

/// A message that a server gives back.
fn entry(message: &Message) -> Result<Entry, Failure> {
    let sequence = number(message, "Nats-Sequence")?;
    Entry::decode(sequence, message.payload.clone()).map_err(|error| {
        tracing::warn!(sequence, %error, "the stream has a message that is none of a topic's");
        unknown(error)
    })
}
