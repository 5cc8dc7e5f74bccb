//! Calls of the application's servers, and the answers to them.
//!
//! A router has checked what is asked, but it does not read arguments: those that make no sense
//! are the caller's mistake and answered, while everything else that makes no sense is the
//! router's and ends its trunk.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use trunkline_core::{
    Action, ApiCall, ApiCallId, ApiProblem, Attachment, Body, Gathered, Input, Member, Namespace,
    Record, Reply, RoomId, SessionId, Topic, TrunkId, arguments_to_json_array,
};
use trunkline_proto::{api, trunk as wire};

use super::BadItem;
use super::topic::{session, user};
use super::trunk::TrunkItem;

/// Who asks where nobody is named.
const NOBODY: &str = "server";

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It is for the core.
    Core(Input),
    /// It is answered at once.
    Answered(TrunkItem),
}

/// Reads a router's call.
pub(crate) fn decode_api(trunk: TrunkId, call: wire::ApiCall) -> Result<Asked, BadItem> {
    use wire::api_call::What;
    let wire::ApiCall { request: number, session: id, what } = call;
    let call = ApiCallId(number);
    let (from, request) = match what.ok_or(BadItem("call"))? {
        What::Publish(api::PublishRequest { namespace, room, message }) => {
            let topic = room_topic(&namespace, &room)?;
            let message = message.ok_or(BadItem("message"))?;
            let from = message.from.clone();
            let timeout = Duration::from_millis(message.ack_timeout_ms.into());
            let content = match content(message) {
                Ok(content) => content,
                Err(problem) => return Ok(Asked::Answered(encode_answer(call, Err(problem)))),
            };
            let action = if timeout.is_zero() {
                content.publish()
            } else {
                Action::Gather { body: content.body, timeout }
            };
            (from, ApiCall::Topic(topic, action))
        }
        What::Send(api::SendRequest { to, message }) => {
            let message = message.ok_or(BadItem("message"))?;
            let from = message.from.clone();
            let content = match content(message) {
                Ok(content) => content,
                Err(problem) => return Ok(Asked::Answered(encode_answer(call, Err(problem)))),
            };
            (from, content.send(&to)?)
        }
        What::History(request) => {
            let api::HistoryRequest { namespace, room, after, before, limit } = request;
            let limit = usize::try_from(limit).map_err(|_| BadItem("limit"))?;
            let action = Action::History { after, before, limit };
            (String::new(), ApiCall::Topic(room_topic(&namespace, &room)?, action))
        }
        What::Presence(request) => {
            let api::PresenceRequest { namespace, room, after, limit } = request;
            let after = if after.is_empty() { None } else { Some(user(&after)?) };
            let limit = usize::try_from(limit).map_err(|_| BadItem("limit"))?;
            let action = Action::Presence { after, limit };
            (String::new(), ApiCall::Topic(room_topic(&namespace, &room)?, action))
        }
        What::Disconnect(api::DisconnectRequest { user: name }) => {
            let topic = Topic::Inbox(user(&name)?);
            (String::new(), ApiCall::Topic(topic, Action::Disconnect))
        }
    };
    let from = if from.is_empty() { NOBODY } else { &from };
    let attachment = Attachment::default();
    let member = Member { session: session(&id)?, user: user(from)?, attachment };
    Ok(Asked::Core(Input::Api { trunk, call, member, request }))
}

fn room_topic(namespace: &str, room: &str) -> Result<Topic, BadItem> {
    let namespace = Namespace::parse(namespace).map_err(|_| BadItem("namespace"))?;
    Ok(Topic::Room(namespace, RoomId::parse(room).map_err(|_| BadItem("room"))?))
}

/// A message whose arguments have been read.
struct Content {
    body: Body,
    key: Option<Arc<str>>,
    ephemeral: bool,
}

fn content(message: api::Message) -> Result<Content, ApiProblem> {
    let api::Message { event, args, from: _, key, ephemeral, ack_timeout_ms: _ } = message;
    let body = Body::from_json_array(&event, &args)
        .map_err(|error| ApiProblem { code: "bad_request", message: error.to_string().into() })?;
    let key = (!key.is_empty()).then(|| Arc::from(key));
    Ok(Content { body, key, ephemeral })
}

impl Content {
    fn publish(self) -> Action {
        let Self { body, key, ephemeral } = self;
        Action::Publish { body, key, ephemeral, echo: true }
    }

    fn send(self, to: &str) -> Result<ApiCall, BadItem> {
        if !to.starts_with('~') {
            return Ok(ApiCall::Topic(Topic::Inbox(user(to)?), self.publish()));
        }
        let to = SessionId::parse(to).ok_or(BadItem("session"))?;
        let Self { body, key, ephemeral } = self;
        Ok(ApiCall::Session { to, body, key, ephemeral })
    }
}

/// Writes the answer to a call.
pub(crate) fn encode_answer(call: ApiCallId, answer: Result<Reply, ApiProblem>) -> TrunkItem {
    use wire::api_answer::What;
    let what = match answer {
        Ok(Reply::Published(position)) => What::Publish(api::PublishReply {
            epoch: position.epoch.as_str().to_owned(),
            offset: position.offset,
            acknowledgements: None,
        }),
        Ok(Reply::Ephemeral) => What::Publish(api::PublishReply::default()),
        Ok(Reply::Gathered(gathered)) => What::Publish(api::PublishReply {
            acknowledgements: Some(encode_gathered(&gathered)),
            ..Default::default()
        }),
        Ok(Reply::Sent(status)) => {
            What::Send(api::SendReply { status: status.as_str().to_owned() })
        }
        Ok(Reply::History { epoch, records }) => What::History(api::HistoryReply {
            epoch: epoch.as_str().to_owned(),
            messages: records.iter().map(|record| encode_kept(record)).collect(),
        }),
        Ok(Reply::Presence { users, sure }) => {
            let users = users
                .into_iter()
                .map(|presence| api::UserPresence {
                    user: presence.user.as_str().to_owned(),
                    connections: presence.connections,
                })
                .collect();
            What::Presence(api::PresenceReply { users, sure })
        }
        Ok(Reply::Disconnected(connections)) => {
            What::Disconnect(api::DisconnectReply { connections })
        }
        // Nothing that a server can ask has such an answer.
        Ok(Reply::Joined(_) | Reply::Left | Reply::Recalled(_)) => What::Error(api::Error {
            code: "internal".to_owned(),
            message: "the answer is to something else; report this".to_owned(),
        }),
        Err(ApiProblem { code, message }) => {
            What::Error(api::Error { code: code.to_owned(), message: message.into_owned() })
        }
    };
    let answer = wire::ApiAnswer { request: call.0, what: Some(what) };
    let item = wire::Down { item: Some(wire::down::Item::Api(answer)) };
    let size = item.encoded_len();
    (item, size)
}

fn encode_gathered(gathered: &Gathered) -> api::Acknowledgements {
    let Gathered { responses, asked } = gathered;
    let json =
        |(arguments, attachments): &(_, Vec<_>)| arguments_to_json_array(arguments, attachments);
    api::Acknowledgements { responses: responses.iter().map(json).collect(), asked: *asked }
}

fn encode_kept(record: &Record) -> api::KeptMessage {
    api::KeptMessage {
        offset: record.offset,
        time_ms: record.time_ms,
        from: record.from.as_str().to_owned(),
        event: record.body.event.to_string(),
        args: record.body.to_json_array(),
    }
}

#[cfg(test)]
mod tests;
