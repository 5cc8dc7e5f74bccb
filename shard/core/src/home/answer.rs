//! From an owner's answer to the client's.

use super::Home;
use super::command::{not_joined, unavailable};
use super::handovers::Asker;
use super::requests::{Pending, Subject};
use super::session::Session;
use super::subscription::Socket;
use crate::core::Io;
use crate::dialect::native::{self, ErrorCode, Problem, Source};
use crate::output::{Frame, FrameKind, Output};
use crate::peer::{Joined, PeerMessage, Refusal, Reply, RequestId};
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
            Ok(reply) => self.grant(io, pending, reply),
            Err(refusal) => self.refuse(io, &pending, refusal),
        }
    }

    fn grant(&mut self, io: &mut Io, pending: Pending, reply: Reply) {
        let Some(session) = self.sessions.get_mut(&pending.session) else { return };
        if session.at.is_none() {
            return;
        }
        let Pending { session: id, sequence, id: number, owner, started, subject } = pending;
        match (subject, reply) {
            (Subject::Join(topic), Reply::Joined(joined)) => {
                self.joined(io, id, number, owner, &topic, joined);
            }
            (Subject::Leave(topic), Reply::Left) => self.left(io, id, number, &topic),
            (subject, reply) => {
                if matches!(subject, Subject::Publish(_) | Subject::Send { .. }) {
                    io.output(Output::Published(io.now.mono.since(started)));
                }
                let answer = number.and_then(|number| text(number, &subject, reply));
                session.answer_all(io, answer);
            }
        }
        if let (Some(session), Some(sequence)) = (self.sessions.get_mut(&id), sequence) {
            session.settle(io, sequence);
        }
    }

    /// What was missed, then `ok`, then what is live: in this order on the connection.
    fn joined(
        &mut self,
        io: &mut Io,
        id: crate::session_id::SessionId,
        number: Option<u64>,
        owner: crate::link::ShardIndex,
        topic: &Topic,
        joined: Joined,
    ) {
        let Joined { position, members, recovered, gap, missed, handover } = joined;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(at) = session.at else { return };
        let mut parts = Vec::with_capacity(missed.len() + 2);
        match topic {
            Topic::Room(_, room) => {
                parts.extend(gap.map(|offset| native::gap(room, &position.epoch, offset)));
                parts.extend(
                    missed
                        .iter()
                        .map(|record| native::message(Source::Room(room), &position.epoch, record)),
                );
                parts.extend(
                    number.map(|number| {
                        native::ok::joined(number, room, &position, members, recovered)
                    }),
                );
                session.answer_all(io, parts);
            }
            Topic::Inbox(_) => {
                session.inbox_after = None;
                parts.extend(
                    missed
                        .iter()
                        .map(|record| native::message(Source::Inbox, &position.epoch, record)),
                );
                let receipt = handover.and_then(|handover| {
                    let topic = topic.clone();
                    let asker = Asker::Inbox { owner, topic, handover };
                    self.handovers.begin(asker, &[at.0]).first().copied()
                });
                if !parts.is_empty() {
                    let frame = Frame { kind: FrameKind::Reply, parts };
                    let connections = vec![at.1];
                    io.output(Output::Send { trunk: at.0, connections, frame, receipt });
                }
            }
        }
        if let Some(membership) = session.membership(topic) {
            membership.outstanding = membership.outstanding.saturating_sub(1);
            if membership.wanted && !membership.live {
                membership.live = true;
                self.subscriptions.add(io, topic, id, at, owner, position);
            }
        }
        session.tidy(topic);
    }

    fn left(
        &mut self,
        io: &mut Io,
        id: crate::session_id::SessionId,
        number: Option<u64>,
        topic: &Topic,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let (Some(membership), Topic::Room(_, room)) = (session.membership(topic), topic) {
            membership.outstanding = membership.outstanding.saturating_sub(1);
            // A join that was on its way before this leave has let it in again for a moment.
            let was_live = std::mem::take(&mut membership.live);
            session.answer_all(io, number.map(|number| native::ok::room(number, room)));
            if let (true, Some(at)) = (was_live, session.at) {
                self.subscriptions.remove(io, topic, id, at, Socket::Open);
            }
        }
        session.tidy(topic);
    }

    /// A request was refused, or will never be answered.
    pub(super) fn refuse(&mut self, io: &mut Io, pending: &Pending, refusal: Refusal) {
        let Some(session) = self.sessions.get_mut(&pending.session) else { return };
        if let Subject::Leave(topic) = &pending.subject {
            // It has left as far as this shard goes, and nobody will claim it again.
            return self.grant_leave(io, pending, &topic.clone());
        }
        if let Subject::Join(topic) = &pending.subject {
            if let Some(membership) = session.membership(topic) {
                membership.outstanding = membership.outstanding.saturating_sub(1);
                if !membership.live && membership.outstanding == 0 {
                    membership.wanted = false;
                }
            }
            session.tidy(topic);
            if matches!(topic, Topic::Inbox(_)) {
                self.inbox_retries.push(io.now.mono, pending.session);
                return;
            }
        }
        let problem = problem(&pending.subject, refusal);
        session.answer(io, vec![native::error(pending.id, &problem)]);
        if let Some(sequence) = pending.sequence {
            session.settle(io, sequence);
        }
    }

    fn grant_leave(&mut self, io: &mut Io, pending: &Pending, topic: &Topic) {
        self.left(io, pending.session, pending.id, topic);
        if let (Some(session), Some(sequence)) =
            (self.sessions.get_mut(&pending.session), pending.sequence)
        {
            session.settle(io, sequence);
        }
    }

    /// Tells whoever asked what became of a private message.
    pub(super) fn tell_handed(io: &mut Io, asker: Asker, passed: bool) {
        match asker {
            Asker::Inbox { owner, topic, handover } => {
                io.tell(owner, PeerMessage::Handed { topic, handover, passed });
            }
            Asker::Whisper { home, request } => {
                use crate::peer::SendStatus::{Delivered, Offline};
                let status = if passed { Delivered } else { Offline };
                let result = Ok(Reply::Sent(status));
                io.tell(home, PeerMessage::Reply { request, result });
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
        (Refusal::Unavailable, _) => unavailable(),
    }
}
