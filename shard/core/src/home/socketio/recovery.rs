//! Coming back (Socket.IO's connection state recovery): how a session goes on when its client names it in
//! time.
//!
//! A client that is placed by chance comes back to another shard than the one that its session
//! was with. So the shard that a session's ID names by its digest knows where the session is, and
//! passes on what is asked of it or said to it.

use std::sync::Arc;

use crate::asker::Asker;
use crate::attachment::Attachment;
use crate::core::Io;
use crate::dedupe::Identity;
use crate::home::gate::OutOfReach;
use crate::home::greeting::{Due, Greeting};
use crate::home::line::Line;
use crate::home::requests::{Asked, Pending, Subject};
use crate::home::respond::ReplyTo;
use crate::home::{Alias, Home};
use crate::link::ShardIndex;
use crate::message::Body;
use crate::name::{Namespace, RoomId};
use crate::peer::{PeerMessage, Recalled, Refusal, Reply, SendStatus};
use crate::rights::Verdict;
use crate::rules;
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    /// The private ID and the offset that a client has given, if it wants to come back.
    pub(super) fn comes_back(
        &self,
        io: &Io,
        id: SessionId,
    ) -> Option<(SessionId, Option<Arc<str>>)> {
        io.settings.recovery?;
        let Greeting::Due(due) = &self.sessions.get(&id)?.greeting else { return None };
        let text = |key| rules::field(due.auth.as_deref()?, key).and_then(rules::plain);
        let private_id = SessionId::parse(&text("pid")?)?;
        Some((private_id, text("offset").map(Arc::from)))
    }

    /// Asks the shard that knows where the session was last. What is remembered here may be of before
    /// that, and counts if nobody knows of anything newer, or that shard is out of reach.
    pub(super) fn recall(
        &mut self,
        io: &mut Io,
        id: SessionId,
        private_id: SessionId,
        offset: Option<Arc<str>>,
    ) {
        let named_by = io.home_of(&private_id);
        let is_needed = io.links.is_up(named_by) || self.remembered(private_id).is_none();
        let holder = if is_needed { named_by } else { io.links.me() };
        self.recall_from(io, holder, id, private_id, offset);
    }

    fn recall_from(
        &mut self,
        io: &mut Io,
        holder: ShardIndex,
        id: SessionId,
        private_id: SessionId,
        offset: Option<Arc<str>>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (namespace, line) = (session.namespace.clone(), session.line);
        if let Some(socket) = &mut session.socket {
            socket.came_with.clone_from(&offset);
        }
        let pending = Box::new(Pending {
            session: id,
            line,
            sequence: None,
            known_by: 0,
            reply_to: ReplyTo::Nobody,
            owner: holder,
            started: io.now.mono,
            subject: Subject::Recall,
            asked: Asked::Recall { private_id, namespace, offset: offset.clone() },
        });
        if let Err(OutOfReach) = self.dispatch_to(io, holder, pending) {
            self.seek(io, id, private_id, offset);
        }
    }

    /// Whom this shard has asked doesn't give the session back. If nobody knows where it is, it may be
    /// remembered here. If it has been somewhere else since, that shard is no more, but routers may have it.
    pub(in crate::home) fn recall_refused(
        &mut self,
        io: &mut Io,
        pending: &Pending,
        refusal: Refusal,
    ) {
        let (id, me) = (pending.session, io.links.me());
        let Asked::Recall { private_id, offset, .. } = &pending.asked else { return };
        let is_unknown = refusal == Refusal::Unknown;
        if is_unknown && pending.owner != me && self.remembered(*private_id).is_some() {
            return self.recall_from(io, me, id, *private_id, offset.clone());
        }
        let may_be_kept = is_unknown || refusal == Refusal::Superseded;
        if may_be_kept || !io.links.is_up(pending.owner) {
            return self.seek(io, id, *private_id, offset.clone());
        }
        self.not_recalled(io, id);
    }

    /// A home asks for a session whose client has come to it. Whoever had it last gives it back; the
    /// others are told [`Refusal::Unknown`] if that may be themselves.
    pub(crate) fn recall_asked(
        &mut self,
        io: &mut Io,
        asker: Asker,
        private_id: SessionId,
        namespace: Namespace,
        offset: Option<Arc<str>>,
    ) {
        let here = self.remembered(private_id);
        let elsewhere = self.aliases.get(&private_id).copied();
        let elsewhere = elsewhere.filter(|alias| io.links.is_up(alias.holder));
        match elsewhere.filter(|alias| here < Some(alias.attachment)) {
            Some(Alias { holder, .. }) if holder == asker.via.peer => {
                asker.answer(io, Err(Refusal::Unknown));
            }
            Some(Alias { holder, .. }) => {
                let pending = Box::new(Pending {
                    session: private_id,
                    line: private_id,
                    sequence: None,
                    known_by: 0,
                    reply_to: ReplyTo::Relay(asker),
                    owner: holder,
                    started: io.now.mono,
                    subject: Subject::Recall,
                    asked: Asked::Recall { private_id, namespace, offset },
                });
                let _ = self.dispatch_to(io, holder, pending);
            }
            None if here.is_some() && self.is_outdated(private_id, offset.as_deref()) => {
                asker.answer(io, Err(Refusal::Superseded));
            }
            None if here.is_some() => {
                let recalled = self.give_back(io, asker, private_id, &namespace, offset.as_deref());
                asker.answer(io, recalled.map(Reply::Recalled).ok_or(Refusal::Unavailable));
            }
            None if io.home_of(&private_id) == io.links.me() => {
                asker.answer(io, Err(Refusal::Unknown));
            }
            None => asker.answer(io, Err(Refusal::Moved)),
        }
    }

    /// Whether what is here of a session is of before its client was somewhere else, as its stamp says. It
    /// may have moved there, and that shard be dead.
    fn is_outdated(&self, private_id: SessionId, offset: Option<&str>) -> bool {
        let session = self.privates.get(&private_id).and_then(|id| self.sessions.get(id));
        if session.is_some_and(|session| session.at.is_some()) {
            return false;
        }
        let came_with = match self.departed.sessions.get(&private_id) {
            Some(gone) if gone.for_good => return false,
            Some(gone) => gone.came_with.as_deref(),
            None => session.and_then(|it| it.socket.as_deref()?.came_with.as_deref()),
        };
        offset.is_some_and(|offset| self.stream.is_later(offset, came_with))
    }

    /// The session goes on here as another shard had it. What is here of it is of before that.
    fn end_what_was_before(&mut self, io: &mut Io, private_id: SessionId) {
        self.departed.forget(&private_id);
        if let Some(before) = self.privates.get(&private_id).copied() {
            self.take_from_line(io, before);
            self.end(io, before);
            self.departed.forget(&private_id);
        }
    }

    /// The session is known: it goes on here.
    pub(in crate::home) fn recalled(&mut self, io: &mut Io, id: SessionId, recalled: Recalled) {
        let kept = Box::new(recalled.clone());
        let Recalled { session: old, private_id, user, attachment, sequence, rooms, inbox_after } =
            recalled;
        let Some(session) = self.sessions.get(&id) else { return };
        let namespace = session.namespace.clone();
        let rights = &session.identity.rights;
        let forbidden =
            |room: &RoomId| !room.is_everyone() && rights.join(room) == Verdict::Forbidden;
        let is_guest = self
            .lines
            .get_mut(&session.line)
            .and_then(|line| line.multiplex())
            .is_some_and(|multiplex| multiplex.guest)
            && !session.authenticated;
        let same_user = session.identity.user == user || is_guest;
        if !same_user || rooms.iter().any(|(room, _)| forbidden(room)) {
            let rooms = rooms.into_iter().map(|(room, _)| Topic::Room(namespace.clone(), room));
            forget(io, (old, attachment), rooms.chain([Topic::Inbox(user)]));
            return self.not_recalled(io, id);
        }
        self.end_what_was_before(io, private_id);
        let Some(mut session) = self.sessions.remove(&id) else { return };
        let line = self.lines.get(&session.line);
        let (again_upto, nth) = line.map_or((0, 0), |line| (line.again_upto(), line.attachment));
        let attachment = Attachment::new(attachment.recoveries() + 1, nth);
        if let Some(at) = session.expires.take() {
            self.expiries.remove(&(at, id));
        }
        if let Some(socket) = &mut session.socket {
            self.privates.remove(&socket.private_id);
            (socket.private_id, socket.origin) = (private_id, sequence);
        }
        for id in [old, private_id] {
            self.aliases.remove(&id);
        }
        session.id = old;
        session.attachment = attachment;
        session.again_upto = session.sequence_of(again_upto);
        session.identity.user = user;
        session.inbox_after = inbox_after;
        // Its inbox may still list it.
        session.inbox.unsure = true;
        if let Greeting::Due(due) = &mut session.greeting {
            due.recalled = Some(kept);
            due.patience = io.now.mono + io.settings.grace;
        }
        let line = session.line;
        if let Some(multiplex) = self.lines.get_mut(&line).and_then(Line::multiplex) {
            multiplex.sockets.insert(namespace.clone(), old);
        }
        self.tell_whereabouts(io, &session);
        self.sessions.insert(old, session);
        self.privates.insert(private_id, old);
        self.watch_expiry(io, old);
        let everyone = RoomId::everyone();
        let fresh = rooms.iter().all(|(room, _)| *room != everyone).then_some((everyone, None));
        let back = rooms.into_iter().map(|(room, after)| (room, Some(after)));
        for (room, after) in back.chain(fresh) {
            let topic = Topic::Room(namespace.clone(), room);
            if !self.join_own(io, old, &topic, after) {
                // Just begun, it has all its patience.
                self.wait_for(io, old, &topic);
            }
        }
        self.continue_greeting(io, old);
    }

    /// There is no such session any more: the client begins anew.
    pub(in crate::home) fn not_recalled(&mut self, io: &mut Io, id: SessionId) {
        self.ask_application(io, id);
    }

    /// Something that was missed can't be had: the client begins anew, and is told nothing of
    /// what was found.
    pub(in crate::home) fn give_up_recovering(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Greeting::Due(due) = &mut session.greeting else { return };
        let out_of_reach = std::mem::take(&mut due.out_of_reach);
        let due = Due {
            said: std::mem::take(&mut due.said),
            connect: std::mem::take(&mut due.connect),
            auth: due.auth.take(),
            sought: due.sought,
            ..Due::default()
        };
        let (line_id, namespace) = (session.line, session.namespace.clone());
        let speaker = (session.identity.clone(), session.authenticated);
        forget(io, (id, session.attachment), out_of_reach);
        let came_with = session.socket.as_mut().and_then(|socket| socket.came_with.take());
        self.end(io, id);
        let begun = self.begin_session(io, line_id, namespace, speaker, due);
        let Some(fresh) = begun else { return };
        if let Some(socket) = self.sessions.get_mut(&fresh).and_then(|it| it.socket.as_mut()) {
            socket.came_with = came_with;
        }
        self.watch_expiry(io, fresh);
        self.ask_application(io, fresh);
    }

    /// A peer says where a session is that this shard's digest names. What was remembered of it before
    /// is of no more use.
    pub(crate) fn moved_elsewhere(
        &mut self,
        from: ShardIndex,
        session: SessionId,
        private_id: SessionId,
        attachment: Option<Attachment>,
    ) {
        let holder = self.aliases.get(&session).map(|alias| alias.holder);
        match attachment {
            Some(attachment) if !self.has_come_back(session, attachment) => {
                let gone = self.departed.sessions.get(&private_id);
                if gone.is_some_and(|gone| gone.attachment < attachment) {
                    self.departed.forget(&private_id);
                }
                for id in [session, private_id] {
                    self.aliases.insert(id, Alias { holder: from, attachment });
                }
            }
            None if holder == Some(from) => {
                self.aliases.remove(&session);
                self.aliases.remove(&private_id);
            }
            _ => {}
        }
    }

    /// Whether a session is here by an attachment or a later one, or elsewhere by a later one.
    pub(in crate::home) fn has_come_back(
        &self,
        session: SessionId,
        attachment: Attachment,
    ) -> bool {
        let here = self.sessions.get(&session).map(|it| it.attachment);
        let elsewhere = self.aliases.get(&session).map(|it| it.attachment);
        here.is_some_and(|here| here >= attachment) || elsewhere.is_some_and(|it| it > attachment)
    }

    /// A private message to a session that is not here: it may be where its client has come back.
    pub(in crate::home) fn whisper_on(
        &mut self,
        io: &mut Io,
        asker: Asker,
        identity: Identity,
        to: SessionId,
        body: Body,
        ephemeral: bool,
    ) {
        let home = self.aliases.get(&to).map(|alias| alias.holder);
        let Some(home) = home.filter(|it| io.links.is_up(*it)) else {
            let result = if io.home_of(&to) == io.links.me() {
                Ok(Reply::Sent(SendStatus::Offline))
            } else if self.sessions.contains_key(&to) {
                // It may be on its way to another shard.
                Err(Refusal::Moved)
            } else {
                Err(Refusal::Unknown)
            };
            return asker.answer(io, result);
        };
        let Identity { member, sequence, key } = identity;
        let key = key.map(|key| key.text);
        let pending = Box::new(Pending {
            session: member.session,
            line: member.session,
            sequence: None,
            known_by: 0,
            reply_to: ReplyTo::Relay(asker),
            owner: home,
            started: io.now.mono,
            subject: Subject::Send { to: to.to_string() },
            asked: Asked::Whisper { member, sequence, to, body, key, ephemeral },
        });
        let _ = self.dispatch_to(io, home, pending);
    }

    /// Whoever had a session, as far as this shard knew that its digest names, has it no more.
    pub(in crate::home) fn whispered_to_nobody(
        &self,
        to: SessionId,
        asked: ShardIndex,
    ) -> Result<Reply, Refusal> {
        let was_last_there = self.aliases.get(&to).is_some_and(|alias| alias.holder == asked);
        // It may have come back elsewhere meanwhile.
        if was_last_there { Ok(Reply::Sent(SendStatus::Offline)) } else { Err(Refusal::Moved) }
    }
}

/// Topics may still list a session that does not go on in them.
pub(super) fn forget(
    io: &mut Io,
    (session, attachment): (SessionId, Attachment),
    topics: impl IntoIterator<Item = Topic>,
) {
    for topic in topics {
        io.tell_owner(topic, |topic| PeerMessage::Forget { topic, session, attachment });
    }
}
