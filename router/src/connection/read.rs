//! Reading a client's frames: tungstenite's protocol layer over whatever bytes are there.
//!
//! tungstenite checks the frames, joins fragments and answers pings and closes (RFC 6455 §5 and
//! §7); what it wants to write goes into the out-queue like every other frame, so that the order
//! on the wire is the order of the queue.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tungstenite::Message;
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::State;
use super::boundary::Boundary;
use super::close::CloseReason;

/// Read at a time. A message's own length is read on top.
const READ_BUFFER: usize = 1024;
/// How many readers a worker keeps. One is enough unless messages come in pieces.
const IDLE_READERS: usize = 8;
/// A payload beyond this makes the reader's memory worth giving back.
const SWOLLEN: u64 = 4 * READ_BUFFER as u64;

/// What reading led to.
pub(super) enum Event {
    /// The socket has nothing more; the task will be woken.
    Pending,
    Message {
        payload: Bytes,
        binary: bool,
    },
    /// A ping, whose answer is queued, or a pong.
    Control,
    /// The client's Close, whose echo is queued.
    Closed(u16),
    /// The client broke the protocol or a limit.
    Broken(CloseReason),
    /// The socket is gone.
    Lost,
}

/// What a connection keeps of its reading. Between messages that is nothing but the limit: what
/// reads is the worker's, and one for all.
pub(super) struct Reading {
    /// A message has begun that has not ended.
    begun: Option<Box<Reader>>,
    /// The largest message.
    message: usize,
}

impl Reading {
    /// `early` is what came right behind the upgrade request; `message` the largest message.
    pub(super) fn new(early: &[u8], message: usize) -> Self {
        let begun = (!early.is_empty()).then(|| Box::new(Reader::new(early, message)));
        Self { begun, message }
    }

    /// Reads one message or control frame, and tells whether anything came.
    pub(super) fn poll(
        &mut self,
        state: &mut State,
        readers: &Readers,
        cx: &mut Context<'_>,
    ) -> (Event, bool) {
        let mut reader = self.begun.take().unwrap_or_else(|| readers.take(self.message));
        let (event, heard) = reader.poll(state, cx);
        if matches!(event, Event::Pending) && reader.boundary.is_between_messages() {
            readers.give_back(reader);
        } else {
            self.begun = Some(reader);
        }
        (event, heard)
    }
}

/// Readers between two messages, which any connection of the worker may take.
#[derive(Default)]
pub(super) struct Readers {
    #[allow(clippy::vec_box)] // they are large, and go from hand to hand with every message
    idle: RefCell<Vec<Box<Reader>>>,
}

impl Readers {
    fn take(&self, message: usize) -> Box<Reader> {
        match self.idle.borrow_mut().pop() {
            Some(mut reader) => {
                reader.limit(message);
                reader
            }
            None => Box::new(Reader::new(&[], message)),
        }
    }

    fn give_back(&self, reader: Box<Reader>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_READERS && !reader.spent {
            idle.push(reader);
        }
    }
}

/// Half-read frames and messages.
struct Reader {
    context: WebSocketContext,
    boundary: Boundary,
    message: usize,
    /// Its memory should be given back: a frame was large, or it began with early bytes, after which
    /// tungstenite reads by the piece.
    spent: bool,
}

impl Reader {
    fn new(early: &[u8], message: usize) -> Self {
        let mut boundary = Boundary::default();
        boundary.follow(early);
        let spent = !early.is_empty();
        Self { context: context(early, message), boundary, message, spent }
    }

    fn limit(&mut self, message: usize) {
        if self.message != message {
            self.message = message;
            self.context.set_config(|config| {
                config.max_message_size = Some(message);
                config.max_frame_size = Some(message);
            });
        }
    }

    fn poll(&mut self, state: &mut State, cx: &mut Context<'_>) -> (Event, bool) {
        let mut wire = Wire { state, cx, boundary: &mut self.boundary, heard: false, longest: 0 };
        let event = match self.context.read(&mut wire) {
            Ok(Message::Text(text)) => Event::Message { payload: text.into(), binary: false },
            Ok(Message::Binary(payload)) => Event::Message { payload, binary: true },
            Ok(Message::Close(frame)) => {
                // Queues the echo; tungstenite then says that the WebSocket is closed.
                let _ = self.context.flush(&mut wire);
                Event::Closed(frame.map_or(1005, |frame| frame.code.into()))
            }
            Ok(Message::Ping(_)) => match self.context.flush(&mut wire) {
                Ok(()) => Event::Control,
                Err(_) => Event::Lost,
            },
            Ok(Message::Pong(_) | Message::Frame(_)) => Event::Control,
            Err(error) => event(error),
        };
        let Wire { heard, longest, .. } = wire;
        self.spent |= longest > SWOLLEN;
        (event, heard)
    }
}

fn context(early: &[u8], message: usize) -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
        .accept_unmasked_frames(false);
    if early.is_empty() {
        // Its buffer is always made anew in full. One that begins with early bytes is made anew for a
        // header and then for a payload, each of which is a read of its own.
        return WebSocketContext::new(Role::Server, Some(config));
    }
    WebSocketContext::from_partially_read(early.to_vec(), Role::Server, Some(config))
}

fn event(error: Error) -> Event {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Event::Pending,
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Event::Broken(CloseReason::TOO_LARGE)
        }
        Error::Utf8(_) => Event::Broken(CloseReason::NOT_UTF8),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Event::Lost,
        Error::Protocol(_) => Event::Broken(CloseReason::PROTOCOL),
        _ => Event::Lost,
    }
}

/// The socket as tungstenite sees it: reads never block, and writes are queued.
struct Wire<'a, 'b> {
    state: &'a mut State,
    cx: &'a mut Context<'b>,
    boundary: &'a mut Boundary,
    heard: bool,
    longest: u64,
}

impl Read for Wire<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(socket) = &mut self.state.socket else { return Ok(0) };
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(socket).poll_read(self.cx, &mut buffer) {
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(outcome) => {
                outcome?;
                self.heard = true;
                self.longest = self.longest.max(self.boundary.follow(buffer.filled()));
                Ok(buffer.filled().len())
            }
        }
    }
}

impl Write for Wire<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.state.queue.push_control(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket to which one message after the other comes.
    struct OneByOne {
        messages: Vec<Vec<u8>>,
        reads: usize,
    }

    impl Read for OneByOne {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(message) = self.messages.first_mut() else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            self.reads += 1;
            let count = message.len().min(buffer.len());
            buffer[..count].copy_from_slice(&message[..count]);
            message.drain(..count);
            if message.is_empty() {
                self.messages.remove(0);
            }
            Ok(count)
        }
    }

    impl Write for OneByOne {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_is_read_at_once_though_those_before_it_are_kept() {
        // A final text of 100 bytes, masked with nought (RFC 6455 §5.2).
        let message = [&[0x81, 0x80 | 100, 0, 0, 0, 0][..], &[b'x'; 100]].concat();
        let mut socket = OneByOne { messages: vec![message; 100], reads: 0 };
        let mut context = context(&[], 1 << 20);
        let mut kept = Vec::new();
        while let Ok(message) = context.read(&mut socket) {
            kept.push(message);
        }
        assert_eq!(kept.len(), 100);
        // Now and then one reaches from one buffer into the next.
        assert!(socket.reads <= 125, "{} reads", socket.reads);
    }
}
