//! One client's connection: its two halves, whatever carries them. What is said doesn't wait.

mod polling;
mod websocket;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

use crate::dialect::Dialect;
use crate::entry::Arrival;

/// What one client may have unsent: a server that takes nothing is not fed for ever.
const UNSENT_MAX: usize = 1 << 20;

/// What the client says goes here.
pub struct Sink(Mouth);

/// What the client hears comes from here.
pub struct Stream(Ear);

enum Mouth {
    WebSocket(Box<websocket::Sink>),
    Polling(polling::Sink),
}

enum Ear {
    WebSocket(websocket::Stream),
    Polling(Box<polling::Stream>),
}

/// Connects as the dialect wants it.
///
/// # Errors
/// When no server can be reached, or it refuses, in words for people.
pub(crate) async fn connect(
    arrival: &Arrival<'_>,
    dialect: &mut dyn Dialect,
) -> Result<(Sink, Stream), String> {
    let Arrival { urls, first, speech, identity, .. } = *arrival;
    let path = dialect.path(identity);
    if speech.polls() {
        let (sink, stream) = polling::connect(urls, first, &path).await?;
        Ok((Sink(Mouth::Polling(sink)), Stream(Ear::Polling(Box::new(stream)))))
    } else {
        let url = &urls[first % urls.len()];
        let (sink, stream) = websocket::connect(url, &path, dialect.subprotocol()).await?;
        Ok((Sink(Mouth::WebSocket(Box::new(sink))), Stream(Ear::WebSocket(stream))))
    }
}

impl Sink {
    /// Sends what can be sent at once; the rest leaves as soon as it can, or with what is said
    /// next. An open loop waits for nobody.
    ///
    /// # Errors
    /// If the connection has ended, or too much is unsent, in words for people.
    pub fn send(&mut self, message: Message) -> Result<(), String> {
        match &mut self.0 {
            Mouth::WebSocket(sink) => websocket::send(sink, message),
            Mouth::Polling(sink) => sink.send(message),
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(&mut self) {
        match &mut self.0 {
            Mouth::WebSocket(sink) => websocket::close(sink).await,
            Mouth::Polling(sink) => sink.close().await,
        }
    }
}

impl Stream {
    /// What comes next.
    ///
    /// # Errors
    /// Why the connection has ended, in words for people.
    pub async fn next(&mut self) -> Result<Bytes, String> {
        match &mut self.0 {
            Ear::WebSocket(stream) => websocket::next(stream).await,
            Ear::Polling(stream) => stream.next().await,
        }
    }
}
