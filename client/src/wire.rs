//! The connection below [`Client`](crate::Client): frame by frame, in one order.
//!
//! It matches no replies and keeps no state; it answers pings, as the WebSocket library does that
//! whenever something is read.

use std::fmt;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::{Closed, ConnectError, Incoming, Options, WireError};

/// A byte stream to the server: TCP, or TLS or a simulated network that the program brings.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// A connection on which anything can be sent, and everything is seen in the order of arrival.
pub struct Wire {
    socket: Socket,
    deadline: Duration,
    ended: Option<Closed>,
}

impl Wire {
    /// Connects over TCP. The server's `welcome` has yet to be read.
    ///
    /// # Errors
    /// When the address is none, can't be reached or refuses, or the deadline passes.
    pub async fn connect(options: &Options) -> Result<Self, ConnectError> {
        let address = options.address()?;
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            // Requests are small and waited for; Nagle's algorithm would hold them back.
            stream.set_nodelay(true)?;
            Self::upgrade(stream, options).await
        };
        let timed_out = |_| ConnectError::Timeout(options.deadline);
        timeout(options.deadline, connect).await.map_err(timed_out)?
    }

    /// Connects over a stream that is open to the server of the options' URL.
    ///
    /// # Errors
    /// When the server refuses, or the deadline passes.
    pub async fn over(stream: impl Stream, options: &Options) -> Result<Self, ConnectError> {
        let timed_out = |_| ConnectError::Timeout(options.deadline);
        timeout(options.deadline, Self::upgrade(stream, options)).await.map_err(timed_out)?
    }

    async fn upgrade(stream: impl Stream, options: &Options) -> Result<Self, ConnectError> {
        // The library's own buffers are sized for few and busy connections; load tools open many.
        let config = WebSocketConfig::default()
            .read_buffer_size(8 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(16 << 20)
            .max_message_size(Some(options.max_message_bytes))
            .max_frame_size(Some(options.max_message_bytes));
        let stream: Box<dyn Stream> = Box::new(stream);
        match client_async_with_config(options.upgrade()?, stream, Some(config)).await {
            Ok((socket, _)) => Ok(Self { socket, deadline: options.deadline, ended: None }),
            Err(tungstenite::Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                let message = String::from_utf8_lossy(&body.unwrap_or_default()).trim().to_owned();
                Err(ConnectError::Refused { status: parts.status, message })
            }
            Err(tungstenite::Error::Io(error)) => Err(ConnectError::Io(error)),
            Err(error) => Err(ConnectError::Handshake(Box::new(error))),
        }
    }

    /// Sends any WebSocket message, those that the protocol forbids too.
    ///
    /// # Errors
    /// When the connection has ended, or takes nothing within the deadline.
    pub async fn send(&mut self, message: Message) -> Result<(), WireError> {
        if let Some(closed) = &self.ended {
            return Err(closed.clone().into());
        }
        match timeout(self.deadline, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            // The server's close frame, which says more, may have come: it is still to be read.
            Ok(Err(error)) => Err(Closed::broken(error.to_string()).into()),
            Err(_) => Err(WireError::Timeout(self.deadline)),
        }
    }

    /// Sends text, be it JSON or not.
    ///
    /// # Errors
    /// As of [`Wire::send`].
    pub async fn send_text(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), WireError> {
        self.send(Message::Text(text.into())).await
    }

    /// Sends an object as JSON.
    ///
    /// # Errors
    /// As of [`Wire::send`], and when it can't be JSON.
    pub async fn send_json<T: Serialize + ?Sized>(&mut self, object: &T) -> Result<(), WireError> {
        let text = serde_json::to_string(object).map_err(WireError::Encode)?;
        self.send_text(text).await
    }

    /// The next WebSocket message but the close frame, which ends the connection.
    ///
    /// # Errors
    /// When the connection has ended, or nothing comes within the deadline. After the latter one
    /// may go on.
    pub async fn next_message(&mut self) -> Result<Message, WireError> {
        if let Some(closed) = &self.ended {
            return Err(closed.clone().into());
        }
        match timeout(self.deadline, receive(&mut self.socket)).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(closed)) => {
                self.ended = Some(closed.clone());
                Err(closed.into())
            }
            Err(_) => Err(WireError::Timeout(self.deadline)),
        }
    }

    /// The next text, passing over pings, pongs and binary messages.
    ///
    /// # Errors
    /// As of [`Wire::next_message`].
    pub async fn next_text(&mut self) -> Result<Utf8Bytes, WireError> {
        loop {
            if let Message::Text(text) = self.next_message().await? {
                return Ok(text);
            }
        }
    }

    /// The next object of the server as plain JSON.
    ///
    /// # Errors
    /// As of [`Wire::next_message`], and when it is not JSON.
    pub async fn next_json(&mut self) -> Result<serde_json::Value, WireError> {
        let text = self.next_text().await?;
        Ok(serde_json::from_str(&text).map_err(crate::Malformed::from)?)
    }

    /// The next object of the server, decoded.
    ///
    /// # Errors
    /// As of [`Wire::next_message`], and when it is not as the protocol says.
    pub async fn next(&mut self) -> Result<Incoming, WireError> {
        let text = self.next_text().await?;
        Ok(Incoming::decode(&text)?)
    }

    /// Reads past all that still comes, until the server closes the connection.
    ///
    /// # Errors
    /// When nothing comes within the deadline.
    pub async fn closed(&mut self) -> Result<Closed, WireError> {
        loop {
            match self.next_message().await {
                Ok(_) => {}
                Err(WireError::Closed(closed)) => return Ok(closed),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says goodbye with 1000 and waits for the server's own.
    ///
    /// # Errors
    /// As of [`Wire::send`] and [`Wire::closed`].
    pub async fn close(mut self) -> Result<Closed, WireError> {
        self.send(Message::Close(Some(goodbye()))).await?;
        self.closed().await
    }

    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Wire").field("ended", &self.ended).finish_non_exhaustive()
    }
}

pub(crate) fn goodbye() -> tungstenite::protocol::CloseFrame {
    tungstenite::protocol::CloseFrame {
        code: tungstenite::protocol::frame::coding::CloseCode::Normal,
        reason: Utf8Bytes::default(),
    }
}

/// The next message but the close frame, which is answered (RFC 6455 §5.5.1) and ends it.
pub(crate) async fn receive<S>(socket: &mut S) -> Result<Message, Closed>
where
    S: futures_util::Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
{
    match socket.next().await {
        Some(Ok(Message::Close(frame))) => {
            // The library writes its answer when it is read from again. There is nothing more to
            // come, so it is not waited for.
            let _ = socket.next().now_or_never();
            Err(Closed::by_frame(frame))
        }
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(Closed::broken(error.to_string())),
        None => Err(Closed::broken("the connection has ended")),
    }
}
