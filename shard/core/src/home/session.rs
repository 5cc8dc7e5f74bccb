//! A session: the logical client, whose connection may be gone for a while.

use std::sync::Arc;

use super::greeting::Greeting;
use super::line::At;
use super::rate::Rate;
use crate::Dialect;
use crate::attachment::Attachment;
use crate::core::Io;
use crate::dedupe::Dedupe;
use crate::input::{Identity, Newcomer};
use crate::name::{Namespace, RoomId};
use crate::output::{Answer, Frame, FrameKind, Output, Part, SlotPosition};
use crate::peer::{Member, PeerMessage, Recalled};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::small_map::SmallMap;
use crate::time::Mono;
use crate::topic::Topic;

/// Requests of one Socket.IO event that can be told apart. The least significant bits of a sequence
/// count them.
pub(super) const REQUESTS: u32 = 16;

/// The logical client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// The connection that speaks for it.
    pub(super) line: SessionId,
    pub(super) namespace: Namespace,
    pub(super) identity: Identity,
    pub(super) authenticated: bool,
    /// Which of its attachments this is.
    pub(super) attachment: Attachment,
    /// Where its connection is; `None` after its trunk broke, until the grace is over.
    pub(super) at: Option<At>,
    /// When its trunk broke, if it did.
    pub(super) broken: Option<Mono>,
    /// The last message that its connection had sent when that was.
    pub(super) broken_after: u64,
    /// When its token ends, if it does.
    pub(super) expires: Option<Mono>,
    pub(super) rooms: SmallMap<RoomId, Membership>,
    pub(super) inbox: Membership,
    /// The position that the client named for its inbox; used until the inbox has answered.
    pub(super) inbox_after: Option<Position>,
    pub(super) rate: Rate,
    pub(super) greeting: Greeting,
    /// How often it has entered a room.
    pub(super) entries: u64,
    /// Rooms that it has left lately, with the sequence of what it said to leave them.
    pub(super) departures: Vec<(RoomId, u64)>,
    /// Messages up to this one may have been sent again, and cost nothing.
    pub(super) again_upto: u64,
    /// Whom it has been whispered to by, so that repeats are recognised; made by the first.
    pub(super) whispers: Option<Box<Dedupe>>,
    /// What a Socket.IO client's session has besides.
    pub(super) socket: Option<Box<Socket>>,
}

/// A Socket.IO client in a namespace.
#[derive(Debug)]
pub(super) struct Socket {
    /// By which only the client knows the session, to come back to it.
    pub(super) private_id: SessionId,
    /// The session's sequences begin after this one: an earlier connection spoke for it too.
    pub(super) origin: u64,
    /// The message by which it has connected to its namespace.
    pub(super) connect: u64,
    /// Which of its connection's sessions it is.
    pub(super) nth: u32,
    /// The message of its connection that the router's 0 stands for.
    pub(super) counts_from: u64,
    /// What the application wants done once it is welcomed, as long as that may have to be done
    /// again.
    pub(super) actions: Vec<String>,
    /// The last stamp that its client had before it was here, if it has named one.
    pub(super) came_with: Option<Arc<str>>,
    /// It was gone on with: what it has had is known if it has this stamp or a later one.
    pub(super) adopted: Option<u64>,
    /// It was gone on with, and is again in its namespace when `connect` has come again.
    pub(super) awaited: bool,
    /// It was gone on with, and its client has left it by this message: that comes again, and so does
    /// what was said before.
    pub(super) ended: Option<u64>,
}

/// A session's standing in one topic. Requests may overtake each other's answers (a client need
/// not wait), so what it wants, what is on the way and what holds are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// The client's last word was to join.
    pub(super) wanted: bool,
    /// Joins and leaves on the way to the owner.
    pub(super) outstanding: u32,
    /// The session gets what the topic delivers.
    pub(super) live: bool,
    /// Its connection was attached again, and it goes on after `base` when the owner lets it.
    pub(super) resumes: bool,
    /// The owner may have it as a member, from before its connection was attached again.
    pub(super) unsure: bool,
    /// Where it was let in, or is to go on.
    pub(super) base: Option<Position>,
    /// Which of the session's entries this was.
    pub(super) entry: u64,
    /// Socket.IO: where its part of the topic begins, with what it had missed; none if it was gone
    /// on with.
    pub(super) begins: Option<Position>,
    /// Socket.IO: the stamp after which messages to all are for it.
    pub(super) live_from: u64,
}

impl Membership {
    /// Whether there is nothing left to remember.
    pub(super) fn is_over(&self) -> bool {
        self.is_out() && !self.resumes && !self.unsure
    }

    /// Whether it is neither in nor on its way in or out.
    pub(super) fn is_out(&self) -> bool {
        !self.live && self.outstanding == 0
    }
}

impl Session {
    pub(super) fn native(id: SessionId, newcomer: Newcomer, attachment: u32, at: At) -> Self {
        let Newcomer { namespace, identity, authenticated, inbox_after, guest: _ } = newcomer;
        let mut native = Self::new(id, id, namespace, identity, at);
        native.attachment = Attachment::new(0, attachment);
        native.authenticated = authenticated;
        native.inbox_after = inbox_after;
        native
    }

    pub(super) fn new(
        id: SessionId,
        line: SessionId,
        namespace: Namespace,
        identity: Identity,
        at: At,
    ) -> Self {
        Self {
            id,
            line,
            namespace,
            identity,
            authenticated: false,
            attachment: Attachment::default(),
            at: Some(at),
            broken: None,
            broken_after: 0,
            expires: None,
            rooms: SmallMap::default(),
            inbox: Membership::default(),
            inbox_after: None,
            rate: Rate::default(),
            greeting: Greeting::default(),
            entries: 0,
            departures: Vec::new(),
            again_upto: 0,
            whispers: None,
            socket: None,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        if self.socket.is_some() { Dialect::SocketIo } else { Dialect::Native }
    }

    /// Whether a Socket.IO client is on its way into its namespace.
    pub(super) fn is_welcome_due(&self) -> bool {
        self.socket.is_some() && matches!(self.greeting, Greeting::Due(_))
    }

    /// What it is on its way back to, if it is.
    pub(super) fn recalled(&self) -> Option<&Recalled> {
        match &self.greeting {
            Greeting::Due(due) => due.recalled.as_deref(),
            Greeting::Done => None,
        }
    }

    /// Whether a Socket.IO client is in its namespace.
    pub(super) fn is_in_namespace(&self) -> bool {
        self.socket.is_some() && matches!(self.greeting, Greeting::Done)
    }

    pub(super) fn member(&self) -> Member {
        let (user, attachment) = (self.identity.user.clone(), self.attachment);
        Member { session: self.id, user, attachment }
    }

    /// What is said of it to the owners of its topics if its router can't be seen.
    pub(super) fn suspended_in(&self, topic: Topic) -> PeerMessage {
        PeerMessage::Suspend { topic, session: self.id, attachment: self.attachment }
    }

    /// What is said of it to the owners of its topics when it is over.
    pub(super) fn forgotten_in(&self, topic: Topic) -> PeerMessage {
        PeerMessage::Forget { topic, session: self.id, attachment: self.attachment }
    }

    /// The room's topic, in this session's namespace.
    pub(super) fn room(&self, room: &RoomId) -> Topic {
        Topic::Room(self.namespace.clone(), room.clone())
    }

    pub(super) fn inbox_topic(&self) -> Topic {
        Topic::Inbox(self.identity.user.clone())
    }

    /// The topics that it is in without having asked: its inbox, and in Socket.IO the room of
    /// everyone in the namespace.
    pub(super) fn own_topics(&self) -> impl Iterator<Item = Topic> {
        let everyone = self.socket.is_some().then(|| self.room(&RoomId::everyone()));
        let inbox = self.hears().then(|| self.inbox_topic());
        everyone.filter(|_| self.hears()).into_iter().chain(inbox)
    }

    /// Whether it is in its topics, or on its way there.
    pub(super) fn hears(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| !socket.awaited && socket.ended.is_none())
    }

    /// Whether it was gone on with, and it isn't known what its client has read.
    pub(super) fn is_adopted(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.adopted.is_some())
    }

    /// The message by which a Socket.IO client has connected to its namespace.
    pub(super) fn connects_by(&self) -> u64 {
        self.socket.as_ref().map_or(0, |socket| socket.connect)
    }

    /// What repeats of what it asks with a message of its connection are recognised by: of a
    /// Socket.IO client's these are the numbers behind this one.
    pub(super) fn sequence_of(&self, message: u64) -> u64 {
        match &self.socket {
            Some(socket) => (socket.origin + message) << REQUESTS,
            None => message,
        }
    }

    /// The message of its connection that asked for something; 0 if it was of an earlier one.
    pub(super) fn message_of(&self, sequence: u64) -> u64 {
        match &self.socket {
            Some(socket) => (sequence >> REQUESTS).saturating_sub(socket.origin),
            None => sequence,
        }
    }

    /// The number of one of its slots: a connection that speaks for several sessions has some of
    /// each.
    pub(super) fn slot(&self, which: u32) -> u32 {
        self.socket.as_ref().map_or(which, |socket| 2 * socket.nth + which)
    }

    /// Its standing in a topic, if it has any.
    pub(super) fn membership(&mut self, topic: &Topic) -> Option<&mut Membership> {
        match topic {
            Topic::Room(_, room) => self.rooms.get_mut(room),
            Topic::Inbox(_) => Some(&mut self.inbox),
        }
    }

    /// Whether it gets what a topic delivers.
    pub(super) fn is_live_in(&self, topic: &Topic) -> bool {
        match topic {
            Topic::Room(_, room) => self.rooms.get(room).is_some_and(|it| it.live),
            Topic::Inbox(_) => self.inbox.live,
        }
    }

    /// A join is on its way.
    pub(super) fn joins(&mut self, topic: &Topic) {
        let membership = match topic {
            Topic::Room(_, room) => {
                self.rooms.get_or_insert_with(room.clone(), Membership::default)
            }
            Topic::Inbox(_) => &mut self.inbox,
        };
        membership.wanted = true;
        membership.outstanding += 1;
    }

    /// Whether it is neither in a topic nor on its way in or out.
    pub(super) fn is_out_of(&self, topic: &Topic) -> bool {
        match topic {
            Topic::Room(_, room) => self.rooms.get(room).is_none_or(Membership::is_out),
            Topic::Inbox(_) => self.inbox.is_out(),
        }
    }

    /// Forgets a room that there is nothing left to remember of.
    pub(super) fn tidy(&mut self, topic: &Topic) {
        if let Topic::Room(_, room) = topic
            && self.rooms.get(room).is_some_and(Membership::is_over)
        {
            self.rooms.remove(room);
        }
    }

    /// Rooms that count against the limit.
    pub(super) fn rooms_joined(&self) -> usize {
        self.rooms.keys().filter(|room| !room.is_everyone()).count()
    }

    /// Queues messages on its connection, as the answer to a request; `answers` is the sequence of
    /// a client's message. Nothing to say is nothing said.
    pub(super) fn send(&self, io: &mut Io, parts: Vec<Part>, answers: Option<Answer>) {
        self.send_with(io, FrameKind::Reply, parts, None, answers);
    }

    /// Queues messages on its connection, and says what it has had with them.
    pub(super) fn send_with(
        &self,
        io: &mut Io,
        kind: FrameKind,
        parts: Vec<Part>,
        position: Option<SlotPosition>,
        answers: Option<Answer>,
    ) {
        if !parts.is_empty() {
            self.output(io, kind, parts, position, answers);
        }
    }

    /// Lets the router know what is done, of which its client is told nothing.
    pub(super) fn note(
        &self,
        io: &mut Io,
        position: Option<SlotPosition>,
        answers: Option<Answer>,
    ) {
        self.output(io, FrameKind::Reply, Vec::new(), position, answers);
    }

    fn output(
        &self,
        io: &mut Io,
        kind: FrameKind,
        parts: Vec<Part>,
        position: Option<SlotPosition>,
        answers: Option<Answer>,
    ) {
        if let Some((trunk, connection)) = self.at {
            let frame = Frame { kind, dialect: self.dialect(), parts };
            let from = self.socket.as_ref().map_or(0, |socket| socket.counts_from);
            let answers = answers.and_then(|it| it.counted_from(from));
            let (connections, receipt) = (vec![connection], None);
            io.output(Output::Send { trunk, connections, frame, receipt, position, answers });
        }
    }
}
