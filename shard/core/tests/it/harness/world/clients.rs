//! The routers' work: clients come, speak and go, and get the frames that shards send them.

use bytes::Bytes;
use rand::Rng;
use trunkline_core::{
    ApiCall, ApiCallId, Attach, ConnectionId, Dialect, Frame, FrameKind, Identity, Input, Member,
    Namespace, Output, Part, Position, SessionId, TrunkId, UserId,
};

use super::{On, World};
use crate::harness::network::Way;
use crate::harness::router::{Arrival, ClientId};

/// Who comes: everything that a router tells of a client.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) session: SessionId,
    pub(crate) identity: Identity,
    pub(crate) authenticated: bool,
    pub(crate) dialect: Dialect,
    pub(crate) inbox_after: Option<Position>,
}

impl World {
    /// A client comes through a router. `None` if the router has no trunk to its shard.
    pub(crate) fn connect(&mut self, router: usize, guest: Guest) -> Option<ClientId> {
        let trunk = self.network.trunk((router, self.home_of(&guest.session)))?;
        let client = self.sockets.open(trunk, guest.session);
        let Guest { session, identity, authenticated, dialect, inbox_after } = guest;
        let attach = Attach {
            connection: ConnectionId(client.0),
            session,
            dialect,
            namespace: Namespace::parse("/").expect("a namespace"),
            identity,
            authenticated,
            guest: dialect == Dialect::SocketIo && !authenticated,
            inbox_after,
        };
        self.up(trunk, Input::Attach { trunk, attach });
        Some(client)
    }

    /// A client sends a message. Gives its number.
    pub(crate) fn say(&mut self, client: ClientId, text: &str) -> u64 {
        let socket = self.sockets.get_mut(client).expect("who speaks is connected");
        socket.sequence += 1;
        let (trunk, sequence) = (socket.trunk, socket.sequence);
        self.repeat(client, trunk, sequence, text);
        sequence
    }

    /// A client sends an attachment.
    pub(crate) fn attach(&mut self, client: ClientId, payload: &'static [u8]) {
        let socket = self.sockets.get_mut(client).expect("who speaks is connected");
        socket.sequence += 1;
        let (trunk, sequence) = (socket.trunk, socket.sequence);
        let (connection, payload) = (ConnectionId(client.0), Bytes::from_static(payload));
        self.up(trunk, Input::Message { trunk, connection, sequence, payload, binary: true });
    }

    /// A client changes its connection for another on the same trunk, as one that polled does.
    pub(crate) fn change_connection(&mut self, client: ClientId) -> ClientId {
        // What is on its way to the old one still arrives there.
        let socket = self.sockets.get(client).expect("who changes is connected");
        let (trunk, session) = (socket.trunk, socket.session);
        let next = self.sockets.open(trunk, session);
        let from = (trunk, ConnectionId(client.0));
        self.up(trunk, Input::Move { from, to: (trunk, ConnectionId(next.0)) });
        next
    }

    /// A server of the application asks a shard something.
    pub(crate) fn ask(&mut self, router: usize, shard: usize, call: u64, request: ApiCall) {
        let trunk = self.network.trunk((router, shard)).expect("the trunk is whole");
        let user = UserId::parse("server").expect("a user");
        let member = Member { session: SessionId([9; 24]), user };
        self.up(trunk, Input::Api { trunk, call: ApiCallId(call), member, request });
    }

    /// A router sends a client's message, or sends it again.
    pub(crate) fn repeat(&mut self, client: ClientId, trunk: TrunkId, sequence: u64, text: &str) {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let connection = ConnectionId(client.0);
        self.up(trunk, Input::Message { trunk, connection, sequence, payload, binary: false });
    }

    pub(crate) fn trunk_of(&self, client: ClientId) -> Option<TrunkId> {
        self.sockets.get(client).map(|socket| socket.trunk)
    }

    pub(crate) fn session(&self, client: ClientId) -> Option<SessionId> {
        self.sockets.get(client).map(|socket| socket.session)
    }

    /// A client closes its socket.
    pub(crate) fn disconnect(&mut self, client: ClientId) {
        if let Some(socket) = self.sockets.close(client) {
            let connection = ConnectionId(client.0);
            self.up(socket.trunk, Input::Detach { trunk: socket.trunk, connection });
        }
    }

    /// A router does what a shard says.
    pub(super) fn apply(&mut self, output: Output) {
        match output {
            Output::Send { trunk, connections, frame, receipt } => {
                let mut passed = false;
                for connection in connections {
                    if let Some(client) = self.sockets.named(connection) {
                        passed |= self.queue(client, &frame);
                    }
                }
                if let Some(receipt) = receipt {
                    self.up(trunk, Input::Receipt { trunk, receipt, passed });
                }
            }
            Output::Fan { trunk, group, frame, except } => {
                for client in self.sockets.group(trunk, group) {
                    if except != Some(ConnectionId(client.0)) {
                        self.queue(client, &frame);
                    }
                }
            }
            Output::Group { group, connection, member, .. } => {
                self.sockets.change(group, connection, member);
            }
            Output::Close { connection, code, .. } => {
                if let Some(client) = self.sockets.named(connection) {
                    self.close(client, code.number());
                }
            }
            Output::Acknowledge { connection, sequence, .. } => {
                if let Some(client) = self.sockets.named(connection) {
                    self.see(Arrival::Acknowledged { client, sequence });
                }
            }
            other => panic!("{other:?} is not for a router"),
        }
    }

    /// Puts a frame into a client's out-queue, if there is room.
    fn queue(&mut self, client: ClientId, frame: &Frame) -> bool {
        let full = frame.kind != FrameKind::Reply && self.chance.random_bool(self.plan.no_room);
        if full {
            if frame.kind == FrameKind::Live {
                self.close(client, 1013);
            }
            return false;
        }
        let parse = |part: &Part| match frame.dialect {
            Dialect::Native => serde_json::from_slice(&part.payload).expect("a frame is JSON"),
            Dialect::SocketIo => String::from_utf8_lossy(&part.payload).into(),
        };
        let parts = frame.parts.iter().map(parse).collect();
        self.see(Arrival::Frame { client, kind: frame.kind, parts });
        true
    }

    fn close(&mut self, client: ClientId, code: u16) {
        self.disconnect(client);
        self.see(Arrival::Closed { client, code });
    }

    /// A router's word for a shard.
    pub(super) fn up(&mut self, trunk: TrunkId, input: Input) {
        let Some((_, shard)) = self.network.slot(trunk) else { return };
        let delay = self.draw(&self.plan.trunk.clone());
        let at = self.network.arrival(Way::Up(trunk), self.now + delay);
        self.input(at, shard, On::Trunk(trunk), input);
    }
}
