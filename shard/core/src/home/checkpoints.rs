//! What routers are given to keep for connections: at the end of each batch of outputs, for those of
//! which something has changed; and at once before a room is left, so that a router that has taken a
//! connection out of a group knows why, and before a client is told that it is in its namespace.

use super::Home;
use super::greeting::Greeting;
use super::line::{Multiplex, Speaks};
use super::requests::{Asked, Pending, Subject};
use super::respond::ReplyTo;
use super::resume::ENTERED;
use super::session::{Membership, REQUESTS, Session, Socket};
use super::stream::Stamp;
use super::subscription::Subscriptions;
use crate::checkpoint::{Checkpoint, Entry, KeptLine, KeptRoom, KeptSession, KeptSocket, Place};
use crate::core::Io;
use crate::dedupe;
use crate::name::RoomId;
use crate::output::{Output, SlotPosition};
use crate::peer::{Action, Member};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    /// A session is another than its router knows.
    pub(super) fn changed(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get(&id) {
            self.changed.insert(session.line);
        }
    }

    /// Gives routers what has changed, once there is nothing else to say.
    pub(crate) fn give_checkpoints(&mut self, io: &mut Io) {
        while let Some(line) = self.changed.pop_first() {
            self.give_checkpoint(io, line);
        }
    }

    /// Gives a connection's router what it takes to go on with it, unless there are messages that
    /// the router couldn't say again.
    pub(super) fn give_checkpoint(&mut self, io: &mut Io, line_id: SessionId) {
        self.changed.remove(&line_id);
        let Some(line) = self.lines.get_mut(&line_id) else { return };
        let Some((trunk, connection)) = line.at else { return };
        let (origin, settled) = (line.origin(), line.settled());
        let is_known = line.is_known_to_its_router();
        let checkpoint = match &mut line.speaks {
            Speaks::Native => {
                let session = self.sessions.get(&line_id);
                let session = session.filter(|it| matches!(it.greeting, Greeting::Done));
                session.map(|session| Checkpoint::Native(session.kept()))
            }
            Speaks::SocketIo(multiplex) => is_known.then(|| {
                multiplex.ended.retain(|(socket, _)| socket.ended.is_some_and(|it| it > settled));
                let mut sockets = multiplex.ended.clone();
                for id in multiplex.sockets.values().chain(&multiplex.awaited) {
                    if let Some(session) = self.sessions.get_mut(id)
                        && matches!(session.greeting, Greeting::Done)
                    {
                        sockets.extend(session.kept_socket(settled).map(|it| (it, session.kept())));
                    }
                }
                sockets.sort_by_key(|(socket, _)| socket.ended.is_none());
                Checkpoint::SocketIo(multiplex.kept(origin, sockets))
            }),
        };
        if let Some(checkpoint) = checkpoint {
            let (session, state) = (line_id, checkpoint.encode());
            io.output(Output::Checkpoint { trunk, connection, session, state });
        }
    }

    /// A session leaves a room by what it has said. Its router hears of that before it takes the
    /// connection out of the room's group.
    pub(super) fn departs(&mut self, io: &mut Io, id: SessionId, room: &RoomId, sequence: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // What is older than all that a router may send again is of no use any more.
        let window = match session.socket {
            Some(_) => (dedupe::WINDOW as u64) << REQUESTS,
            None => dedupe::WINDOW as u64,
        };
        session.departures.retain(|(left, at)| left != room && at + window > sequence);
        session.departures.push((room.clone(), sequence));
        let line = session.line;
        self.give_checkpoint(io, line);
    }

    /// A Socket.IO client leaves a namespace by a message. Until that is settled what it has said
    /// there before may come again.
    pub(super) fn leaves_namespace(&mut self, io: &mut Io, id: SessionId, message: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (line_id, namespace) = (session.line, session.namespace.clone());
        let is_welcome = matches!(session.greeting, Greeting::Done);
        let Some(line) = self.lines.get_mut(&line_id) else { return };
        let settled = line.settled();
        let Some(multiplex) = line.multiplex() else { return };
        multiplex.sockets.remove(&namespace);
        if let (true, Some(socket)) = (is_welcome, session.kept_socket(settled)) {
            let socket = KeptSocket { ended: Some(message), ..socket };
            let ended = session.kept_when_it_ends(message);
            multiplex.ended.retain(|(socket, _)| socket.ended.is_some_and(|it| it > settled));
            multiplex.ended.push((socket, ended));
        }
        self.give_checkpoint(io, line_id);
    }

    /// A join has come to nothing. An owner that had let the session in, before its connection was
    /// attached again, lets go of it; one that can't be told does so when the grace is over.
    pub(super) fn stays_out(&mut self, io: &mut Io, id: SessionId, room: &RoomId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let topic = session.room(room);
        let Some(membership) = session.rooms.get_mut(room) else { return };
        if !membership.is_out() || !std::mem::take(&mut membership.unsure) {
            return;
        }
        session.tidy(&topic);
        self.part(io, id, topic);
    }

    /// Takes a session out of a topic that its client may yet speak to. The answer would be no
    /// news.
    pub(super) fn part(&mut self, io: &mut Io, id: SessionId, topic: Topic) {
        if let Some(member) = self.sessions.get(&id).map(|session| session.member()) {
            self.part_as(io, member, topic);
        }
    }

    pub(super) fn part_as(&mut self, io: &mut Io, member: Member, topic: Topic) {
        let pending = Pending::part(io, member, topic);
        // Who can't be told lets go of it when the grace is over.
        let _ = self.dispatch(io, pending);
    }

    /// Has an owner let go of who has joined there and isn't waited for any more.
    pub(super) fn part_at(&mut self, io: &mut Io, joined: &Pending, topic: &Topic) {
        if let Asked::Topic { member, .. } = &joined.asked {
            let pending = Pending::part(io, member.clone(), topic.clone());
            let _ = self.dispatch_to(io, joined.owner, pending);
        }
    }
}

impl Pending {
    /// A session leaves without its client having asked.
    fn part(io: &Io, member: Member, topic: Topic) -> Box<Self> {
        Box::new(Self {
            session: member.session,
            line: member.session,
            sequence: None,
            known_by: 0,
            reply_to: ReplyTo::Nobody,
            owner: io.links.me(),
            started: io.now.mono,
            subject: Subject::Part,
            asked: Asked::Topic { member, sequence: 0, topic, action: Action::Leave },
        })
    }
}

impl Multiplex {
    fn kept(&self, origin: u64, sockets: Vec<(KeptSocket, KeptSession)>) -> KeptLine {
        KeptLine {
            identity: self.identity.clone(),
            authenticated: self.authenticated,
            guest: self.guest,
            connects: self.connects,
            origin,
            attached_before: self.attached_before,
            sockets,
        }
    }
}

impl Session {
    /// What a router is given of it, in all dialects.
    fn kept(&self) -> KeptSession {
        let kept = |(room, membership): (&RoomId, &Membership)| {
            let is_in = membership.live || membership.resumes;
            let position = membership.base.clone().filter(|_| is_in)?;
            Some(KeptRoom { room: room.clone(), position, entry: membership.entry })
        };
        let inbox = self.inbox.base.clone().filter(|_| self.inbox.live);
        KeptSession {
            namespace: self.namespace.clone(),
            identity: self.identity.clone(),
            authenticated: self.authenticated,
            inbox_after: inbox.or_else(|| self.inbox_after.clone()),
            rooms: self.rooms.iter().filter_map(kept).collect(),
            departures: self.departures.clone(),
            entries: self.entries,
        }
    }

    /// What a Socket.IO client's session has besides. What is done up to `settled` isn't done again.
    fn kept_socket(&mut self, settled: u64) -> Option<KeptSocket> {
        let (session, recoveries) = (self.id, self.attachment.recoveries());
        let socket = self.socket.as_mut()?;
        if socket.connect <= settled {
            socket.actions = Vec::new();
        }
        let Socket { private_id, origin, connect, nth, actions, came_with, ended, .. } = &**socket;
        Some(KeptSocket {
            session,
            private_id: *private_id,
            recoveries,
            origin: *origin,
            connect: *connect,
            nth: *nth,
            actions: actions.clone(),
            came_with: came_with.as_deref().and_then(Stamp::parse),
            ended: *ended,
        })
    }

    /// The same of one that leaves everything by a message: when what came before is said again, it
    /// was in its rooms.
    fn kept_when_it_ends(&self, message: u64) -> KeptSession {
        let at = self.sequence_of(message);
        let rooms = self.rooms.iter().filter(|(_, membership)| membership.wanted);
        let left = rooms.map(|(room, _)| (room.clone(), at));
        let departures = left.chain(self.departures.iter().cloned()).collect();
        KeptSession { rooms: Vec::new(), departures, ..self.kept() }
    }

    /// It has been sent all that its topics have delivered up to now.
    pub(super) fn settle_places(&mut self, subscriptions: &Subscriptions) {
        let rooms: Vec<Topic> = self.rooms.keys().map(|room| self.room(room)).collect();
        for topic in rooms.into_iter().chain([self.inbox_topic()]) {
            if let Some(subscription) = subscriptions.get(&topic)
                && let Some(membership) = self.membership(&topic).filter(|it| it.live)
            {
                membership.base = Some(subscription.position.clone());
            }
        }
    }

    /// The session is about to enter a room by what `sequence` says, or goes on in it. `stamp` is that
    /// of the last message that it is given with the word.
    pub(super) fn next_entry(
        &mut self,
        room: &Topic,
        position: &Position,
        sequence: u64,
        stamp: Option<Stamp>,
    ) -> SlotPosition {
        self.entries += 1;
        let entry = Entry { sequence, nth: self.entries };
        let Position { epoch, offset } = position;
        let position = Place::encode(room, (epoch, *offset), Some(entry), stamp);
        SlotPosition { slot: self.slot(ENTERED), position }
    }
}
