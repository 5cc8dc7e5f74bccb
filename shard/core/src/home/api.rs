//! What the servers of an application ask, by way of a router.

use super::Home;
use super::command::{Letter, Origin};
use super::requests::Subject;
use super::respond::ReplyTo;
use crate::TrunkId;
use crate::api::{ApiCall, ApiCallId};
use crate::core::Io;
use crate::dialect::Problem;
use crate::output::Output;
use crate::peer::{Action, Member};
use crate::topic::Topic;

impl Home {
    pub(crate) fn api(
        &mut self,
        io: &mut Io,
        trunk: TrunkId,
        call: ApiCallId,
        member: Member,
        request: ApiCall,
    ) {
        let reply_to = ReplyTo::Api { trunk, call };
        let (session, line) = (member.session, member.session);
        let origin = Origin { session, line, reply_to, message: None, sequence: call.0 };
        if let Err(problem) = self.ask_for(io, origin, member, request) {
            let answer = Err(problem.into());
            io.output(Output::ApiAnswer { trunk, call, answer });
        }
    }

    fn ask_for(
        &mut self,
        io: &mut Io,
        origin: Origin,
        member: Member,
        request: ApiCall,
    ) -> Result<(), Problem> {
        match request {
            ApiCall::Topic(topic, action) => {
                let subject = subject(&topic, &action);
                self.ask_as(io, origin, member, subject, topic, action)?;
            }
            ApiCall::Session { to, body, key, ephemeral } => {
                let letter = Letter { to: to.to_string(), body, key, ephemeral };
                self.send(io, origin, member, letter)?;
            }
        }
        Ok(())
    }
}

fn subject(topic: &Topic, action: &Action) -> Subject {
    match (action, topic) {
        (Action::Join { .. }, _) => Subject::Join(topic.clone()),
        (Action::Leave, _) => Subject::Leave(topic.clone()),
        (Action::Publish { .. }, Topic::Inbox(user)) => Subject::Send { to: user.to_string() },
        (Action::Publish { .. }, Topic::Room(..)) => Subject::Publish(topic.clone()),
        (Action::Gather { timeout, .. }, _) => Subject::Gather(*timeout),
        (Action::Disconnect, _) => Subject::Disconnect,
        (Action::History { .. }, _) => Subject::History(topic.clone()),
        (Action::Presence { .. }, _) => Subject::Presence(topic.clone()),
    }
}
