//! A session is given to where its client has come back to. Others hear nothing of that: its topics list it
//! until it is in them again, by its next attachment.

use crate::asker::Asker;
use crate::core::Io;
use crate::home::Home;
use crate::home::socketio::departed::{Gone, tell_gone};
use crate::home::socketio::recovery::forget;
use crate::name::{Namespace, RoomId};
use crate::output::CloseCode;
use crate::peer::{Member, Recalled};
use crate::session_id::SessionId;
use crate::topic::Topic;

/// A session that is not here any more, and that its topics may list. If it doesn't go on in them in
/// time, it has left.
#[derive(Debug)]
pub(in crate::home) struct Given {
    member: Member,
    topics: Vec<Topic>,
}

impl Home {
    /// What is left of a session, which ends here; `None` if it can't go on without a gap.
    pub(super) fn give_back(
        &mut self,
        io: &mut Io,
        asker: Asker,
        private_id: SessionId,
        namespace: &Namespace,
        offset: Option<&str>,
    ) -> Option<Recalled> {
        let stays = asker.via.peer == io.links.me();
        if let Some(id) = self.privates.get(&private_id).copied() {
            self.take_from_line(io, id);
            if self.departed.has(&private_id) {
                self.take_unseen(io, private_id, id);
            } else {
                self.end(io, id);
            }
        }
        if self.departed.sessions.get(&private_id).is_some_and(|gone| gone.for_good) {
            return None;
        }
        let gone = self.departed.sessions.remove(&private_id)?;
        let positions = match gone.namespace == *namespace {
            true => {
                let came_with = gone.came_with.as_deref();
                self.stream.positions(gone.session, (offset, came_with), &gone.spans())
            }
            false => None,
        };
        let may_be_asked_again = positions.is_none() && !gone.attachment.is_first();
        if may_be_asked_again {
            let rest = Gone { for_good: true, rooms: Vec::new(), inbox: None, ..gone.clone() };
            self.departed.sessions.insert(private_id, rest);
        } else if !stays {
            tell_gone(io, gone.session, private_id);
        }
        let Gone { session, namespace, user, attachment, sequence, rooms, inbox, .. } = gone;
        let rooms = rooms.into_iter().map(|(room, _)| room);
        let Some(positions) = positions else {
            let rooms = rooms.map(|room| Topic::Room(namespace.clone(), room));
            forget(io, (session, attachment), rooms.chain([Topic::Inbox(user)]));
            return None;
        };
        let mut positions = positions.into_iter();
        let rooms = rooms.zip(positions.by_ref()).collect();
        let inbox_after = inbox.and_then(|_| positions.next());
        Some(Recalled { session, private_id, user, attachment, sequence, rooms, inbox_after })
    }

    /// A client comes back while its old connection is still believed to live: nobody has seen it go.
    pub(super) fn take_from_line(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        if let Some(at) = session.at {
            let line = session.line;
            self.hang_up(io, line, CloseCode::Done, "the client has come back elsewhere");
            self.lose(io, at);
        }
    }

    /// A session goes on whose client this shard could not see. Rooms that it was on its way into it is
    /// not in.
    fn take_unseen(&mut self, io: &mut Io, private_id: SessionId, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let goes_on_in = |room: &RoomId| {
            let gone = self.departed.sessions.get(&private_id);
            gone.is_some_and(|gone| gone.rooms.iter().any(|(it, _)| it == room))
        };
        let others = session.rooms.keys().filter(|room| !goes_on_in(room));
        let others: Vec<Topic> = others.map(|room| session.room(room)).collect();
        forget(io, (id, session.attachment), others);
        self.give_away(io, id);
    }

    /// Takes out a session that its client may go on with elsewhere.
    pub(in crate::home) fn give_away(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.take_session(id) else { return };
        let rooms = session.rooms.keys().map(|room| session.room(room));
        let topics = rooms.chain([session.inbox_topic()]).collect();
        self.given.push(io.now.mono, Given { member: session.member(), topics });
    }

    /// Those have left that have not come in time, as far as their topics know.
    pub(in crate::home) fn let_go_of_given(&mut self, io: &mut Io) {
        while let Some(Given { member, topics }) = self.given.pop_due(io.now.mono) {
            for topic in topics {
                self.part_as(io, member.clone(), topic);
            }
        }
    }
}
