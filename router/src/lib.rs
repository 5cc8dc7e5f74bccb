//! Owns the client sockets and carries them to shards.
//!
//! socket → connection → trunk → shard → trunk → fan-out → socket. A router ends TLS and
//! WebSocket, checks tokens and limits, keeps heartbeats, and finds the shard of each
//! connection's key. It knows no rooms and reads no messages; losing one loses only sockets.
//!
//! One thread per core, each a `worker` with its own listener, connections and trunks.

mod api;
mod connection;
mod engine;
mod frame;
mod handshake;
mod http;
mod metrics;
mod net;
mod pace;
mod phase;
mod seat;
mod start;
mod tls;
mod trunk;
mod worker;

pub use api::grpc::ListenError;
pub use net::{Listener, Socket};
pub use start::{Listeners, Router, RouterOptions, StartError};
pub use tls::CertificateError;
