//! What is remembered of a session whose client has gone, so that it may come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::attachment::Attachment;
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::home::Home;
use crate::home::greeting::Greeting;
use crate::home::line::Line;
use crate::home::requests::{Asked, Pending};
use crate::home::session::{Membership, Session};
use crate::home::stream::Span;
use crate::link::ShardIndex;
use crate::name::{Namespace, RoomId, UserId};
use crate::peer::{PeerMessage, Recalled};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::time::Mono;
use crate::topic::Topic;

/// Sessions that are remembered; the oldest is forgotten early beyond it.
const REMEMBERED: usize = 100_000;

/// Sessions whose clients may come back.
#[derive(Debug)]
pub(in crate::home) struct Departed {
    /// By the ID that only the client knows.
    pub(super) sessions: BTreeMap<SessionId, Gone>,
    /// With the moment of going: it may have come back, and gone again since.
    deadlines: Deadlines<(SessionId, Mono)>,
}

/// What is remembered of one.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) session: SessionId,
    /// It does not come back, whatever others remember of it from before.
    pub(super) for_good: bool,
    pub(super) namespace: Namespace,
    pub(super) user: UserId,
    pub(super) attachment: Attachment,
    pub(super) since: Mono,
    pub(super) sequence: u64,
    /// The last stamp that its client had before it was here.
    pub(super) came_with: Option<Arc<str>>,
    pub(super) rooms: Vec<(RoomId, Span)>,
    pub(super) inbox: Option<Span>,
}

impl Gone {
    /// Of the rooms in their order, then of the inbox.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.rooms.iter().map(|(_, span)| span).chain(&self.inbox).cloned().collect()
    }
}

impl Departed {
    pub(in crate::home) fn new(span: Option<Duration>) -> Self {
        Self { sessions: BTreeMap::new(), deadlines: Deadlines::new(span.unwrap_or_default()) }
    }

    pub(in crate::home) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// A session is gone on with by the connection that it had.
    pub(in crate::home) fn forget(&mut self, private_id: &SessionId) {
        self.sessions.remove(private_id);
    }

    pub(in crate::home) fn has(&self, private_id: &SessionId) -> bool {
        self.sessions.contains_key(private_id)
    }

    pub(in crate::home) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.next_roughly()
    }
}

impl Home {
    /// Remembers a session that is about to end, or whose connection is lost.
    pub(in crate::home) fn remember(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(socket) = &session.socket else { return };
        if io.settings.recovery.is_none() {
            return;
        }
        let seen = self.lines.get(&session.line).map_or(0, Line::seen);
        // Beyond what was used up to now, the requests of its going included.
        let sequence = socket.origin + seen + 2;
        let private_id = socket.private_id;
        if let Greeting::Due(due) = &session.greeting {
            // Who is cut off on the way back has had nothing since.
            if let Some(recalled) = due.recalled.as_deref().cloned() {
                let namespace = session.namespace.clone();
                let recalled = Recalled { attachment: session.attachment, sequence, ..recalled };
                let came_with = socket.came_with.clone();
                let gone = self.still_gone(&namespace, recalled, came_with, io.now.mono);
                self.depart(io, private_id, gone);
            }
            return;
        }
        let goes_on = !session.inbox.live || session.resuming().next().is_some();
        if !session.hears() || (session.is_adopted() && goes_on) {
            // It wouldn't be known where to go on in all of its topics.
            return;
        }
        let since = socket.adopted.unwrap_or_default();
        let span = |topic: Topic, membership: &Membership| {
            let base = membership.live.then(|| membership.begins.clone())?;
            let end = self.subscriptions.get(&topic)?.position.clone();
            let live = (membership.live_from, self.stream.last());
            Some(Span { topic, base, since, live, end })
        };
        let room = |(room, membership): (&RoomId, &Membership)| {
            Some((room.clone(), span(session.room(room), membership)?))
        };
        let gone = Gone {
            session: id,
            for_good: false,
            namespace: session.namespace.clone(),
            user: session.identity.user.clone(),
            attachment: session.attachment,
            since: io.now.mono,
            sequence,
            came_with: socket.came_with.clone(),
            rooms: session.rooms.iter().filter_map(room).collect(),
            inbox: span(session.inbox_topic(), &session.inbox),
        };
        self.depart(io, private_id, gone);
    }

    /// A session has ended, and its client has left it, or it isn't known how it could go on. Shards
    /// where it was before may remember it yet, and routers have what was deposited.
    pub(in crate::home) fn gone_for_good(&mut self, io: &mut Io, session: &Session) {
        let Some(socket) = &session.socket else { return };
        if io.settings.recovery.is_none() {
            return tell_gone(io, session.id, socket.private_id);
        }
        let gone = Gone {
            session: session.id,
            for_good: true,
            namespace: session.namespace.clone(),
            user: session.identity.user.clone(),
            attachment: session.attachment,
            since: io.now.mono,
            sequence: 0,
            came_with: None,
            rooms: Vec::new(),
            inbox: None,
        };
        self.depart(io, socket.private_id, gone);
    }

    /// A session has come to this shard for a client that is gone again. Now it is remembered here.
    pub(in crate::home) fn recalled_in_vain(
        &mut self,
        io: &mut Io,
        pending: &Pending,
        recalled: Recalled,
    ) {
        let Asked::Recall { private_id, namespace, offset } = &pending.asked else { return };
        let (session, private_id) = (recalled.session, *private_id);
        let attachment = Some(recalled.attachment);
        if self.remembered(private_id) >= attachment {
            return;
        }
        let gone = self.still_gone(namespace, recalled, offset.clone(), io.now.mono);
        self.depart(io, private_id, gone);
        let named_by = io.home_of(&private_id);
        if named_by != io.links.me() {
            io.tell(named_by, PeerMessage::Moved { session, private_id, attachment });
        }
    }

    /// A session that was to go on, and did not.
    fn still_gone(
        &self,
        namespace: &Namespace,
        recalled: Recalled,
        came_with: Option<Arc<str>>,
        since: Mono,
    ) -> Gone {
        let Recalled { session, private_id: _, user, attachment, sequence, rooms, inbox_after } =
            recalled;
        let span = |topic: Topic, after: Position| Span {
            topic,
            base: Some(after.clone()),
            since: 0,
            live: (self.stream.last(), self.stream.last()),
            end: after,
        };
        let inbox = inbox_after.map(|after| span(Topic::Inbox(user.clone()), after));
        let room = |(room, after): (RoomId, Position)| {
            let topic = Topic::Room(namespace.clone(), room.clone());
            (room, span(topic, after))
        };
        let rooms = rooms.into_iter().map(room).collect();
        let (namespace, for_good) = (namespace.clone(), false);
        Gone {
            session,
            for_good,
            namespace,
            user,
            attachment,
            since,
            sequence,
            came_with,
            rooms,
            inbox,
        }
    }

    fn depart(&mut self, io: &mut Io, private_id: SessionId, gone: Gone) {
        self.departed.sessions.insert(private_id, gone);
        self.departed.deadlines.push(io.now.mono, (private_id, io.now.mono));
        while self.departed.sessions.len() > REMEMBERED {
            let Some(oldest) = self.departed.deadlines.pop() else { return };
            self.forget_one(io, oldest);
        }
    }

    /// Forgets those whose time is over.
    pub(in crate::home) fn forget_departed(&mut self, io: &mut Io) {
        while let Some(departed) = self.departed.deadlines.pop_due(io.now.mono) {
            self.forget_one(io, departed);
        }
    }

    /// Forgets who went at this moment, if it has not come back since.
    fn forget_one(&mut self, io: &mut Io, (private_id, since): (SessionId, Mono)) {
        let gone = self.departed.sessions.get(&private_id);
        let Some(session) = gone.filter(|it| it.since == since).map(|it| it.session) else {
            return;
        };
        self.departed.sessions.remove(&private_id);
        // An orphan is still listed here until its grace is over.
        if !self.privates.contains_key(&private_id) {
            tell_gone(io, session, private_id);
        }
    }

    /// By which of its attachments a session is here, or is remembered.
    pub(super) fn remembered(&self, private_id: SessionId) -> Option<Attachment> {
        let gone = self.departed.sessions.get(&private_id).map(|gone| gone.attachment);
        let session = self.privates.get(&private_id).and_then(|id| self.sessions.get(id));
        gone.max(session.map(|session| session.attachment))
    }

    /// Tells who is named by their digests where sessions are remembered, if it hasn't heard so.
    pub(in crate::home) fn tell_who_is_remembered(
        &self,
        io: &mut Io,
        is_news_to: impl Fn(ShardIndex, &SessionId) -> bool,
    ) {
        for (private_id, gone) in &self.departed.sessions {
            let named_by = io.home_of(private_id);
            if named_by != io.links.me() && is_news_to(named_by, private_id) {
                let (session, attachment) = (gone.session, Some(gone.attachment));
                let private_id = *private_id;
                io.tell(named_by, PeerMessage::Moved { session, private_id, attachment });
            }
        }
    }
}

/// Tells the shard that a session's digest names that the session is here no more.
pub(in crate::home) fn tell_gone(io: &mut Io, session: SessionId, private_id: SessionId) {
    let named_by = io.home_of(&session);
    if named_by != io.links.me() {
        io.tell(named_by, PeerMessage::Moved { session, private_id, attachment: None });
    }
}
