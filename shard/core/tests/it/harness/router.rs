//! The routers' side of the trunks: connections, groups, and what a client gets to see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use trunkline_core::{
    Adoption, Answer, ApiCallId, ApiProblem, Attach, Call, ConnectionId, FrameKind, GroupId, Reply,
    SessionId, SlotPosition, TrunkId,
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
    /// A client's socket was closed from the other side, though there may be a checkpoint of it.
    Closed { client: ClientId, code: u16, kept: bool },
    /// A client's trunk is broken, and its router keeps it.
    Held { client: ClientId },
    /// It has attached it again. What is not settled comes with that in one batch (`at_once`), as
    /// mostly, or after it.
    Attached { client: ClientId, at_once: bool },
    /// A client's messages up to this one are settled.
    Acknowledged { client: ClientId, sequence: u64 },
    /// A server of the application has its answer.
    Answered { call: ApiCallId, answer: Result<Reply, ApiProblem> },
    /// The application is asked.
    Asked { shard: usize, call: Call },
    /// A client has been welcomed for whose session routers were asked.
    Sought { recovered: bool },
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
    /// Its trunk is broken, and it waits for the next.
    pub(crate) is_held: bool,
    pub(crate) router: usize,
    /// How often it was attached again.
    pub(crate) nth: u64,
    pub(crate) session: SessionId,
    /// It was left for another, as one that polls is: routers don't keep such.
    pub(crate) is_left: bool,
    /// Messages that it has sent.
    pub(crate) sequence: u64,
    pub(crate) kept: Keeping,
    groups: BTreeSet<GroupId>,
}

/// What a router keeps of a connection, to attach it again.
#[derive(Debug)]
pub(crate) struct Keeping {
    /// As it was attached first.
    pub(crate) attach: Attach,
    pub(crate) checkpoint: Bytes,
    /// Whether the checkpoint is of this trunk. If not, nothing has come by it, and what was
    /// returned last is returned again.
    pub(crate) is_of_this_trunk: bool,
    /// Whether the shard has said nothing to the connection since.
    pub(crate) is_fresh: bool,
    pub(crate) returned: Vec<Bytes>,
    pub(crate) slots: BTreeMap<u32, Bytes>,
    pub(crate) settled: u64,
    pub(crate) unsettled: Vec<Unsettled>,
}

/// A message of a client that is not settled.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
    pub(crate) binary: bool,
    /// Which parts of the answer to it have entered the out-queue.
    pub(crate) answered: u64,
}

impl Socket {
    /// Its number on its trunk: another each time that it is attached, so that what was said to it
    /// before it was moved away is not taken for new when it comes back.
    pub(crate) fn connection(&self, client: ClientId) -> ConnectionId {
        ConnectionId(client.0 | (self.nth << 32))
    }
}

fn client_of(connection: ConnectionId) -> ClientId {
    ClientId(connection.0 & 0xffff_ffff)
}

impl Keeping {
    pub(crate) fn new(attach: Attach) -> Self {
        Self {
            attach,
            checkpoint: Bytes::new(),
            is_of_this_trunk: false,
            is_fresh: false,
            returned: Vec::new(),
            slots: BTreeMap::new(),
            settled: 0,
            unsettled: Vec::new(),
        }
    }

    /// How the connection is attached again.
    pub(crate) fn adoption(&self) -> Adoption {
        let slot = |(slot, position): (&u32, &Bytes)| SlotPosition {
            slot: *slot,
            position: position.clone(),
        };
        Adoption {
            state: self.checkpoint.clone(),
            positions: self.returned.clone(),
            slots: self.slots.iter().map(slot).collect(),
            settled: self.settled,
        }
    }

    pub(crate) fn settles(&mut self, sequence: u64) {
        self.settled = sequence;
        self.unsettled.retain(|it| it.sequence > sequence);
    }

    pub(crate) fn answers(&mut self, Answer { message, part }: Answer) {
        let answered = self.unsettled.iter_mut().find(|it| it.sequence == message);
        let answered = &mut answered.expect("an answer is to what is not settled").answered;
        assert_eq!(*answered & Answer::bit(part), 0, "a part of an answer is given once");
        *answered |= Answer::bit(part);
    }
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeSet<ClientId>,
    position: Option<Bytes>,
}

/// All routers' sockets. A connection's number is the client's, so that it is unique everywhere.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    sockets: BTreeMap<ClientId, Socket>,
    groups: BTreeMap<(TrunkId, GroupId), Group>,
    made: u64,
}

impl Sockets {
    /// Makes a socket. `attach` is told the connection's number.
    pub(crate) fn open(
        &mut self,
        (router, trunk): (usize, TrunkId),
        session: SessionId,
        attach: impl FnOnce(ConnectionId) -> Attach,
    ) -> ClientId {
        self.made += 1;
        let client = ClientId(self.made);
        let kept = Keeping::new(attach(ConnectionId(client.0)));
        let (is_held, is_left, sequence, groups) = (false, false, 0, BTreeSet::new());
        let nth = 0;
        let socket =
            Socket { trunk, is_held, router, nth, session, is_left, sequence, kept, groups };
        self.sockets.insert(client, socket);
        client
    }

    /// A socket's trunk is broken, and it waits for the next. False if it can't be kept.
    pub(crate) fn hold(&mut self, client: ClientId) -> bool {
        let Some(socket) = self.sockets.get_mut(&client) else { return false };
        if socket.is_left || socket.kept.checkpoint.is_empty() {
            return false;
        }
        let (trunk, groups) = (socket.trunk, std::mem::take(&mut socket.groups));
        if socket.kept.is_of_this_trunk {
            let position = |group| self.groups.get(&(trunk, group))?.position.clone();
            socket.kept.returned = groups.iter().filter_map(|group| position(*group)).collect();
        } else {
            assert!(groups.is_empty(), "a checkpoint comes first");
        }
        socket.is_held = true;
        for group in groups {
            self.leave(trunk, group, client);
        }
        true
    }

    /// All sockets of a router.
    pub(crate) fn of_router(&self, router: usize) -> Vec<ClientId> {
        let of_router = self.sockets.iter().filter(|(_, socket)| socket.router == router);
        of_router.map(|(client, _)| *client).collect()
    }

    /// The sockets of a router that wait for a trunk to a shard.
    pub(crate) fn held(&self, router: usize) -> Vec<ClientId> {
        let held = self.sockets.iter().filter(|(_, socket)| socket.is_held);
        let of_router = held.filter(|(_, socket)| socket.router == router);
        of_router.map(|(client, _)| *client).collect()
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
        let of_trunk = |(client, socket): (&ClientId, &Socket)| {
            (socket.trunk == trunk && !socket.is_held).then_some(*client)
        };
        self.sockets.iter().filter_map(of_trunk).collect()
    }

    /// The socket that a shard names, if it is still on that shard's trunk.
    pub(crate) fn named(&self, trunk: TrunkId, connection: ConnectionId) -> Option<ClientId> {
        let client = client_of(connection);
        let is_there =
            |it: &&Socket| it.trunk == trunk && !it.is_held && it.connection(client) == connection;
        self.sockets.get(&client).filter(is_there)?;
        Some(client)
    }

    pub(crate) fn group(&self, trunk: TrunkId, group: GroupId) -> Vec<ClientId> {
        let group = self.groups.get(&(trunk, group));
        group.into_iter().flat_map(|group| &group.members).copied().collect()
    }

    /// Where a group is.
    pub(crate) fn reaches(&mut self, trunk: TrunkId, group: GroupId, position: Bytes) {
        if let Some(group) = self.groups.get_mut(&(trunk, group)) {
            group.position = Some(position);
        }
    }

    /// A shard moves a connection into a group, or out of it.
    pub(crate) fn change(
        &mut self,
        group: GroupId,
        connection: ConnectionId,
        member: bool,
        position: Option<Bytes>,
    ) {
        let client = client_of(connection);
        let Some(socket) = self.sockets.get_mut(&client) else { return };
        let trunk = socket.trunk;
        if member {
            socket.kept.is_fresh = false;
            assert!(socket.groups.insert(group), "a connection enters a group once");
            let group = self.groups.entry((trunk, group)).or_default();
            group.members.insert(client);
            let differs = position.is_some() && group.position.is_some();
            assert!(!differs || group.position == position, "all of a group have had the same");
            group.position = position.or(group.position.take());
        } else {
            assert!(socket.groups.remove(&group), "only who is in a group leaves it");
            let is_told =
                socket.is_left || socket.kept.is_fresh || socket.kept.checkpoint.is_empty();
            assert!(is_told, "a checkpoint says why a group is left");
            self.leave(trunk, group, client);
        }
    }

    fn leave(&mut self, trunk: TrunkId, group: GroupId, client: ClientId) {
        if let Some(left) = self.groups.get_mut(&(trunk, group)) {
            left.members.remove(&client);
            if left.members.is_empty() {
                self.groups.remove(&(trunk, group));
            }
        }
    }
}
