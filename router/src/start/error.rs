//! What can be wrong when a router starts.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use trunkline_proto::token::KeyError;
use trunkline_proto::transport::SecurityError;

use crate::api::grpc::ListenError;
use crate::tls::CertificateError;

/// Why a router does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Someone else listens there.
    #[error("port {} is in use on {}; choose another with router.listen", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    /// The address can't be listened at.
    #[error("cannot listen at {address}: {source}; correct router.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate of `wss`.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The file of `socketio.client`.
    #[error("cannot read {}: {source}; correct socketio.client", path.display())]
    Client {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The TLS library.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The key of `auth.jwt`.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The interface over gRPC.
    #[error(transparent)]
    Api(#[from] ListenError),
    /// What secures the trunks.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The registry has metrics of these names already.
    #[error("cannot register the router's metrics: {0}; give each router a registry of its own")]
    Metrics(#[from] prometheus::Error),
    /// The sockets that are taken over are others than are wanted.
    #[error(
        "the running router listens at {found}, not at {wanted}; end it, or put its address back into router.listen"
    )]
    OtherAddress {
        /// Where the sockets listen.
        found: SocketAddr,
        /// Where they should.
        wanted: SocketAddr,
    },
    /// A thread can't be started.
    #[error("cannot start a worker's thread: {0}")]
    Thread(io::Error),
}

/// What is wrong when an address can't be listened at.
pub(super) fn refused(address: SocketAddr, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::AddrInUse {
        StartError::PortInUse(address)
    } else {
        StartError::Listen { address, source }
    }
}
