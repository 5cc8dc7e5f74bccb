//! What servers of an application ask, on whatever way they come: rooms are published to and
//! read, users are sent to and disconnected.
//!
//! A request is checked here, once, for HTTP and gRPC alike. It becomes calls over the worker's
//! own trunks to the shards that own what it is about. Which callers are let in is decided before
//! ([`keys`]); how they speak is for [`crate::http`] and [`grpc`].

mod check;
mod desk;
pub(crate) mod grpc;
pub(crate) mod keys;
pub(crate) mod problem;
mod receiver;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use trunkline_proto::api::{
    DisconnectReply, DisconnectRequest, HistoryReply, HistoryRequest, Message, PresenceReply,
    PresenceRequest, PublishReply, PublishRequest, SendReply, SendRequest,
};
use trunkline_proto::trunk::{api_answer, api_call};

use crate::seat::Seat;
pub(crate) use check::longest_body;
pub(crate) use desk::Desk;
pub(crate) use problem::Problem;
use receiver::Receiver;

/// Messages that one request may have.
pub(crate) const MOST_MESSAGES: usize = 100;
/// How long clients may be waited for.
pub(crate) const LONGEST_ACK: Duration = Duration::from_secs(60);
/// How long a shard may take, besides waiting for clients.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);
/// Requests of one worker at once; one more is told to come again.
const REQUESTS: usize = 1024;

/// A message as it was asked for, or why it could not be read.
pub(crate) type Asked = Result<Message, Problem>;
/// What became of each message, in their order.
pub(crate) type Outcomes<T> = Vec<Result<T, Problem>>;

/// One worker's side of the interface.
pub(crate) struct Api {
    desk: Desk,
    /// The largest message, in bytes.
    largest: usize,
    requests: Rc<Cell<usize>>,
}

impl Api {
    /// `largest` is what one message may have, in bytes.
    pub(crate) fn new(desk: Desk, largest: usize) -> Self {
        Self { desk, largest, requests: Rc::default() }
    }

    /// A place for another request.
    ///
    /// # Errors
    /// `unavailable` when there are as many as may be.
    pub(crate) fn seat(&self) -> Result<Seat, Problem> {
        Seat::take_one_of(&self.requests, REQUESTS).ok_or_else(Problem::busy)
    }

    /// Publishes messages to a room. All are on their way before the first is waited for.
    ///
    /// # Errors
    /// A [`Problem`] of the request as a whole; nothing was published then.
    pub(crate) async fn publish(
        &self,
        namespace: &str,
        room: &str,
        messages: Vec<Asked>,
    ) -> Result<Outcomes<PublishReply>, Problem> {
        check::count(messages.len())?;
        let namespace = check::namespace(namespace)?;
        check::room(room)?;
        let shard = self.desk.owner_of_room(&namespace, room);
        let calls: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let message = check::for_room(message?, self.largest)?;
                let wait = ANSWER + Duration::from_millis(message.ack_timeout_ms.into());
                let (namespace, room) = (namespace.clone(), room.to_owned());
                let request = PublishRequest { namespace, room, message: Some(message) };
                self.desk.ask(shard, api_call::What::Publish(request), wait)
            })
            .collect();
        let outcomes = calls.into_iter().map(|call| async {
            match call?.answer().await? {
                api_answer::What::Publish(reply) => Ok(reply),
                other => Err(Problem::unexpected(other)),
            }
        });
        Ok(join_all(outcomes).await)
    }

    /// Sends private messages to a user or a session. All are on their way before the first is
    /// waited for.
    ///
    /// # Errors
    /// A [`Problem`] of the request as a whole; nothing was sent then.
    pub(crate) async fn send(
        &self,
        to: &str,
        messages: Vec<Asked>,
    ) -> Result<Outcomes<SendReply>, Problem> {
        check::count(messages.len())?;
        let shard = match Receiver::read(to)? {
            Receiver::User => self.desk.owner_of_user(to),
            Receiver::Session(digest) => self.desk.owner_of(digest),
        };
        let calls: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let message = check::for_receiver(message?, self.largest)?;
                let request = SendRequest { to: to.to_owned(), message: Some(message) };
                self.desk.ask(shard, api_call::What::Send(request), ANSWER)
            })
            .collect();
        let outcomes = calls.into_iter().map(|call| async {
            match call?.answer().await? {
                api_answer::What::Send(reply) => Ok(reply),
                other => Err(Problem::unexpected(other)),
            }
        });
        Ok(join_all(outcomes).await)
    }

    /// What a room has kept.
    ///
    /// # Errors
    /// A [`Problem`].
    pub(crate) async fn history(
        &self,
        mut request: HistoryRequest,
    ) -> Result<HistoryReply, Problem> {
        request.namespace = check::namespace(&request.namespace)?;
        check::room(&request.room)?;
        request.limit = check::limit(request.limit, 100)?;
        let shard = self.desk.owner_of_room(&request.namespace, &request.room);
        let call = self.desk.ask(shard, api_call::What::History(request), ANSWER)?;
        match call.answer().await? {
            api_answer::What::History(reply) => Ok(reply),
            other => Err(Problem::unexpected(other)),
        }
    }

    /// Who is in a room.
    ///
    /// # Errors
    /// A [`Problem`].
    pub(crate) async fn presence(
        &self,
        mut request: PresenceRequest,
    ) -> Result<PresenceReply, Problem> {
        request.namespace = check::namespace(&request.namespace)?;
        check::room(&request.room)?;
        check::after(&request.after)?;
        request.limit = check::limit(request.limit, 1000)?;
        let shard = self.desk.owner_of_room(&request.namespace, &request.room);
        let call = self.desk.ask(shard, api_call::What::Presence(request), ANSWER)?;
        match call.answer().await? {
            api_answer::What::Presence(reply) => Ok(reply),
            other => Err(Problem::unexpected(other)),
        }
    }

    /// Ends all connections of a user.
    ///
    /// # Errors
    /// A [`Problem`].
    pub(crate) async fn disconnect(
        &self,
        request: DisconnectRequest,
    ) -> Result<DisconnectReply, Problem> {
        check::user("the user", &request.user)?;
        let shard = self.desk.owner_of_user(&request.user);
        let call = self.desk.ask(shard, api_call::What::Disconnect(request), ANSWER)?;
        match call.answer().await? {
            api_answer::What::Disconnect(reply) => Ok(reply),
            other => Err(Problem::unexpected(other)),
        }
    }
}
