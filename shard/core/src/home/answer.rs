//! From an owner's answer to the client's.

use bytes::Bytes;

use super::Home;
use super::gate::owner_of;
use super::greeting::Greeting;
use super::handovers::ReportTo;
use super::permission::{not_joined, unavailable};
use super::requests::{Pending, Subject};
use super::respond::ReplyTo;
use super::resume::INBOX;
use super::subscription::Socket;
use crate::Dialect;
use crate::checkpoint::Place;
use crate::core::Io;
use crate::dialect::native::{self, Source};
use crate::dialect::{ErrorCode, Problem, socketio};
use crate::name::RoomId;
use crate::output::{Frame, FrameKind, Output, Part, SlotPosition};
use crate::peer::{Joined, PeerMessage, Refusal, Reply, RequestId, SendStatus};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    pub(crate) fn reply(
        &mut self,
        io: &mut Io,
        request: RequestId,
        result: Result<Reply, Refusal>,
    ) {
        let result = self.let_in_here(io, request, result);
        if let Err(refusal) = &result
            && self.moved(io, request, *refusal)
        {
            return;
        }
        let Some(result) = self.behind_claim(io, request, result) else { return };
        let Some(pending) = self.requests.end(request) else { return };
        if let Some(result) = self.forward(io, &pending, result) {
            match result {
                Ok(reply) => self.grant(io, &pending, reply),
                Err(refusal) => self.refuse(io, &pending, refusal),
            }
        }
        if self.gates.any()
            && let Some(topic) = pending.topic()
        {
            self.open_gate(io, topic);
        }
    }

    fn grant(&mut self, io: &mut Io, pending: &Pending, reply: Reply) {
        let reply = match (&pending.subject, reply) {
            (Subject::Recall, Reply::Recalled(recalled)) => {
                return match self.sessions.contains_key(&pending.session) {
                    true => self.recalled(io, pending.session, recalled),
                    false => self.recalled_in_vain(io, pending, recalled),
                };
            }
            (Subject::Part, _) => return,
            (_, reply) => reply,
        };
        if !self.speaks_by(pending.session, pending.line) {
            self.decline(io, pending, reply);
            return self.settle(io, pending);
        }
        let Some(session) = self.sessions.get(&pending.session) else { return };
        match (&pending.subject, reply) {
            (Subject::Join(topic @ Topic::Room(_, room)), Reply::Joined(joined)) => {
                self.joined_room(io, pending, topic, room, joined);
            }
            (Subject::Join(topic @ Topic::Inbox(_)), Reply::Joined(joined)) => {
                self.joined_inbox(io, pending, topic, joined);
            }
            (Subject::Leave(topic), Reply::Left) => self.left(io, pending, topic),
            (subject, reply) => {
                if matches!(subject, Subject::Publish(_) | Subject::Send { .. }) {
                    io.output(Output::Published(io.now.mono.since(pending.started)));
                }
                let parts = session.granted(pending.reply_to, |id| object(id, subject, reply));
                session.send(io, parts, pending.answer());
            }
        }
        self.settle(io, pending);
    }

    /// The session has gone meanwhile, and perhaps come back by another connection: what was to be
    /// handed to it has not been.
    fn decline(&mut self, io: &mut Io, pending: &Pending, reply: Reply) {
        if let (Subject::Join(topic), Reply::Joined(Joined { handover, .. })) =
            (&pending.subject, reply)
        {
            self.not_handed(io, pending.owner, topic, handover);
            if pending.owner != owner_of(&self.subscriptions, io, topic) {
                // That it went was said to who has the topic next, if to anybody.
                self.part_at(io, pending, topic);
            }
        }
    }

    /// What was missed, then `ok`, then what is live: in this order on the connection.
    fn joined_room(
        &mut self,
        io: &mut Io,
        member: &Pending,
        topic: &Topic,
        room: &RoomId,
        joined: Joined,
    ) {
        let joined = self.hear_rest(io, member, topic, joined);
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        if member.sequence.is_none() && session.goes_on_in(topic, &joined) {
            return self.resumed_room(io, member, topic, room, joined);
        }
        let Joined { position, members, recovered, gap, missed, handover: _ } = joined;
        let base = begins_before(&position, missed.first().map(|record| record.offset));
        if let Greeting::Due(due) = &mut session.greeting {
            // Only what the home itself has asked for is answered before the welcome.
            if recovered == Some(false)
                || !due.hold_missed(topic, &position.epoch, missed, member.session)
            {
                return self.give_up_recovering(io, member.session);
            }
            due.joins = due.joins.saturating_sub(1);
            self.go_live(io, member, topic, position, Some(base));
            return self.continue_greeting(io, member.session);
        }
        let mut parts = Vec::with_capacity(missed.len() + 2);
        let before = self.stream.at();
        if session.socket.is_some() {
            if let Some(offset) = gap {
                let stamp = self.stream.gap(io, topic, Some(session.id));
                let (namespace, place) = (&session.namespace, (&position.epoch, offset));
                parts.push(socketio::gap(namespace, room, place, stamp.as_deref()));
            }
            for record in missed.iter().filter(|record| record.is_heard_by(session.id)) {
                let only = Some(session.id);
                let stamp = self.stream.kept(io, topic, &position.epoch, record, only);
                parts.extend(socketio::record(
                    &session.namespace,
                    Some(room),
                    &position.epoch,
                    record,
                    stamp.as_deref(),
                ));
            }
        } else {
            let source = Source::Room(room);
            let gap = gap.map(|offset| native::gap(room, &position.epoch, offset));
            let resumes = session.resumes_after(topic).is_some();
            let missed = missed.iter().filter(|it| !resumes || it.is_heard_by(session.id));
            let missed = missed.map(|it| native::message(source, &position.epoch, it));
            parts.extend(gap.into_iter().chain(missed).map(Part::text));
        }
        parts.extend(session.granted(member.reply_to, |id| {
            native::ok::joined(id, room, &position, members, recovered)
        }));
        let stamp = Some(self.stream.at()).filter(|stamp| *stamp != before);
        let slot = session.next_entry(topic, &position, member.known_by, stamp);
        if parts.is_empty() && session.socket.is_some() {
            session.note(io, Some(slot), member.answer());
        } else {
            session.send_with(io, FrameKind::Reply, parts, Some(slot), member.answer());
        }
        self.go_live(io, member, topic, position, Some(base));
    }

    /// The welcome, then what was missed, then what is live.
    fn joined_inbox(&mut self, io: &mut Io, member: &Pending, topic: &Topic, joined: Joined) {
        let joined = self.hear_rest(io, member, topic, joined);
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        let Joined { position, missed, handover, recovered, .. } = joined;
        let Some((trunk, connection)) = session.at else { return };
        let is_socket = session.socket.is_some();
        let base = begins_before(&position, missed.first().map(|record| record.offset));
        let report_to = handover.map(|handover| {
            let (owner, topic) = (io.links.via(member.owner), topic.clone());
            ReportTo::Inbox { owner, topic, handover }
        });
        match &mut session.greeting {
            Greeting::Due(due) if due.recalled.is_some() && recovered == Some(false) => {
                return self.give_up_recovering(io, member.session);
            }
            Greeting::Due(due) if is_socket => {
                let fits = due.hold_missed(topic, &position.epoch, missed, member.session);
                if !fits && due.recalled.is_some() {
                    return self.give_up_recovering(io, member.session);
                }
                self.go_live(io, member, topic, position, Some(base));
                return self.open_socket(io, member.session, report_to);
            }
            Greeting::Due(_) | Greeting::Done => {}
        }
        session.inbox_after = None;
        let said = session.welcome(io);
        let receipt = report_to.and_then(|it| self.handovers.begin(it, &[trunk]).first().copied());
        let mut parts = Vec::with_capacity(missed.len());
        let before = self.stream.at();
        for record in &missed {
            if is_socket {
                let only = Some(session.id);
                let stamp = self.stream.kept(io, topic, &position.epoch, record, only);
                let namespace = &session.namespace;
                let stamp = stamp.as_deref();
                parts.extend(socketio::record(namespace, None, &position.epoch, record, stamp));
            } else {
                parts.push(Part::text(native::message(Source::Inbox, &position.epoch, record)));
            }
        }
        if !parts.is_empty() {
            let frame = Frame { kind: FrameKind::Reply, dialect: session.dialect(), parts };
            let stamp = Some(self.stream.at()).filter(|stamp| *stamp != before);
            let place = (&position.epoch, position.offset);
            let place = Place::encode(topic, place, None, stamp);
            let position = Some(SlotPosition { slot: session.slot(INBOX), position: place });
            let (connections, answers) = (vec![connection], None);
            io.output(Output::Send { trunk, connections, frame, receipt, position, answers });
        }
        let begins = (!session.is_adopted()).then_some(base);
        self.go_live(io, member, topic, position, begins);
        for (sequence, heard) in said {
            self.said(io, member.session, sequence, heard);
        }
    }

    /// The owner has let the session in, at `position`; what it was sent before began after `begins`,
    /// if that is known.
    pub(super) fn go_live(
        &mut self,
        io: &mut Io,
        member: &Pending,
        topic: &Topic,
        position: Position,
        begins: Option<Position>,
    ) {
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        let (dialect, live_from) = (session.dialect(), self.stream.last());
        let held = matches!((&session.greeting, topic), (Greeting::Due(_), Topic::Room(..)));
        let at = session.at;
        let begins = begins.filter(|_| dialect == Dialect::SocketIo);
        let entry = session.entries;
        if let (Some(at), Some(membership)) = (at, session.membership(topic)) {
            membership.outstanding = membership.outstanding.saturating_sub(1);
            if membership.wanted && !membership.live {
                membership.live = true;
                membership.resumes = false;
                membership.unsure = false;
                membership.base = Some(position.clone());
                membership.begins = begins;
                membership.live_from = live_from;
                membership.entry = entry;
                let (id, owner) = (member.session, member.owner);
                let is_new = self.subscriptions.add(topic, id, owner, position);
                if is_new && io.owner_of(topic) != owner {
                    self.subscriptions.stray(topic);
                }
                if !held {
                    self.subscriptions.enter(io, topic, id, at, dialect);
                }
            }
        }
        session.tidy(topic);
        // Until its client is welcomed its router is given nothing of it.
        if matches!(session.greeting, Greeting::Done) {
            self.changed(member.session);
        }
    }

    /// A leave is done, as far as this shard goes.
    fn left(&mut self, io: &mut Io, member: &Pending, topic: &Topic) {
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        let dialect = session.dialect();
        if let (Some(membership), Topic::Room(_, room)) = (session.membership(topic), topic) {
            membership.outstanding = membership.outstanding.saturating_sub(1);
            // A join that was on its way before this leave has let it in again for a moment.
            let was_live = std::mem::take(&mut membership.live);
            membership.unsure = false;
            let parts = session.granted(member.reply_to, |id| native::ok::room(id, room));
            if parts.is_empty() && session.socket.is_some() {
                session.note(io, None, member.answer());
            } else {
                session.send(io, parts, member.answer());
            }
            if let (true, Some(at)) = (was_live, session.at) {
                let line = session.line;
                self.give_checkpoint(io, line);
                self.subscriptions.remove(io, topic, member.session, at, dialect, Socket::Open);
            }
        }
        if let Some(session) = self.sessions.get_mut(&member.session) {
            session.tidy(topic);
        }
    }

    /// A request was refused, or will never be answered.
    pub(super) fn refuse(&mut self, io: &mut Io, pending: &Pending, refusal: Refusal) {
        match pending.subject {
            Subject::Recall => return self.recall_refused(io, pending, refusal),
            Subject::Part => return,
            _ => {}
        }
        let session = self.sessions.get_mut(&pending.session);
        let Some(session) = session.filter(|session| session.line == pending.line) else {
            return self.settle(io, pending);
        };
        match &pending.subject {
            // It has left as far as this shard goes, and nobody will claim it again.
            Subject::Leave(topic) => self.left(io, pending, topic),
            Subject::Join(topic) => {
                if let Some(membership) = session.membership(topic) {
                    membership.outstanding = membership.outstanding.saturating_sub(1);
                    if membership.is_out() && !membership.resumes {
                        membership.wanted = false;
                        if let Topic::Room(_, room) = topic {
                            self.stays_out(io, pending.session, room);
                        }
                    } else if membership.resumes {
                        self.retries.push(io.now.mono, (pending.session, topic.clone()));
                    }
                }
                let Some(session) = self.sessions.get_mut(&pending.session) else { return };
                session.tidy(topic);
                if matches!(pending.reply_to, ReplyTo::Nobody) {
                    self.own_join_refused(io, pending.session, topic);
                } else {
                    self.refuse_client(io, pending, refusal);
                }
            }
            _ => self.refuse_client(io, pending, refusal),
        }
        self.settle(io, pending);
    }

    fn refuse_client(&self, io: &mut Io, pending: &Pending, refusal: Refusal) {
        if let Some(session) = self.sessions.get(&pending.session) {
            let problem = problem(&pending.subject, refusal);
            session.complain(io, pending.reply_to, &problem, pending.answer());
        }
    }

    /// One thing that the client's message waited for is done.
    fn settle(&mut self, io: &mut Io, pending: &Pending) {
        if let Some(sequence) = pending.sequence {
            self.settle_line(io, pending.line, sequence);
        }
    }

    /// Whether a connection, and no later one, speaks for a session.
    pub(super) fn speaks_by(&self, session: SessionId, line: SessionId) -> bool {
        let session = self.sessions.get(&session);
        session.is_some_and(|session| session.line == line && session.at.is_some())
    }

    /// Tells whoever asked what became of a private message.
    pub(super) fn tell_handed(&mut self, io: &mut Io, report_to: ReportTo, passed: bool) {
        match report_to {
            ReportTo::Inbox { owner, topic, handover } => {
                io.answer(owner, PeerMessage::Handed { topic, handover, passed });
            }
            ReportTo::Sender { asker, identity, to } => {
                let status = if passed { SendStatus::Delivered } else { SendStatus::Offline };
                let reply = Reply::Sent(status);
                let dedupe = self.sessions.get_mut(&to).and_then(|it| it.whispers.as_mut());
                let repeats = dedupe.map(|it| it.settle(&identity, &reply)).unwrap_or_default();
                for asker in std::iter::once(asker).chain(repeats) {
                    asker.answer(io, Ok(reply.clone()));
                }
            }
        }
    }
}

/// Where the part of a topic begins that a member is given when it is let in at `position`, with
/// the missed records from `first` on.
fn begins_before(position: &Position, first: Option<u64>) -> Position {
    let offset = first.map_or(position.offset, |first| first.saturating_sub(1));
    Position { epoch: position.epoch.clone(), offset }
}

/// The object of everything but joins and leaves.
fn object(id: Option<u64>, subject: &Subject, reply: Reply) -> Bytes {
    match (subject, reply) {
        (Subject::Publish(Topic::Room(_, room)), Reply::Published(position)) => {
            native::ok::published(id, room, &position)
        }
        (Subject::Publish(Topic::Room(_, room)), Reply::Ephemeral) => native::ok::room(id, room),
        (Subject::Send { to }, Reply::Sent(status)) => native::ok::sent(id, to, status),
        (Subject::History(Topic::Room(_, room)), Reply::History { epoch, records }) => {
            native::history(id, room, &epoch, &records)
        }
        (Subject::Presence(Topic::Room(_, room)), Reply::Presence { users, sure }) => {
            native::presence(id, room, &users, sure)
        }
        // An answer to something else: the owner is at fault, and the client must not hang.
        _ => native::error(id, &unavailable()),
    }
}

pub(super) fn problem(subject: &Subject, refusal: Refusal) -> Problem {
    match (refusal, subject) {
        (
            Refusal::NotJoined,
            Subject::Join(Topic::Room(_, room))
            | Subject::Publish(Topic::Room(_, room))
            | Subject::History(Topic::Room(_, room))
            | Subject::Presence(Topic::Room(_, room)),
        ) => not_joined("asking this of", room),
        (Refusal::NotJoined, _) => Problem::new(ErrorCode::NotJoined, "join it first"),
        (Refusal::Superseded, _) => {
            Problem::bad("a later request of this session for the room took its place")
        }
        (Refusal::Unavailable | Refusal::Unknown | Refusal::Moved, _) => unavailable(),
    }
}
