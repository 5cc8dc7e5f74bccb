//! Where routers and other shards come in: the shard's only module that names real sockets.

use std::io;
use std::pin::Pin;

use futures_util::{Stream, TryStreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;

/// The sockets of routers and other shards as they come in.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = io::Result<TcpStream>> + Send>>;

/// Where routers and other shards come in.
pub(crate) async fn listen(address: &str) -> io::Result<Incoming> {
    let listener = TcpListenerStream::new(TcpListener::bind(address).await?);
    // Batches are made above, of whatever is ready; Nagle's algorithm would hold each back until
    // the one before is acknowledged, and the other side delays its acknowledgements. tonic sets
    // this only on sockets of listeners of its own.
    Ok(Box::pin(listener.and_then(|socket| async move {
        socket.set_nodelay(true)?;
        Ok(socket)
    })))
}
