//! The routers' work: clients come, speak and go, and get the frames that shards send them.

use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use trunkline_core::{
    Answer, ApiCall, ApiCallId, Attach, Attachment, Comes, Dialect, Frame, FrameKind, Given,
    Identity, Input, Member, Namespace, Newcomer, Output, Part, Position, SessionId, SlotPosition,
    TrunkId, UserId,
};

use super::{On, World};
use crate::harness::network::{TrunkSlot, Way};
use crate::harness::router::{Arrival, ClientId, Unsettled};

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
        let trunk = self.network.trunk((router, self.home_by(router, &guest.session)))?;
        let Guest { session, identity, authenticated, dialect, inbox_after } = guest;
        let attach = |connection| Attach {
            connection,
            session,
            dialect,
            attachment: 0,
            comes: Comes::Anew(Newcomer {
                namespace: Namespace::parse("/").expect("a namespace"),
                identity,
                authenticated,
                guest: dialect == Dialect::SocketIo && !authenticated,
                inbox_after,
            }),
        };
        let client = self.sockets.open((router, trunk), session, attach);
        let attach = self.sockets.get(client)?.kept.attach.clone();
        self.begins_to_poll(client);
        self.up(trunk, Input::Attach { trunk, attach });
        Some(client)
    }

    /// A client sends a message. Gives its number.
    pub(crate) fn say(&mut self, client: ClientId, text: &str) -> u64 {
        self.pass_on(client, Bytes::copy_from_slice(text.as_bytes()), false)
    }

    /// A client sends an attachment.
    pub(crate) fn attach(&mut self, client: ClientId, payload: &'static [u8]) {
        self.pass_on(client, Bytes::from_static(payload), true);
    }

    fn pass_on(&mut self, client: ClientId, payload: Bytes, binary: bool) -> u64 {
        let socket = self.sockets.get_mut(client).expect("who speaks is connected");
        socket.sequence += 1;
        let (trunk, sequence) = (socket.trunk, socket.sequence);
        let kept = Unsettled { sequence, payload: payload.clone(), binary, answered: 0 };
        socket.kept.unsettled.push(kept);
        if !socket.is_held {
            let (connection, answered) = (socket.connection(client), 0);
            let message = Input::Message { trunk, connection, sequence, payload, binary, answered };
            self.up(trunk, message);
        }
        sequence
    }

    /// A router attaches those again whom it has kept, and sends again what isn't settled.
    pub(super) fn attach_again(&mut self, (router, shard): TrunkSlot, trunk: TrunkId) {
        for client in self.sockets.held(router) {
            let Some(socket) = self.sockets.get(client) else { continue };
            if self.home_by(router, &socket.session) == shard {
                self.attach_one(client, shard, trunk);
            }
        }
    }

    pub(super) fn attach_one(&mut self, client: ClientId, shard: usize, trunk: TrunkId) {
        let Some(socket) = self.sockets.get_mut(client) else { return };
        (socket.trunk, socket.is_held) = (trunk, false);
        socket.nth += 1;
        socket.kept.is_of_this_trunk = false;
        let comes = Comes::Again(Box::new(socket.kept.adoption()));
        let connection = socket.connection(client);
        let attachment = u32::try_from(socket.nth).expect("not attached so often");
        let attach = Attach { connection, attachment, comes, ..socket.kept.attach.clone() };
        let unsettled = socket.kept.unsettled.clone();
        let at_once = self.chance.random_bool(0.5);
        self.see(Arrival::Attached { client, at_once });
        let at = self.up(trunk, Input::Attach { trunk, attach });
        for Unsettled { sequence, payload, binary, answered } in unsettled {
            let again = Input::Message { trunk, connection, sequence, payload, binary, answered };
            match at {
                Some(at) if at_once => self.input(at, shard, On::Trunk(trunk), again),
                _ => drop(self.up(trunk, again)),
            }
        }
    }

    /// A client changes its connection for another on the same trunk, as one that polled does.
    pub(crate) fn change_connection(&mut self, client: ClientId) -> ClientId {
        // What is on its way to the old one still arrives there.
        let socket = self.sockets.get_mut(client).expect("who changes is connected");
        socket.is_left = true;
        let (trunk, session, router) = (socket.trunk, socket.session, socket.router);
        let attach = socket.kept.attach.clone();
        let from = (trunk, socket.connection(client));
        let attach = |connection| Attach { connection, ..attach };
        let next = self.sockets.open((router, trunk), session, attach);
        let socket = self.sockets.get(next).expect("it was opened just now");
        let to = (trunk, socket.connection(next));
        self.up(trunk, Input::Move { from, to });
        next
    }

    /// A server of the application asks a shard something.
    pub(crate) fn ask(&mut self, router: usize, shard: usize, call: u64, request: ApiCall) {
        let trunk = self.network.trunk((router, shard)).expect("the trunk is whole");
        let user = UserId::parse("server").expect("a user");
        let attachment = Attachment::default();
        let member = Member { session: SessionId([9; 24]), user, attachment };
        self.up(trunk, Input::Api { trunk, call: ApiCallId(call), member, request });
    }

    /// A router sends a client's message, or sends it again.
    pub(crate) fn repeat(&mut self, client: ClientId, trunk: TrunkId, sequence: u64, text: &str) {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let Some(socket) = self.sockets.get(client) else { return };
        let connection = socket.connection(client);
        let (binary, answered) = (false, 0);
        self.up(trunk, Input::Message { trunk, connection, sequence, payload, binary, answered });
    }

    pub(crate) fn trunk_of(&self, client: ClientId) -> Option<TrunkId> {
        self.sockets.get(client).map(|socket| socket.trunk)
    }

    /// Whether its trunk is broken, and its router keeps it.
    pub(crate) fn is_held(&self, client: ClientId) -> bool {
        self.sockets.get(client).is_some_and(|socket| socket.is_held)
    }

    pub(crate) fn session(&self, client: ClientId) -> Option<SessionId> {
        self.sockets.get(client).map(|socket| socket.session)
    }

    /// A client closes its socket.
    pub(crate) fn disconnect(&mut self, client: ClientId) {
        if let Some(socket) = self.sockets.close(client) {
            let connection = socket.connection(client);
            if socket.is_held {
                return;
            }
            self.polls_no_more(client, socket.router, socket.session);
            self.up(socket.trunk, Input::Detach { trunk: socket.trunk, connection, moved: false });
        }
    }

    /// A router does what a shard says.
    pub(super) fn apply(&mut self, output: Output) {
        match output {
            Output::Send { trunk, connections, frame, receipt, position, answers } => {
                let mut passed = false;
                for connection in connections {
                    if let Some(client) = self.sockets.named(trunk, connection) {
                        let entered = self.queue(client, &frame);
                        passed |= entered;
                        self.keep(client, position.clone(), answers.filter(|_| entered));
                        if let Some(slot) = position.clone() {
                            self.given(client, Given::Slot(slot));
                        }
                    }
                }
                if let Some(receipt) = receipt {
                    self.up(trunk, Input::Receipt { trunk, receipt, passed });
                }
            }
            Output::Fan { trunk, group, frame, except, position } => {
                if let Some(position) = position.clone() {
                    self.sockets.reaches(trunk, group, position);
                }
                for client in self.sockets.group(trunk, group) {
                    let connection = self.sockets.get(client).map(|it| it.connection(client));
                    let heard = except.is_none() || except != connection;
                    if heard {
                        self.queue(client, &frame);
                    }
                    if let Some(place) = position.clone() {
                        self.given(client, Given::Group { group, place, heard });
                    }
                }
            }
            Output::Group { trunk, group, connection, member, position } => {
                if let Some(client) = self.sockets.named(trunk, connection) {
                    let given = match (member, position.clone()) {
                        (true, Some(place)) => Given::Group { group, place, heard: false },
                        _ => Given::Left(group),
                    };
                    self.sockets.change(group, connection, member, position);
                    self.given(client, given);
                }
            }
            Output::Checkpoint { trunk, connection, state, .. } => {
                let client = self.sockets.named(trunk, connection);
                if let Some(client) = client {
                    self.checkpointed(client, &state);
                }
                if let Some(socket) = client.and_then(|it| self.sockets.get_mut(it)) {
                    socket.kept.checkpoint = state;
                    socket.kept.is_of_this_trunk = true;
                    socket.kept.is_fresh = true;
                }
            }
            Output::Close { trunk, connection, code, .. } => {
                if let Some(client) = self.sockets.named(trunk, connection) {
                    self.close(client, code.number());
                }
            }
            Output::Acknowledge { trunk, connection, sequence } => {
                if let Some(client) = self.sockets.named(trunk, connection) {
                    if let Some(socket) = self.sockets.get_mut(client) {
                        socket.kept.settles(sequence);
                    }
                    self.see(Arrival::Acknowledged { client, sequence });
                }
            }
            other => panic!("{other:?} is not for a router"),
        }
    }

    /// Keeps what a frame says of a client.
    fn keep(&mut self, client: ClientId, position: Option<SlotPosition>, answers: Option<Answer>) {
        let Some(socket) = self.sockets.get_mut(client) else { return };
        socket.kept.is_fresh = false;
        if let Some(SlotPosition { slot, position }) = position {
            socket.kept.slots.insert(slot, position);
        }
        if let Some(answer) = answers {
            socket.kept.answers(answer);
        }
    }

    /// Puts a frame into a client's out-queue, if there is room.
    fn queue(&mut self, client: ClientId, frame: &Frame) -> bool {
        if frame.parts.is_empty() {
            return true;
        }
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
        self.queued(client, frame.parts.len());
        self.see(Arrival::Frame { client, kind: frame.kind, parts });
        true
    }

    fn close(&mut self, client: ClientId, code: u16) {
        let kept = self.sockets.get(client).is_some_and(|it| !it.kept.checkpoint.is_empty());
        self.disconnect(client);
        self.see(Arrival::Closed { client, code, kept });
    }

    /// A router's word for a shard. Gives when it arrives, if it may.
    pub(super) fn up(&mut self, trunk: TrunkId, input: Input) -> Option<Duration> {
        let (_, shard) = self.network.slot(trunk)?;
        let delay = self.draw(&self.plan.trunk.clone());
        let at = self.network.arrival(Way::Up(trunk), self.now + delay);
        self.input(at, shard, On::Trunk(trunk), input);
        Some(at)
    }
}
