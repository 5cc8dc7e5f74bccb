//! The typed client: a request is a call.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::driver::{Command, Driver};
use crate::pending::Pending;
use crate::request::Request;
use crate::{
    Body, Closed, ConnectError, Events, History, HistoryQuery, Incoming, Joined, Options, Position,
    Presence, PresenceQuery, Publish, Published, RequestError, SendTo, Sent, Stream, Welcome, Wire,
    WireError,
};

/// Requests that may wait to be written before askers wait, too.
const COMMANDS: usize = 64;

/// A handle to one connection. Clones share it; it closes when the last is dropped.
///
/// Every request may fail with a [`RequestError`]: the server refuses it, the connection ends, or
/// no reply comes within the deadline of the [`Options`]. Requests run concurrently, and are
/// written in the order in which they are first polled.
#[derive(Clone, Debug)]
pub struct Client {
    welcome: Arc<Welcome>,
    commands: mpsc::Sender<Command>,
    pending: Arc<Pending>,
    deadline: Duration,
}

impl Client {
    /// Connects over TCP and waits for the server's welcome. Needs a tokio runtime, on which it
    /// starts a task for the connection.
    ///
    /// # Errors
    /// When there is no connection, or no welcome within the deadline.
    pub async fn connect(options: Options) -> Result<(Self, Events), ConnectError> {
        let wire = Wire::connect(&options).await?;
        Self::welcomed(wire, &options).await
    }

    /// Connects over a stream that is open to the server of the options' URL: a TLS stream, for
    /// instance.
    ///
    /// # Errors
    /// As of [`Client::connect`].
    pub async fn connect_over(
        stream: impl Stream,
        options: Options,
    ) -> Result<(Self, Events), ConnectError> {
        let wire = Wire::over(stream, &options).await?;
        Self::welcomed(wire, &options).await
    }

    async fn welcomed(mut wire: Wire, options: &Options) -> Result<(Self, Events), ConnectError> {
        let welcome = match wire.next().await {
            Ok(Incoming::Welcome(welcome)) => welcome,
            Ok(other) => return Err(ConnectError::NotWelcome(format!("{other:?}"))),
            Err(WireError::Closed(closed)) => return Err(closed.into()),
            Err(WireError::Timeout(deadline)) => return Err(ConnectError::Timeout(deadline)),
            Err(error) => return Err(ConnectError::NotWelcome(error.to_string())),
        };
        let (commands, for_driver) = mpsc::channel(COMMANDS);
        let (events, for_user) = mpsc::channel(options.events);
        let pending = Arc::new(Pending::default());
        let driver = Driver {
            socket: wire.into_socket(),
            commands: for_driver,
            events,
            pending: Arc::clone(&pending),
            deadline: options.deadline,
        };
        tokio::spawn(driver.run());
        let events = Events::new(for_user, Arc::clone(&pending));
        let client =
            Self { welcome: Arc::new(welcome), commands, pending, deadline: options.deadline };
        Ok((client, events))
    }

    /// The session's ID, which begins with `~`; others can [`send`](Self::send) to it.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.welcome.session
    }

    /// Who speaks, as the server has it.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.welcome.user
    }

    /// All that the server said first.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Joins a room. With `after`, what came after that position is sent first, if the server
    /// still has it.
    ///
    /// # Errors
    /// `forbidden`, `too_many_rooms`, or as any request.
    pub async fn join(&self, room: &str, after: Option<Position>) -> Result<Joined, RequestError> {
        self.ask(Request::Join { room, after }).await
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// `not_joined`, or as any request.
    pub async fn leave(&self, room: &str) -> Result<(), RequestError> {
        self.ask::<IgnoredAny>(Request::Leave { room }).await.map(|_| ())
    }

    /// Publishes a value to a room.
    ///
    /// # Errors
    /// `not_joined`, `forbidden`, `rate_limited`, or as any request.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        room: &str,
        event: &str,
        data: &T,
    ) -> Result<Published, RequestError> {
        let body = Body::data(data).map_err(RequestError::Encode)?;
        self.publish_with(Publish::new(room, event, body)).await
    }

    /// Publishes with all that a publish can say.
    ///
    /// # Errors
    /// As of [`Client::publish`].
    pub async fn publish_with(&self, publish: Publish) -> Result<Published, RequestError> {
        self.ask(Request::Publish(publish)).await
    }

    /// Sends a value to a user, or to a session if `to` begins with `~`.
    ///
    /// # Errors
    /// `rate_limited`, or as any request.
    pub async fn send<T: Serialize + ?Sized>(
        &self,
        to: &str,
        event: &str,
        data: &T,
    ) -> Result<Sent, RequestError> {
        let body = Body::data(data).map_err(RequestError::Encode)?;
        self.send_with(SendTo::new(to, event, body)).await
    }

    /// Sends with all that a private message can say.
    ///
    /// # Errors
    /// As of [`Client::send`].
    pub async fn send_with(&self, send: SendTo) -> Result<Sent, RequestError> {
        #[derive(serde::Deserialize)]
        struct Reply {
            status: Sent,
        }
        self.ask(Request::Send(send)).await.map(|Reply { status }| status)
    }

    /// Reads a part of a room's history.
    ///
    /// # Errors
    /// `not_joined`, `forbidden`, or as any request.
    pub async fn history(&self, room: &str, query: HistoryQuery) -> Result<History, RequestError> {
        self.ask(Request::History { room, query }).await
    }

    /// Asks who is in a room.
    ///
    /// # Errors
    /// As any request.
    pub async fn presence(
        &self,
        room: &str,
        query: PresenceQuery,
    ) -> Result<Presence, RequestError> {
        self.ask(Request::Presence { room, query }).await
    }

    /// Renews the right to be connected before the last token ends.
    ///
    /// # Errors
    /// `forbidden`, or as any request.
    pub async fn auth(&self, token: &str) -> Result<(), RequestError> {
        self.ask::<IgnoredAny>(Request::Auth { token }).await.map(|_| ())
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// As any request.
    pub async fn ping(&self) -> Result<(), RequestError> {
        self.ask::<IgnoredAny>(Request::Ping).await.map(|_| ())
    }

    /// Says goodbye, and waits for the connection to end.
    pub async fn close(&self) -> Closed {
        // A driver that takes no command any more has ended, which is what is wanted.
        let _ = self.commands.send(Command::Close).await;
        self.closed().await
    }

    /// Waits until the connection ends, whoever ends it.
    pub async fn closed(&self) -> Closed {
        self.pending.closed().await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, RequestError> {
        let mut ticket = self.pending.begin()?;
        let text = request.encode(ticket.id).map_err(RequestError::Encode)?;
        let asked = async {
            // If the driver is gone, the ticket knows why.
            let _ = self.commands.send(Command::Send(text)).await;
            ticket.reply().await
        };
        match timeout(self.deadline, asked).await {
            Ok(outcome) => serde_json::from_str(&outcome?).map_err(RequestError::Reply),
            Err(_) if self.pending.is_stalled() => Err(RequestError::EventsNotRead(self.deadline)),
            Err(_) => Err(RequestError::Timeout(self.deadline)),
        }
    }
}
