//! What the core says to polling clients: the engine does with it what a router does.

use bytes::Bytes;
use trunkline_core::{
    ConnectionId, Frame, Given, GroupId, Input, Mono, Output, ReceiptId, SlotPosition,
};
use trunkline_proto::trunk;

use super::deposit::Known;
use super::ending::Ending;
use super::session::Phase;
use super::{Engine, POLLING};

/// Whether an output is for polling clients.
pub(crate) fn is_polling(output: &Output) -> bool {
    match output {
        Output::Send { trunk, .. }
        | Output::Fan { trunk, .. }
        | Output::Group { trunk, .. }
        | Output::Close { trunk, .. }
        | Output::Acknowledge { trunk, .. }
        | Output::Checkpoint { trunk, .. } => *trunk == POLLING,
        _ => false,
    }
}

impl Engine {
    /// Carries out an output for polling clients.
    pub(crate) fn carry_out(&mut self, output: Output, known: Known, now: Mono) {
        let Known { newest, private_ids } = known;
        self.newest = newest;
        match output {
            Output::Send { trunk: _, connections, frame, receipt, position, answers } => {
                self.deliver(&connections, &frame, receipt);
                if let Some(slot) = &position {
                    for ConnectionId(number) in &connections {
                        self.note(*number, Given::Slot(slot.clone()));
                    }
                }
                let position = position
                    .map(|SlotPosition { slot, position }| trunk::SlotPosition { slot, position });
                for ConnectionId(number) in connections {
                    if let Some(session) = self.sessions.get_mut(&number) {
                        session.has_had(position.as_ref(), answers);
                    }
                }
            }
            Output::Fan { trunk: _, group, frame, except, position } => {
                self.fan(group, &frame, except, position.as_ref());
                self.groups.has_had(group, position.as_ref());
            }
            Output::Group {
                trunk: _,
                group,
                connection: ConnectionId(number),
                member,
                position,
            } => self.change_group(group, number, member, position.as_ref()),
            Output::Close { connection: ConnectionId(number), .. } => self.close(number, now),
            Output::Acknowledge { connection: ConnectionId(number), sequence, .. } => {
                self.settle(number, sequence);
            }
            Output::Checkpoint { connection: ConnectionId(number), state, .. } => {
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.kept.checkpoint(&state);
                    session.ledger.checkpoint(&state);
                    self.change_private_ids(number, private_ids);
                    self.noted.insert(number);
                    self.consider_again(number);
                }
            }
            _ => {}
        }
    }

    /// Answers the polls of all who have got something. Called when there is nothing more at the
    /// moment, so that one answer takes it all.
    pub(crate) fn flush_touched(&mut self) {
        let noted = std::mem::take(&mut self.noted);
        for number in &noted {
            if let Some(session) = self.sessions.get_mut(number) {
                session.ledger.end_turn();
            }
        }
        while let Some(number) = self.touched.pop_first() {
            self.flush(number);
        }
        // A client that waits for its answer has had all others.
        noted.into_iter().for_each(|number| self.deposit(number));
    }

    fn deliver(&mut self, to: &[ConnectionId], frame: &Frame, receipt: Option<ReceiptId>) {
        let mut passed = false;
        for ConnectionId(number) in to {
            passed |= self.push(*number, frame);
        }
        if let Some(receipt) = receipt {
            self.inputs.push_back(Input::Receipt { trunk: POLLING, receipt, passed });
        }
    }

    fn fan(
        &mut self,
        group: GroupId,
        frame: &Frame,
        except: Option<ConnectionId>,
        place: Option<&Bytes>,
    ) {
        for number in self.groups.members(group) {
            let heard = except != Some(ConnectionId(number));
            if heard {
                self.push(number, frame);
            }
            if let Some(place) = place.cloned() {
                self.note(number, Given::Group { group, place, heard });
            }
        }
    }

    fn change_group(
        &mut self,
        group: GroupId,
        number: u64,
        member: bool,
        position: Option<&Bytes>,
    ) {
        let open = self.sessions.get(&number).is_some_and(|it| it.phase == Phase::Open);
        if !member {
            self.groups.leave(group, number);
            self.note(number, Given::Left(group));
        } else if open {
            self.groups.join(group, number, position);
            if let Some(place) = position.cloned() {
                self.note(number, Given::Group { group, place, heard: false });
            }
        }
    }

    /// Queues a frame; false if it was not.
    fn push(&mut self, number: u64, frame: &Frame) -> bool {
        let Some(session) = self.sessions.get_mut(&number) else { return false };
        if session.phase == Phase::Closing || frame.parts.is_empty() {
            return false;
        }
        let pushed = session.queue.push(frame);
        if pushed.is_ok() {
            session.ledger.queue(frame.parts.len());
        }
        self.touched.insert(number);
        if let Err(why) = pushed {
            self.tally.drop_one(why);
            if !why.is_harmless() {
                self.end(number, Ending::Broken);
            }
            return false;
        }
        true
    }
}
