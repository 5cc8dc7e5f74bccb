//! One client's socket: how it is opened, and its two halves.

use futures_util::StreamExt;
use futures_util::stream::{SplitSink, SplitStream};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
/// What the client says goes here.
pub(crate) type Sink = SplitSink<Socket, Message>;
/// What the client hears comes from here.
pub(crate) type Stream = SplitStream<Socket>;

/// What one client may have unsent: a server that takes nothing is not fed for ever.
const UNSENT_MAX: usize = 1 << 20;

/// Opens a WebSocket to `path` at `url`.
///
/// # Errors
/// When it can't be reached or refuses, in words for people.
pub(crate) async fn connect(
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
