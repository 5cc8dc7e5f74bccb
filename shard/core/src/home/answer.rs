//! From an owner's answer to the client's.

use super::Home;
use super::handovers::ReportTo;
use super::permission::{not_joined, unavailable};
use super::requests::{Pending, Subject};
use super::session::Session;
use super::subscription::Socket;
use crate::core::Io;
use crate::dialect::native::{self, ErrorCode, Problem, Source};
use crate::name::RoomId;
use crate::output::{Frame, FrameKind, Output};
use crate::peer::{Joined, PeerMessage, Refusal, Reply, RequestId, SendStatus};
use crate::position::Position;
use crate::topic::Topic;

impl Home {
    pub(crate) fn reply(
        &mut self,
        io: &mut Io,
        request: RequestId,
        result: Result<Reply, Refusal>,
    ) {
        let Some(pending) = self.requests.end(request) else { return };
        match result {
            Ok(reply) => self.grant(io, &pending, reply),
            Err(refusal) => self.refuse(io, &pending, refusal),
        }
    }

    fn grant(&mut self, io: &mut Io, pending: &Pending, reply: Reply) {
        let attached = self.sessions.get(&pending.session).filter(|session| session.at.is_some());
        let Some(session) = attached else { return self.decline(io, pending, reply) };
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
                let answer = pending.id.and_then(|id| text(id, subject, reply));
                session.answer_all(io, answer);
            }
        }
        self.settle(io, pending);
    }

    /// The session has gone meanwhile: what was to be handed to it has not been.
    fn decline(&mut self, io: &mut Io, pending: &Pending, reply: Reply) {
        if let (Subject::Join(topic), Reply::Joined(Joined { handover, .. })) =
            (&pending.subject, reply)
        {
            self.not_handed(io, pending.owner, topic, handover);
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
        let Joined { position, members, recovered, gap, missed, handover: _ } = joined;
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        let mut parts = Vec::with_capacity(missed.len() + 2);
        parts.extend(gap.map(|offset| native::gap(room, &position.epoch, offset)));
        let source = Source::Room(room);
        parts.extend(missed.iter().map(|it| native::message(source, &position.epoch, it)));
        let ok = |id| native::ok::joined(id, room, &position, members, recovered);
        parts.extend(member.id.map(ok));
        session.answer_all(io, parts);
        self.go_live(io, member, topic, position);
    }

    /// The welcome, then what was missed, then what is live.
    fn joined_inbox(&mut self, io: &mut Io, member: &Pending, topic: &Topic, joined: Joined) {
        let Joined { position, missed, handover, .. } = joined;
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        let Some((trunk, connection)) = session.at else { return };
        session.inbox_after = None;
        let said = session.welcome(io);
        let receipt = handover.and_then(|handover| {
            let (owner, topic) = (member.owner, topic.clone());
            let report_to = ReportTo::Inbox { owner: io.links.via(owner), topic, handover };
            self.handovers.begin(report_to, &[trunk]).first().copied()
        });
        let encode = |record| native::message(Source::Inbox, &position.epoch, record);
        if !missed.is_empty() {
            let frame = Frame::native(FrameKind::Reply, missed.iter().map(|it| encode(it)));
            io.output(Output::Send { trunk, connections: vec![connection], frame, receipt });
        }
        self.go_live(io, member, topic, position);
        for (sequence, payload) in said {
            self.said(io, member.session, sequence, &payload);
        }
    }

    /// The owner has let the session in, at `position`.
    fn go_live(&mut self, io: &mut Io, member: &Pending, topic: &Topic, position: Position) {
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        if let (Some(at), Some(membership)) = (session.at, session.membership(topic)) {
            membership.outstanding = membership.outstanding.saturating_sub(1);
            if membership.wanted && !membership.live {
                membership.live = true;
                let (id, owner) = (member.session, member.owner);
                self.subscriptions.add(io, topic, id, at, owner, position);
            }
        }
        session.tidy(topic);
    }

    /// A leave is done, as far as this shard goes.
    fn left(&mut self, io: &mut Io, member: &Pending, topic: &Topic) {
        let Some(session) = self.sessions.get_mut(&member.session) else { return };
        if let (Some(membership), Topic::Room(_, room)) = (session.membership(topic), topic) {
            membership.outstanding = membership.outstanding.saturating_sub(1);
            // A join that was on its way before this leave has let it in again for a moment.
            let was_live = std::mem::take(&mut membership.live);
            session.answer_all(io, member.id.map(|id| native::ok::room(id, room)));
            if let (true, Some(at)) = (was_live, session.at) {
                self.subscriptions.remove(io, topic, member.session, at, Socket::Open);
            }
        }
        session.tidy(topic);
    }

    /// A request was refused, or will never be answered.
    pub(super) fn refuse(&mut self, io: &mut Io, pending: &Pending, refusal: Refusal) {
        let Some(session) = self.sessions.get_mut(&pending.session) else { return };
        match &pending.subject {
            // It has left as far as this shard goes, and nobody will claim it again.
            Subject::Leave(topic) => self.left(io, pending, topic),
            Subject::Join(topic) => {
                if let Some(membership) = session.membership(topic) {
                    membership.outstanding = membership.outstanding.saturating_sub(1);
                    if membership.is_over() {
                        membership.wanted = false;
                    }
                }
                session.tidy(topic);
                if matches!(topic, Topic::Inbox(_)) {
                    self.inbox_retries.push(io.now.mono, pending.session);
                    return self.greet(io, pending.session);
                }
                self.refuse_client(io, pending, refusal);
            }
            _ => self.refuse_client(io, pending, refusal),
        }
        self.settle(io, pending);
    }

    fn refuse_client(&self, io: &mut Io, pending: &Pending, refusal: Refusal) {
        if let Some(session) = self.sessions.get(&pending.session) {
            let problem = problem(&pending.subject, refusal);
            session.answer(io, vec![native::error(pending.id, &problem)]);
        }
    }

    /// The client's message that asked for this is settled.
    fn settle(&mut self, io: &mut Io, pending: &Pending) {
        if let (Some(session), Some(sequence)) =
            (self.sessions.get_mut(&pending.session), pending.sequence)
        {
            session.settle(io, sequence);
        }
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

impl Session {
    /// Like [`Session::answer`], but nothing to say is nothing said.
    fn answer_all(&self, io: &mut Io, parts: impl IntoIterator<Item = bytes::Bytes>) {
        let parts: Vec<_> = parts.into_iter().collect();
        if !parts.is_empty() {
            self.answer(io, parts);
        }
    }
}

/// The `ok` of everything but joins and leaves.
fn text(number: u64, subject: &Subject, reply: Reply) -> Option<bytes::Bytes> {
    match (subject, reply) {
        (Subject::Publish(Topic::Room(_, room)), Reply::Published(position)) => {
            Some(native::ok::published(number, room, &position))
        }
        (Subject::Publish(Topic::Room(_, room)), Reply::Ephemeral) => {
            Some(native::ok::room(number, room))
        }
        (Subject::Send { to }, Reply::Sent(status)) => Some(native::ok::sent(number, to, status)),
        (Subject::History(Topic::Room(_, room)), Reply::History { epoch, records }) => {
            Some(native::history(number, room, &epoch, &records))
        }
        (Subject::Presence(Topic::Room(_, room)), Reply::Presence { users, sure }) => {
            Some(native::presence(number, room, &users, sure))
        }
        // An answer to something else: the owner is at fault, and the client must not hang.
        _ => Some(native::error(Some(number), &unavailable())),
    }
}

fn problem(subject: &Subject, refusal: Refusal) -> Problem {
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
        (Refusal::Unavailable | Refusal::Unknown, _) => unavailable(),
    }
}
