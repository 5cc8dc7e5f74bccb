//! The task that owns a client's socket: it reads and writes side by side until either ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::pending::Pending;
use crate::wire::{Socket, goodbye, receive};
use crate::{CloseCode, Closed, Event, Incoming, RequestError};

/// What the handles ask of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Send(String),
    Close,
}

pub(crate) struct Driver {
    pub(crate) socket: Socket,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) deadline: Duration,
}

impl Driver {
    /// Runs until the connection ends, or the last handle is dropped.
    pub(crate) async fn run(self) {
        let Self { socket, commands, events, pending, deadline } = self;
        let (sink, stream) = socket.split();
        let closed = tokio::select! {
            biased;
            closed = read(stream, &events, &pending) => closed,
            closed = write(sink, commands, deadline) => closed,
        };
        // Before the events end, so that whoever sees their end finds the reason.
        pending.close(&closed);
    }
}

/// Reads, as long as there is room for another event. Replies are handed over without needing
/// any, but those behind an event that finds none wait with it: there is one order.
async fn read(
    mut stream: SplitStream<Socket>,
    events: &mpsc::Sender<Event>,
    pending: &Pending,
) -> Closed {
    loop {
        let room = match events.try_reserve() {
            Ok(room) => Some(room),
            Err(TrySendError::Full(())) => {
                pending.set_stalled(true);
                let room = events.reserve().await;
                pending.set_stalled(false);
                room.ok()
            }
            // Who dropped the events doesn't want them; the requests go on.
            Err(TrySendError::Closed(())) => None,
        };
        let event = loop {
            let text = match receive(&mut stream).await {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(closed) => return closed,
            };
            match Incoming::decode(&text) {
                Ok(Incoming::Ok { id, reply }) => pending.resolve(id, Ok(reply)),
                Ok(Incoming::Error { id: Some(id), code, message }) => {
                    pending.resolve(id, Err(RequestError::Refused { code, message }));
                }
                Ok(Incoming::Error { id: None, code, message }) => {
                    break Event::Refused { code, message };
                }
                Ok(Incoming::Event(event)) => break event,
                Ok(Incoming::Welcome(_) | Incoming::Unknown(_)) => {}
                Err(malformed) => {
                    let code = CloseCode::PROTOCOL;
                    return Closed { code, reason: malformed.0.to_string() };
                }
            }
        };
        if let Some(room) = room {
            room.send(event);
        }
    }
}

/// Writes what the handles ask for. After the goodbye the reading side has one deadline to see
/// the server's.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut commands: mpsc::Receiver<Command>,
    deadline: Duration,
) -> Closed {
    loop {
        let (message, last) = match commands.recv().await {
            Some(Command::Send(text)) => (Message::Text(text.into()), false),
            Some(Command::Close) | None => (Message::Close(Some(goodbye())), true),
        };
        match timeout(deadline, sink.send(message)).await {
            Ok(Ok(())) if last => {
                sleep(deadline).await;
                return Closed::broken("the server didn't answer the goodbye");
            }
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                // The server's own close frame may be what stopped it: let the reader find it.
                sleep(deadline).await;
                return Closed::broken(error.to_string());
            }
            Err(_) => return Closed::broken("the server takes nothing"),
        }
    }
}
