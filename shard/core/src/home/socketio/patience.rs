//! A client that comes back waits for topics that can't be reached now, as after its shard died: without
//! what it missed there it would not be told that it has recovered.

use crate::core::Io;
use crate::home::Home;
use crate::home::greeting::Greeting;
use crate::link::ShardIndex;
use crate::name::RoomId;
use crate::position::Position;
use crate::session_id::SessionId;
use crate::topic::Topic;

impl Home {
    /// Lets a client that comes back wait for one of its topics. False if it has waited for too long.
    pub(super) fn wait_for(&mut self, io: &Io, id: SessionId, topic: &Topic) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        let Greeting::Due(due) = &mut session.greeting else { return true };
        let is_patient = io.now.mono < due.patience;
        if is_patient {
            due.out_of_reach.insert(topic.clone());
            self.retries.push(io.now.mono, (id, topic.clone()));
        }
        is_patient
    }

    /// Asks a topic again that could not be had.
    pub(in crate::home) fn ask_again(&mut self, io: &mut Io, id: SessionId, topic: &Topic) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let recovering = match &mut session.greeting {
            Greeting::Due(due) => due.recalled.as_ref().map(|it| (it, &mut due.out_of_reach)),
            Greeting::Done => None,
        };
        let Some((recalled, out_of_reach)) = recovering else {
            self.join_own(io, id, topic, None);
            return;
        };
        if !out_of_reach.remove(topic) {
            return;
        }
        // Its inbox is asked when it is in all its rooms.
        if let Topic::Room(_, room) = topic {
            let is_it = |(it, _): &&(RoomId, Position)| it == room;
            let after = recalled.rooms.iter().find(is_it).map(|(_, after)| after.clone());
            if !self.join_own(io, id, topic, after) && !self.wait_for(io, id, topic) {
                return self.give_up_recovering(io, id);
            }
        }
        self.continue_greeting(io, id);
    }

    /// Topics that a peer owns, which is back, and that clients which come back wait for.
    pub(in crate::home) fn awaited_from(
        &self,
        io: &Io,
        peer: ShardIndex,
    ) -> Vec<(SessionId, Topic)> {
        let mut awaited = Vec::new();
        for (id, session) in &self.sessions {
            if let Greeting::Due(due) = &session.greeting {
                let of_peer = due.out_of_reach.iter().filter(|topic| io.owner_of(topic) == peer);
                awaited.extend(of_peer.map(|topic| (*id, topic.clone())));
            }
        }
        awaited
    }
}
