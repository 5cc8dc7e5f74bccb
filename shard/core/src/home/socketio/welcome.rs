//! The moment in which a Socket.IO client is in its namespace: it is told so, then what it has
//! missed, then it hears what is live, and what it has said meanwhile is taken up.

use crate::core::Io;
use crate::dialect::socketio;
use crate::home::Home;
use crate::home::greeting::{Due, Greeting, Held};
use crate::home::handovers::ReportTo;
use crate::name::RoomId;
use crate::output::{Answer, Frame, FrameKind, Output};
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{Dialect, link};

impl Home {
    /// All its topics have let it in, or can't now. `report_to` wants to know whether what was
    /// missed has entered the out-queue.
    pub(in crate::home) fn open_socket(
        &mut self,
        io: &mut Io,
        id: SessionId,
        report_to: Option<ReportTo>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(at @ (trunk, connection)) = session.at else { return };
        let Some(socket) = &mut session.socket else { return };
        let mut due = match std::mem::replace(&mut session.greeting, Greeting::Done) {
            Greeting::Due(due) => due,
            Greeting::Done => return,
        };
        socket.actions.clone_from(&due.actions);
        if due.sought {
            io.output(Output::Sought { recovered: due.recalled.is_some() });
        }
        session.inbox_after = None;
        // With the welcome it has had everything up to now. The router must know so if it knows
        // that the client has had the welcome.
        session.settle_places(&self.subscriptions);
        let line = session.line;
        self.give_checkpoint(io, line);
        let Self { sessions, stream, subscriptions, handovers, .. } = self;
        let Some(session) = sessions.get_mut(&id) else { return };
        let Some(socket) = &session.socket else { return };
        let private_id = io.settings.recovery.map(|_| &socket.private_id);
        let namespace = &session.namespace;
        let before = stream.at();
        let mut parts = vec![socketio::connected(namespace, &id, private_id)];
        for held in due.take_held() {
            match held {
                Held::Parts(held) => parts.extend(held),
                Held::Gap(topic, epoch, offset) => {
                    let stamp = stream.gap(io, &topic, Some(id));
                    if let Some(room) = room_of(&topic) {
                        let place = (&epoch, offset);
                        parts.push(socketio::gap(namespace, room, place, stamp.as_deref()));
                    }
                }
                Held::Missed(topic, epoch, record) | Held::Live(topic, epoch, record) => {
                    let stamp = stream.kept(io, &topic, &epoch, &record, Some(id));
                    let room = room_of(&topic);
                    parts.extend(socketio::record(
                        namespace,
                        room,
                        &epoch,
                        &record,
                        stamp.as_deref(),
                    ));
                }
            }
        }
        let receipt = report_to.and_then(|it| handovers.begin(it, &[trunk]).first().copied());
        let frame = Frame::socketio(FrameKind::Reply, parts);
        let answers = Answer { message: socket.connect, part: 0 }.counted_from(socket.counts_from);
        let connections = vec![connection];
        let everyone = session.room(&RoomId::everyone());
        let base = session.membership(&everyone).and_then(|it| it.base.clone());
        let stamp = stream.at();
        let position = base
            .filter(|_| stamp != before)
            .map(|base| session.next_entry(&everyone, &base, 0, Some(stamp)));
        io.output(Output::Send { trunk, connections, frame, receipt, position, answers });
        let live_from = stream.last();
        let topics: Vec<Topic> = session.rooms.keys().map(|room| session.room(room)).collect();
        for membership in session.rooms.values_mut().chain([&mut session.inbox]) {
            membership.live_from = live_from;
        }
        for topic in topics {
            subscriptions.enter(io, &topic, id, at, Dialect::SocketIo);
        }
        self.welcomed(io, id, *due);
    }

    fn welcomed(&mut self, io: &mut Io, id: SessionId, due: Due) {
        let Due { said, auth, actions, .. } = due;
        if let Some(session) = self.sessions.get(&id) {
            self.tell_whereabouts(io, session);
            // A link that came up meanwhile has passed it over.
            for topic in session.own_topics().collect::<Vec<_>>() {
                self.join_own(io, id, &topic, None);
            }
        }
        self.connected(io, id, auth, &actions, 0);
        for (sequence, heard) in said {
            self.said(io, id, sequence, heard);
        }
    }

    /// A topic that the session is in by itself can't be had now: it goes without for a while.
    pub(in crate::home) fn own_join_refused(&mut self, io: &mut Io, id: SessionId, topic: &Topic) {
        let session = self.sessions.get_mut(&id);
        if let Some(Greeting::Due(due)) = session.map(|session| &mut session.greeting)
            && due.recalled.is_some()
        {
            if matches!(topic, Topic::Room(..)) {
                due.joins = due.joins.saturating_sub(1);
            }
            // It must not be told that it has all.
            if !self.wait_for(io, id, topic) {
                self.give_up_recovering(io, id);
            }
            return;
        }
        self.retries.push(io.now.mono, (id, topic.clone()));
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let is_socket = session.socket.is_some();
        let Greeting::Due(due) = &mut session.greeting else { return };
        match topic {
            Topic::Inbox(_) if is_socket => self.open_socket(io, id, None),
            Topic::Inbox(_) => self.greet(io, id),
            Topic::Room(..) => {
                due.joins = due.joins.saturating_sub(1);
                self.continue_greeting(io, id);
            }
        }
    }

    /// A session's own topics, and those that it is to go on in, whose owner is a peer that is back.
    pub(in crate::home) fn missing_topics(
        &self,
        io: &Io,
        peer: link::ShardIndex,
    ) -> Vec<(SessionId, Topic)> {
        let mut missing = Vec::new();
        for session in self.sessions.values() {
            if session.is_welcome_due() {
                continue;
            }
            let is_missing = |topic: &Topic| session.is_out_of(topic) && io.owner_of(topic) == peer;
            let topics = session.own_topics().chain(session.resuming());
            missing.extend(topics.filter(is_missing).map(|it| (session.id, it)));
        }
        missing
    }
}

fn room_of(topic: &Topic) -> Option<&RoomId> {
    match topic {
        Topic::Room(_, room) => Some(room),
        Topic::Inbox(_) => None,
    }
}
