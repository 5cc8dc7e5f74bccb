//! The routers' side of the trunks: connections, groups, and what a client gets to see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use trunkline_core::{
    ApiCallId, ApiProblem, Call, ConnectionId, FrameKind, GroupId, Reply, SessionId, TrunkId,
};

use super::log::Kept;

/// One connection of a client; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientId(pub(crate) u64);

/// What can be seen from outside, in the order in which it happened.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) what: Arrival,
}

/// One thing that was seen.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A frame has entered a client's out-queue.
    Frame { client: ClientId, kind: FrameKind, parts: Vec<Value> },
    /// A client's socket was closed from the other side.
    Closed { client: ClientId, code: u16 },
    /// A client's messages up to this one are settled.
    Acknowledged { client: ClientId, sequence: u64 },
    /// A server of the application has its answer.
    Answered { call: ApiCallId, answer: Result<Reply, ApiProblem> },
    /// The application is asked.
    Asked { shard: usize, call: Call },
    /// An event has come for which there is no rule.
    Unhandled,
    /// A store has taken a record.
    Kept(Kept),
    /// A link was cut on purpose.
    Cut { a: usize, b: usize },
    /// Both ends of a link know that it is whole again.
    Whole { a: usize, b: usize },
    /// A shard's process has ended, and its memory with it.
    Crashed { shard: usize },
}

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) trunk: TrunkId,
    pub(crate) session: SessionId,
    /// Messages that it has sent.
    pub(crate) sequence: u64,
    groups: BTreeSet<GroupId>,
}

/// All routers' sockets. A connection's number is the client's, so that it is unique everywhere.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    sockets: BTreeMap<ClientId, Socket>,
    groups: BTreeMap<(TrunkId, GroupId), BTreeSet<ClientId>>,
    made: u64,
}

impl Sockets {
    pub(crate) fn open(&mut self, trunk: TrunkId, session: SessionId) -> ClientId {
        self.made += 1;
        let client = ClientId(self.made);
        let socket = Socket { trunk, session, sequence: 0, groups: BTreeSet::new() };
        self.sockets.insert(client, socket);
        client
    }

    pub(crate) fn get(&self, client: ClientId) -> Option<&Socket> {
        self.sockets.get(&client)
    }

    pub(crate) fn get_mut(&mut self, client: ClientId) -> Option<&mut Socket> {
        self.sockets.get_mut(&client)
    }

    /// A socket is gone, and out of all its groups.
    pub(crate) fn close(&mut self, client: ClientId) -> Option<Socket> {
        let socket = self.sockets.remove(&client)?;
        for group in &socket.groups {
            self.leave(socket.trunk, *group, client);
        }
        Some(socket)
    }

    pub(crate) fn of_trunk(&self, trunk: TrunkId) -> Vec<ClientId> {
        let of_trunk =
            |(client, socket): (&ClientId, &Socket)| (socket.trunk == trunk).then_some(*client);
        self.sockets.iter().filter_map(of_trunk).collect()
    }

    /// The socket that a shard names, if it is still there.
    pub(crate) fn named(&self, connection: ConnectionId) -> Option<ClientId> {
        let client = ClientId(connection.0);
        self.sockets.contains_key(&client).then_some(client)
    }

    pub(crate) fn group(&self, trunk: TrunkId, group: GroupId) -> Vec<ClientId> {
        self.groups.get(&(trunk, group)).into_iter().flatten().copied().collect()
    }

    /// A shard moves a connection into a group, or out of it.
    pub(crate) fn change(&mut self, group: GroupId, connection: ConnectionId, member: bool) {
        let client = ClientId(connection.0);
        let Some(socket) = self.sockets.get_mut(&client) else { return };
        let trunk = socket.trunk;
        if member {
            assert!(socket.groups.insert(group), "a connection enters a group once");
            self.groups.entry((trunk, group)).or_default().insert(client);
        } else {
            assert!(socket.groups.remove(&group), "only who is in a group leaves it");
            self.leave(trunk, group, client);
        }
    }

    fn leave(&mut self, trunk: TrunkId, group: GroupId, client: ClientId) {
        if let Some(members) = self.groups.get_mut(&(trunk, group)) {
            members.remove(&client);
            if members.is_empty() {
                self.groups.remove(&(trunk, group));
            }
        }
    }
}
