//! What is still done for a client that has gone: the application was asked when it went, and the
//! answer came when its session was over.

use super::rule::Run;
use crate::core::Io;
use crate::dialect::Problem;
use crate::dialect::command::Command;
use crate::home::Home;
use crate::home::command::{Letter, Origin, Step};
use crate::home::permission::not_joined;
use crate::home::requests::Subject;
use crate::home::session::Session;
use crate::name::RoomId;
use crate::peer::{Action, Member};
use crate::rights::{Rights, Verdict};
use crate::topic::Topic;

/// What a client might do when it went.
#[derive(Debug)]
pub(super) struct Parted {
    rights: Rights,
    rooms: Vec<RoomId>,
}

impl Parted {
    pub(super) fn new(session: &Session) -> Self {
        let rights = session.identity.rights.clone();
        Self { rights, rooms: session.rooms.keys().cloned().collect() }
    }

    fn may_publish(&self, room: &RoomId) -> Result<(), Problem> {
        let may = match self.rights.publish(room) {
            Verdict::Allowed => true,
            Verdict::IfJoined => self.rooms.contains(room),
            Verdict::Forbidden => false,
        };
        if may && !room.is_everyone() { Ok(()) } else { Err(not_joined("publishing to", room)) }
    }
}

impl Home {
    /// Carries out what a rule wants of a client that has gone. It is in no room any more and
    /// hears nothing: what only concerns itself is done with.
    pub(super) fn command_of_parted(
        &mut self,
        io: &mut Io,
        run: &Run,
        origin: Origin,
        command: Command,
    ) -> Result<Step, Problem> {
        match command {
            Command::Publish { room, body, key, ephemeral, echo } => {
                if let Some(parted) = &run.parted {
                    parted.may_publish(&room)?;
                }
                let action = Action::Publish { body, key, ephemeral, echo };
                self.publish_of_parted(io, run, origin, room, action)
            }
            Command::Send { to, body, key, ephemeral } => {
                let letter = Letter { to, body, key, ephemeral };
                self.send(io, origin, run.member(), letter)
            }
            _ => Ok(Step::Done),
        }
    }

    /// Publishes what a client that has gone may say.
    pub(super) fn publish_of_parted(
        &mut self,
        io: &mut Io,
        run: &Run,
        origin: Origin,
        room: RoomId,
        action: Action,
    ) -> Result<Step, Problem> {
        let topic = Topic::Room(run.namespace.clone(), room);
        let subject = Subject::Publish(topic.clone());
        self.ask_as(io, origin, run.member(), subject, topic, action)
    }
}

impl Run {
    fn member(&self) -> Member {
        Member { session: self.session, user: self.user.clone() }
    }
}
