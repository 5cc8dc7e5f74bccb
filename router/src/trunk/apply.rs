//! Applying a shard's batch: fan-out.
//!
//! Every item is applied to queues first, in order, and then each connection that got something
//! is written to once. So what waits for one socket leaves in one write, and nothing between
//! the batch and the sockets switches tasks.

use std::rc::Rc;

use trunkline_proto::outbox::Haste;
use trunkline_proto::trunk::{
    Acknowledge, ApiAnswer, Checkpoint, Close, Deposit, Dialect, Down, Fan, Frame, GroupChange,
    PollAnswer, Receipt, Seek, Send, ShardStatus, Up, down, up,
};

use super::group::Members;
use crate::connection::Connection;
use crate::connection::close::CloseReason;
use crate::frame::{self, Encoded, Kind};
use crate::metrics::Tally;

/// What a batch left to do for the trunk.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) tally: Tally,
    pub(super) receipts: Vec<Up>,
    /// What the most urgent of the receipts needs.
    pub(super) haste: Haste,
    pub(super) polled: Vec<PollAnswer>,
    pub(super) answered: Vec<ApiAnswer>,
    pub(super) statuses: Vec<ShardStatus>,
    pub(super) deposits: Vec<Deposit>,
    pub(super) sought: Vec<Seek>,
}

/// Applies one batch after the other; keeps its buffer.
#[derive(Default)]
pub(super) struct Applier {
    touched: Vec<Rc<Connection>>,
}

impl Applier {
    /// Queues what a batch brings; [`Applier::flush`] writes it.
    pub(super) fn apply(&mut self, members: &mut Members, items: Vec<Down>) -> Applied {
        let mut applied = Applied::default();
        for item in items {
            match item.item {
                Some(down::Item::Send(send)) => self.send(members, &send, &mut applied),
                Some(down::Item::Fan(fan)) => self.fan(members, &fan, &mut applied.tally),
                Some(down::Item::Group(change)) => change_group(members, &change),
                Some(down::Item::Close(close)) => self.close(members, close),
                Some(down::Item::Acknowledge(settled)) => acknowledge(members, &settled),
                Some(down::Item::Poll(answer)) => applied.polled.push(answer),
                Some(down::Item::Api(answer)) => applied.answered.push(answer),
                Some(down::Item::Checkpoint(newest)) => keep_checkpoint(members, &newest),
                Some(down::Item::Deposit(deposit)) => applied.deposits.push(deposit),
                Some(down::Item::Seek(seek)) => applied.sought.push(seek),
                Some(down::Item::Status(status)) => applied.statuses.push(status),
                // A second hello says nothing new, and an item of a newer shard is not for us.
                Some(down::Item::Hello(_)) | None => {}
            }
        }
        applied
    }

    /// Writes what the batch brought to the sockets.
    pub(super) fn flush(&mut self) {
        for connection in self.touched.drain(..) {
            connection.flush();
        }
    }

    fn send(&mut self, members: &Members, send: &Send, applied: &mut Applied) {
        let mut passed = false;
        let frame = encoded(send.frame.as_ref());
        let is_noted = send.position.is_some() || send.answers != 0;
        for number in &send.connections {
            let Some(connection) = members.get(*number) else { continue };
            if let Some(frame) = &frame {
                passed |= self.deliver(connection, frame, &mut applied.tally);
            }
            // Who had no room for it is closing if it mattered.
            if is_noted {
                connection.has_had(send.position.as_ref(), send.answers, send.part);
            }
        }
        if send.receipt != 0 {
            // The shard has numbered it so (trunk.proto).
            let is_awaited = send.receipt & 1 == 1;
            applied.haste = applied.haste.max(if is_awaited { Haste::Now } else { Haste::Later });
            let receipt = Receipt { receipt: send.receipt, passed };
            applied.receipts.push(Up { item: Some(up::Item::Receipt(receipt)) });
        }
    }

    fn fan(&mut self, members: &mut Members, fan: &Fan, tally: &mut Tally) {
        let Some(group) = members.group(fan.group) else { return };
        if let Some(frame) = encoded(fan.frame.as_ref()) {
            for connection in &group.members {
                if connection.alias() != fan.except {
                    self.deliver(connection, &frame, tally);
                }
            }
        }
        if !trunkline_planted::is("note no places of a group") {
            group.has_had(&fan.position);
        }
    }

    fn deliver(&mut self, to: &Rc<Connection>, frame: &Encoded, tally: &mut Tally) -> bool {
        match to.push(frame) {
            Ok(taken) => {
                if taken && frame.kind != Kind::Reply {
                    *match to.dialect {
                        Dialect::SocketIo => &mut tally.deliveries_socketio,
                        Dialect::Native | Dialect::Unspecified => &mut tally.deliveries,
                    } += u64::from(frame.messages);
                }
                self.touch(to);
                taken
            }
            Err(why) => {
                tally.drop_one(why);
                // A close may have been queued.
                self.touch(to);
                false
            }
        }
    }

    fn close(&mut self, members: &Members, close: Close) {
        if let Some(connection) = members.get(close.connection) {
            connection.close(&CloseReason::from_shard(close.code, close.reason));
            self.touch(connection);
        }
    }

    fn touch(&mut self, connection: &Rc<Connection>) {
        if connection.touch() {
            self.touched.push(Rc::clone(connection));
        }
    }
}

/// None for a frame that holds no message.
fn encoded(frame: Option<&Frame>) -> Option<Encoded> {
    frame.filter(|frame| !frame.parts.is_empty()).map(frame::encode)
}

fn change_group(members: &mut Members, change: &GroupChange) {
    if change.member {
        members.join(change.group, change.connection, &change.position);
    } else if !trunkline_planted::is("deliver to who has left") {
        members.leave(change.group, change.connection);
    }
}

fn acknowledge(members: &Members, settled: &Acknowledge) {
    if let Some(connection) = members.get(settled.connection) {
        let early = u64::from(trunkline_planted::is("settle one too many"));
        connection.settle(settled.sequence + early);
    }
}

fn keep_checkpoint(members: &Members, newest: &Checkpoint) {
    if let Some(connection) = members.get(newest.connection) {
        connection.keep_checkpoint(&newest.state);
    }
}
