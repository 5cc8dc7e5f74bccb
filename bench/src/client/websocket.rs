//! A client's WebSocket: how it is opened, and how it is written to without waiting.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink as _, SinkExt, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::UNSENT_MAX;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
pub(super) type Sink = SplitSink<Socket, Message>;
pub(super) type Stream = SplitStream<Socket>;

/// Opens a WebSocket to `path` at `url`.
///
/// # Errors
/// When it can't be reached or refuses, in words for people.
pub(super) async fn connect(
    url: &str,
    path: &str,
    subprotocol: Option<&str>,
) -> Result<(Sink, Stream), String> {
    let base = url.trim_end_matches('/');
    let base = base.replacen("http", "ws", usize::from(base.starts_with("http")));
    let uri: Uri = format!("{base}{path}").parse().map_err(|error| format!("{url}: {error}"))?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
    let host = uri.host().ok_or_else(|| format!("{url} names no host"))?;
    let address = (host.trim_matches(['[', ']']), port);
    let stream = TcpStream::connect(address).await.map_err(|error| format!("{url}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut request = ClientRequestBuilder::new(uri);
    if let Some(subprotocol) = subprotocol {
        request = request.with_sub_protocol(subprotocol);
    }
    // The library's own buffers are sized for few and busy connections.
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(UNSENT_MAX);
    match client_async_tls_with_config(request, stream, Some(config), None).await {
        Ok((socket, _)) => Ok(socket.split()),
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            Err(format!("{}: {}", response.status(), String::from_utf8_lossy(body).trim()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Writes at once what the socket takes; the rest stays in the client's buffer and leaves with
/// what it says next. An open loop waits for nobody.
///
/// # Errors
/// If the connection has ended, or too much is unsent, in words for people.
pub(super) fn send(sink: &mut Sink, message: Message) -> Result<(), String> {
    let mut context = Context::from_waker(Waker::noop());
    let mut sink = std::pin::Pin::new(sink);
    match sink.as_mut().poll_ready(&mut context) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => return Err(error.to_string()),
        Poll::Pending => return Err("the server takes nothing more from a client".to_owned()),
    }
    sink.start_send_unpin(message).map_err(|error| error.to_string())?;
    match sink.poll_flush(&mut context) {
        Poll::Ready(Err(error)) => Err(error.to_string()),
        Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
    }
}

/// What comes next.
///
/// # Errors
/// Why the connection has ended, in words for people.
pub(super) async fn next(stream: &mut Stream) -> Result<Bytes, String> {
    loop {
        match stream.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                return Ok(message.into_data());
            }
            Some(Ok(Message::Close(frame))) => {
                return Err(frame.map_or_else(|| "closed".to_owned(), |frame| frame.to_string()));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("the connection has ended".to_owned()),
        }
    }
}

/// Says goodbye.
pub(super) async fn close(sink: &mut Sink) {
    // Who has gone already needs none.
    let _ = SinkExt::close(sink).await;
}
