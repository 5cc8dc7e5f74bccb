//! What is still done for a client that has gone: the application was asked when it went, and the
//! answer came when its session was over.

use super::run::Run;
use crate::core::Io;
use crate::dialect::Problem;
use crate::dialect::command::Command;
use crate::home::Home;
use crate::home::command::{Letter, Origin, Step};
use crate::home::permission::may_publish;
use crate::home::requests::Subject;
use crate::home::session::Session;
use crate::name::RoomId;
use crate::peer::{Action, Member};
use crate::rights::Rights;
use crate::topic::Topic;

/// What a client might do when it went.
#[derive(Debug)]
pub(super) struct Parted {
    rights: Rights,
    member: Member,
    rooms: Vec<RoomId>,
}

impl Parted {
    pub(super) fn new(session: &Session) -> Self {
        let rights = session.identity.rights.clone();
        Self { rights, member: session.member(), rooms: session.rooms.keys().cloned().collect() }
    }
}

impl Home {
    /// Carries out what is wanted of a run's client. One that has gone is in no room any more and
    /// hears nothing: what only concerns itself is done with.
    pub(super) fn command_of(
        &mut self,
        io: &mut Io,
        run: &Run,
        origin: Origin,
        command: Command,
    ) -> Result<Step, Problem> {
        let Some(Parted { rights, member, rooms }) = &run.parted else {
            return self.command(io, origin, command);
        };
        match command {
            Command::Publish { room, body, key, ephemeral, echo } => {
                may_publish(rights, &room, rooms.contains(&room))?;
                let action = Action::Publish { body, key, ephemeral, echo };
                self.publish_of(io, run, origin, &room, action)
            }
            Command::Send { to, body, key, ephemeral } => {
                let letter = Letter { to, body, key, ephemeral };
                self.send(io, origin, member.clone(), letter)
            }
            _ => Ok(Step::Done),
        }
    }

    /// Publishes for a run's client, who may speak there.
    pub(super) fn publish_of(
        &mut self,
        io: &mut Io,
        run: &Run,
        origin: Origin,
        room: &RoomId,
        action: Action,
    ) -> Result<Step, Problem> {
        let Some(Parted { member, .. }) = &run.parted else {
            return self.publish(io, origin, room, action);
        };
        let topic = Topic::Room(run.namespace.clone(), room.clone());
        let subject = Subject::Publish(topic.clone());
        self.ask_as(io, origin, member.clone(), subject, topic, action)
    }
}
