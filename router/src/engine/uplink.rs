//! Where the packets of a Socket.IO client's WebSocket go.
//!
//! A WebSocket to which a polling session may change belongs to the shard's engine at first:
//! everything goes there as it is. With `5` it is the session's, and what comes behind it are
//! packets as on any other. Nobody has to say so: the shard takes the change or closes.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use trunkline_proto::engine::{Packet, open_packet};
use trunkline_proto::trunk::{Attach, ClientMessage, Dialect};

use crate::connection::close::CloseReason;
use crate::connection::roster::Begins;
use crate::connection::{self, Connection, Incoming, Taken};
use crate::frame;
use crate::worker::Worker;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It may become a session's.
    Probing,
    /// It is a session's.
    Open,
}

pub(crate) struct Uplink {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    state: Cell<State>,
}

impl Uplink {
    /// Begins a connection: a new session's client is told its ID before all else.
    pub(crate) fn begin(
        worker: &Rc<Worker>,
        connection: &Rc<Connection>,
        attach: &Attach,
    ) -> Rc<Self> {
        let state = if attach.upgrade { State::Probing } else { State::Open };
        if state == State::Open
            && let Some(sid) = worker.doorkeeper().seal(&attach.session)
        {
            let open = open_packet(&sid, false, &worker.settings.socketio);
            // An empty queue takes everything.
            let _ = connection.push(&frame::reply(open.as_bytes(), false));
            worker.roster().begin_packets(connection.number, Begins::Here);
        }
        Rc::new(Self {
            worker: Rc::clone(worker),
            connection: Rc::clone(connection),
            state: Cell::new(state),
        })
    }

    /// Passes on what came before the change.
    fn probe(&self, message: Incoming) -> Taken {
        let Incoming { connection, payload, binary, .. } = message;
        let changes = !binary && Packet::decode(&payload) == Ok(Packet::Upgrade);
        let control =
            ClientMessage { connection, sequence: 0, payload, binary, control: true, answered: 0 };
        match self.connection.pass_on(control, Dialect::SocketIo) {
            Taken::Passed { .. } => {}
            other => return other,
        }
        if changes {
            self.state.set(State::Open);
            self.connection.begin_to_speak();
            self.worker.roster().begin_packets(self.connection.number, Begins::Elsewhere);
        }
        Taken::Noted
    }

    fn pass(&self, sequence: u64, payload: Bytes, binary: bool) -> Taken {
        let connection = self.connection.alias();
        let message =
            ClientMessage { connection, sequence, payload, binary, control: false, answered: 0 };
        self.connection.pass_on(message, Dialect::SocketIo)
    }
}

impl connection::Uplink for Uplink {
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.poll_room(cx)
    }

    fn take(&self, message: Incoming) -> Taken {
        if self.state.get() == State::Probing {
            return self.probe(message);
        }
        let Incoming { sequence, payload, binary, .. } = message;
        if binary {
            return self.pass(sequence, payload, true);
        }
        match Packet::decode(&payload) {
            Ok(Packet::Message(text)) => self.pass(sequence, text, false),
            Ok(Packet::Binary(bytes)) => self.pass(sequence, bytes, true),
            Ok(Packet::Pong) => {
                self.connection.hear();
                Taken::Noted
            }
            // They mean nothing here, and the reference says nothing to them.
            Ok(Packet::Open | Packet::Upgrade | Packet::Noop) => Taken::Noted,
            Ok(Packet::Close) => Taken::Refused(CloseReason::DONE),
            // Since protocol 4 it is the server that asks.
            Ok(Packet::Ping(_)) | Err(_) => Taken::Refused(CloseReason::NO_PACKET),
        }
    }

    fn gone(&self, connection: u64) {
        self.connection.gone(connection);
    }
}
