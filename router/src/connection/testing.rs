//! Connections over a pipe, or another socket that is none, for unit tests.

use std::rc::Rc;
use std::task::{Context, Poll};

use prometheus::Registry;
use tokio::io::{DuplexStream, duplex};
use trunkline_proto::out_queue::Bounds;
use trunkline_proto::trunk::Dialect;

use super::{Connection, Shared};
use crate::metrics::Metrics;
use crate::net::Socket;

impl Socket for DuplexStream {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A connection and the client's end of its socket.
pub(crate) fn connection(number: u64) -> (Rc<Connection>, DuplexStream) {
    let (client, server) = duplex(1024);
    (connection_over(number, Box::new(server)), client)
}

/// A connection whose socket is this.
pub(crate) fn connection_over(number: u64, socket: Box<dyn Socket>) -> Rc<Connection> {
    let metrics = Rc::new(Metrics::register(&Registry::new()).expect("registers"));
    let shared = Rc::new(Shared::new(metrics));
    let bounds = Bounds { messages: 1000, replies: 4000 };
    Rc::new(Connection::new(number, Dialect::Native, socket, bounds, 100, shared))
}
