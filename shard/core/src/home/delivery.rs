//! From what an owner delivers to frames for the connections that hear it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Home;
use super::handovers::ReportTo;
use super::subscription::Subscription;
use crate::asker::Asker;
use crate::core::Io;
use crate::dedupe::{Dedupe, Identity, Seen};
use crate::dialect::native::{self, Source};
use crate::link::ShardIndex;
use crate::message::{Body, Record};
use crate::name::RoomId;
use crate::output::{Frame, FrameKind, Output};
use crate::peer::{Delivery, HandoverId, Reply, SendStatus};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ConnectionId, ReceiptId, TrunkId};

impl Home {
    pub(crate) fn deliver(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        delivery: Delivery,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(topic) else {
            // Nobody hears it any more; the owner will have been told, but may not know yet.
            return self.not_handed(io, owner, topic, delivery.handover());
        };
        match (topic, delivery) {
            (_, Delivery::Record { epoch, record, .. })
                if !subscription.position.precedes(&epoch, record.offset) =>
            {
                io.output(Output::CutLink { peer: owner, reason: "a topic's order was broken" });
            }
            (Topic::Room(_, room), Delivery::Record { epoch, record, handover: _ }) => {
                subscription.position.offset = record.offset;
                self.fan_record(io, topic, room, &epoch, &record);
            }
            (Topic::Room(_, room), Delivery::Ephemeral { from, except, body, handover: _ }) => {
                let part = native::ephemeral(room, &from, &body);
                let frame = Frame::native(FrameKind::Ephemeral, [part]);
                self.fan(io, topic, &frame, except);
            }
            (Topic::Room(_, room), Delivery::UserJoined(user)) => {
                let part = native::announce("joined", room, &user);
                self.fan(io, topic, &Frame::native(FrameKind::Live, [part]), None);
            }
            (Topic::Room(_, room), Delivery::UserLeft(user)) => {
                let part = native::announce("left", room, &user);
                self.fan(io, topic, &Frame::native(FrameKind::Live, [part]), None);
            }
            (Topic::Inbox(_), Delivery::Record { epoch, record, handover }) => {
                subscription.position.offset = record.offset;
                let part = native::message(Source::Inbox, &epoch, &record);
                let frame = Frame::native(FrameKind::Live, [part]);
                self.hand_over(io, owner, topic, &frame, handover);
            }
            (Topic::Inbox(_), Delivery::Ephemeral { from, except: _, body, handover }) => {
                let part = native::private(&from, &body, io.now.wall_ms);
                let frame = Frame::native(FrameKind::Ephemeral, [part]);
                self.hand_over(io, owner, topic, &frame, handover);
            }
            // Inboxes have no presence.
            (Topic::Inbox(_), Delivery::UserJoined(_) | Delivery::UserLeft(_)) => {}
            (_, Delivery::Gather { .. } | Delivery::Disconnect) => {}
        }
    }

    /// The owner's answer to this shard's claim: what all its members have missed.
    #[allow(clippy::too_many_arguments)] // the message's fields, taken apart by the router of messages
    pub(crate) fn claimed(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        epoch: &Epoch,
        gap: Option<u64>,
        missed: &[Arc<Record>],
        last: u64,
        handover: Option<HandoverId>,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(topic) else {
            return self.not_handed(io, owner, topic, handover);
        };
        subscription.position = Position { epoch: epoch.clone(), offset: last };
        match topic {
            Topic::Room(_, room) => {
                if let Some(offset) = gap {
                    let part = native::gap(room, epoch, offset);
                    self.fan(io, topic, &Frame::native(FrameKind::Live, [part]), None);
                }
                for record in missed {
                    self.fan_record(io, topic, room, epoch, record);
                }
            }
            Topic::Inbox(_) => {
                let encode = |record: &Arc<Record>| native::message(Source::Inbox, epoch, record);
                let frame = Frame::native(FrameKind::Live, missed.iter().map(encode));
                if !missed.is_empty() {
                    self.hand_over(io, owner, topic, &frame, handover);
                }
            }
        }
    }

    /// A private message for one session of this shard.
    pub(crate) fn whisper(
        &mut self,
        io: &mut Io,
        asker: Asker,
        identity: Identity,
        to: SessionId,
        body: &Body,
        ephemeral: bool,
    ) {
        let session = self.sessions.get_mut(&to);
        let Some((session, (trunk, connection))) = session.and_then(|it| it.at.map(|at| (it, at)))
        else {
            return asker.answer(io, Ok(Reply::Sent(SendStatus::Offline)));
        };
        let window = io.settings.key_window;
        let dedupe = session.whispers.get_or_insert_with(|| Box::new(Dedupe::new(window)));
        match dedupe.begin(io.now.mono, &identity, asker) {
            Seen::New => {}
            Seen::Pending => return,
            Seen::Done(reply) => return asker.answer(io, Ok(reply)),
        }
        let part = native::private(&identity.member.user, body, io.now.wall_ms);
        let kind = if ephemeral { FrameKind::Ephemeral } else { FrameKind::Live };
        let frame = Frame::native(kind, [part]);
        let report_to = ReportTo::Sender { asker, identity, to };
        let receipt = self.handovers.begin(report_to, &[trunk]).first().copied();
        io.output(Output::Send { trunk, connections: vec![connection], frame, receipt });
    }

    /// What a router says became of a frame.
    pub(crate) fn receipt(&mut self, io: &mut Io, receipt: ReceiptId, passed: bool) {
        if let Some(report_to) = self.handovers.receipt(receipt, passed) {
            self.tell_handed(io, report_to, passed);
        }
    }

    fn fan(&self, io: &mut Io, topic: &Topic, frame: &Frame, except: Option<SessionId>) {
        let except = except.and_then(|id| self.sessions.get(&id)?.at);
        if let Some(subscription) = self.subscriptions.get(topic) {
            subscription.fan(io, frame, except);
        }
    }

    /// A kept message of a room, for all its members but the one that wants no echo.
    fn fan_record(
        &self,
        io: &mut Io,
        topic: &Topic,
        room: &RoomId,
        epoch: &Epoch,
        record: &Record,
    ) {
        let part = native::message(Source::Room(room), epoch, record);
        let except = if record.echo { None } else { Some(record.session) };
        self.fan(io, topic, &Frame::native(FrameKind::Live, [part]), except);
    }

    /// Sends a private message to each of the user's connections here.
    fn hand_over(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        frame: &Frame,
        handover: Option<HandoverId>,
    ) {
        let mut connections: BTreeMap<TrunkId, Vec<ConnectionId>> = BTreeMap::new();
        for id in self.subscriptions.get(topic).into_iter().flat_map(Subscription::members) {
            if let Some((trunk, connection)) = self.sessions.get(&id).and_then(|it| it.at) {
                connections.entry(trunk).or_default().push(connection);
            }
        }
        let mut receipts = match handover {
            Some(handover) => {
                if connections.is_empty() {
                    return self.not_handed(io, owner, topic, Some(handover));
                }
                let owner = io.links.via(owner);
                let report_to = ReportTo::Inbox { owner, topic: topic.clone(), handover };
                let trunks: Vec<TrunkId> = connections.keys().copied().collect();
                self.handovers.begin(report_to, &trunks)
            }
            None => Vec::new(),
        }
        .into_iter();
        for (trunk, connections) in connections {
            let receipt = receipts.next();
            io.output(Output::Send { trunk, connections, frame: frame.clone(), receipt });
        }
    }

    /// Nobody is here who could be handed what the owner has sent.
    pub(super) fn not_handed(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        handover: Option<HandoverId>,
    ) {
        if let Some(handover) = handover {
            let owner = io.links.via(owner);
            let report_to = ReportTo::Inbox { owner, topic: topic.clone(), handover };
            self.tell_handed(io, report_to, false);
        }
    }
}

impl Position {
    /// Whether `offset` of `epoch` comes right after this position.
    fn precedes(&self, epoch: &Epoch, offset: u64) -> bool {
        self.epoch == *epoch && self.offset + 1 == offset
    }
}
