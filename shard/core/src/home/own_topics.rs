//! The topics that sessions are in without having asked: the user's inbox, and the room of
//! everyone in a Socket.IO client's namespace; and after a connection was attached again, all that
//! its session was in. They are asked again until they let it in.

use super::Home;
use super::greeting::Greeting;
use super::requests::{Asked, Pending, Subject};
use super::respond::ReplyTo;
use crate::core::Io;
use crate::peer::{Action, Refusal};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    /// Asks a topic to let a session in, unless it is in, on its way in, or out of reach: when
    /// the link comes up it is asked again. False if it is out of reach.
    pub(super) fn join_own(
        &mut self,
        io: &mut Io,
        id: SessionId,
        topic: &Topic,
        after: Option<Position>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        if session.at.is_none() || !session.is_out_of(topic) || !session.hears() {
            return true;
        }
        let resumes = session.resumes_after(topic);
        if let (Topic::Room(_, room), None) = (topic, &resumes)
            && (session.socket.is_none() || session.has_left_since(room, 0))
        {
            // It has left since.
            return true;
        }
        // What the client has named counts until the inbox has answered.
        let after = match topic {
            Topic::Room(..) => resumes.or(after),
            Topic::Inbox(_) => session.inbox_after.clone(),
        };
        let (member, line) = (session.member(), session.line);
        let subject = Subject::Join(topic.clone());
        let action = Action::Join { after };
        let pending = Box::new(Pending {
            session: id,
            line,
            sequence: None,
            known_by: 0,
            reply_to: ReplyTo::Nobody,
            owner: io.links.me(),
            started: io.now.mono,
            subject,
            asked: Asked::Topic { member, sequence: 0, topic: topic.clone(), action },
        });
        if self.dispatch(io, pending).is_err() {
            return false;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        session.joins(topic);
        if let (Greeting::Due(due), Topic::Room(..)) = (&mut session.greeting, topic) {
            due.joins += 1;
        }
        true
    }

    /// A request was refused or will never be answered.
    pub(super) fn refuse_or_forward(&mut self, io: &mut Io, pending: &Pending, refusal: Refusal) {
        if let Some(Err(refusal)) = self.forward(io, pending, Err(refusal)) {
            self.refuse(io, pending, refusal);
        }
    }
}
