//! Accepting clients, and TLS.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Worker;
use crate::http;
use crate::net::{Early, Listener, Socket};
use crate::seat::Seat;

/// The pause after a failed accept: what it failed for, such as no free file descriptor, lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts for ever.
pub(super) async fn accept(worker: &Rc<Worker>, mut listener: impl Listener) -> Infallible {
    let mut reported = false;
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                reported = false;
                match worker.seat() {
                    Some(seat) => {
                        spawn_local(serve(Rc::clone(worker), socket, peer, seat));
                    }
                    // There is no room to even say so.
                    None => worker.metrics.handshake_failed("full"),
                }
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                worker.metrics.handshake_failed("accept");
                // Once, not ten times a second for as long as it lasts.
                if !std::mem::replace(&mut reported, true) {
                    tracing::warn!(%error, "cannot accept clients; if files run out, raise `ulimit -n`");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether only one client is affected: it was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
    )
}

/// Serves a socket from its first byte on. Many may come at once and take their time to send it,
/// so that until then there is nothing but the socket: what HTTP and TLS need is many times that.
async fn serve(worker: Rc<Worker>, socket: Box<dyn Socket>, peer: SocketAddr, seat: Seat) {
    let socket = match timeout(worker.settings.limits.header_timeout, Early::read(socket)).await {
        Ok(Ok(socket)) => socket,
        // A client that hangs up is nothing to report.
        Ok(Err(_)) => return,
        Err(_) => return worker.metrics.handshake_failed("timeout"),
    };
    match worker.tls.clone() {
        None => Box::pin(http::serve(worker, socket, peer, seat)).await,
        Some(tls) => Box::pin(serve_tls(worker, tls, socket, peer, seat)).await,
    }
}

async fn serve_tls(
    worker: Rc<Worker>,
    tls: TlsAcceptor,
    socket: Early,
    peer: SocketAddr,
    seat: Seat,
) {
    match timeout(worker.settings.limits.header_timeout, tls.accept(socket)).await {
        Ok(Ok(socket)) => {
            http::serve(worker, Early::nothing(Box::new(socket)), peer, seat).await;
        }
        Ok(Err(error)) => {
            worker.metrics.handshake_failed("tls");
            tracing::debug!(%peer, %error, "no TLS");
        }
        Err(_) => worker.metrics.handshake_failed("timeout"),
    }
}
