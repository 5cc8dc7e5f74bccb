//! The sockets where a router listens: new ones, or those of a router before.

use std::io;
use std::net::{SocketAddr, TcpListener};

use trunkline_config::Settings;

use super::error::{StartError, refused};
use crate::api::grpc::{self, ListenError};
use crate::net;
use crate::tls::Certificates;

/// Listening sockets, as one router hands them to the next.
#[derive(Debug)]
pub struct Listeners {
    /// Where clients connect: one or more, all at the same address.
    pub clients: Vec<TcpListener>,
    /// Where servers of the application call over gRPC.
    pub api: Option<TcpListener>,
}

/// The sockets where clients connect: those that are taken over, or one for each worker.
pub(super) fn listen_for_clients(
    wanted: SocketAddr,
    taken: Option<Vec<TcpListener>>,
    workers: usize,
) -> Result<Vec<TcpListener>, StartError> {
    let failed = |source| refused(wanted, source);
    if let Some(taken) = taken {
        for listener in &taken {
            is_at(listener, wanted)?;
        }
        return Ok(taken);
    }
    let address = net::probe(wanted).map_err(failed)?;
    let listeners = (0..workers).map(|_| net::listen(address));
    listeners.collect::<io::Result<_>>().map_err(failed)
}

/// The socket where servers of the application call over gRPC, if they may: the one that is taken
/// over, if there is one.
pub(super) fn listen_for_callers(
    settings: &Settings,
    certificates: Option<&Certificates>,
    taken: Option<TcpListener>,
) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = settings.api.grpc else { return Ok(None) };
    grpc::check(address, &settings.api.keys, certificates.is_some())?;
    if let Some(taken) = taken {
        is_at(&taken, address)?;
        return Ok(Some(taken));
    }
    let failed = |source| ListenError::Listen { address, source };
    let listener = net::listen_alone(address).map_err(failed)?;
    tracing::info!(address = %listener.local_addr().map_err(failed)?,
        "the interface over gRPC listens");
    Ok(Some(listener))
}

/// Whether a socket that is taken over is at the address that is wanted; port 0 is any.
fn is_at(listener: &TcpListener, wanted: SocketAddr) -> Result<(), StartError> {
    let failed = |source| refused(wanted, source);
    let found = listener.local_addr().map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let is_same = found.ip() == wanted.ip() && [0, found.port()].contains(&wanted.port());
    if is_same { Ok(()) } else { Err(StartError::OtherAddress { found, wanted }) }
}

/// The same sockets once more.
pub(super) fn copies(clients: &[TcpListener], api: Option<&TcpListener>) -> io::Result<Listeners> {
    let clients = clients.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
    Ok(Listeners { clients, api: api.map(TcpListener::try_clone).transpose()? })
}
