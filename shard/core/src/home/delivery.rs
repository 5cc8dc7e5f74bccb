//! From what an owner delivers to frames for the connections that hear it: encoded once in each
//! dialect in which somebody does.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Home;
use super::greeting::{Greeting, Held};
use super::handovers::ReportTo;
use super::resume::INBOX;
use super::session::Session;
use super::subscription::Subscription;
use crate::asker::Asker;
use crate::checkpoint::Place;
use crate::core::Io;
use crate::dedupe::{Dedupe, Identity, Seen};
use crate::dialect::native::{self, Source};
use crate::dialect::socketio::{self, Meta};
use crate::link::ShardIndex;
use crate::message::{Body, Record};
use crate::name::{Namespace, RoomId};
use crate::output::{Frame, FrameKind, Output, Part, SlotPosition};
use crate::peer::{Delivery, HandoverId, Reply, SendStatus};
use crate::position::{Epoch, Position};
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ConnectionId, Dialect, ReceiptId, TrunkId};

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
            return self.not_delivered(io, owner, topic, &delivery);
        };
        if subscription.owner != owner {
            // One that was the owner says what the present one has said, or will.
            return self.not_delivered(io, owner, topic, &delivery);
        }
        if let Delivery::Record { epoch, record, .. } = &delivery {
            if !subscription.position.precedes(epoch, record.offset)
                && (subscription.is_claimed || self.gates.unclaimed.contains(topic))
            {
                // The claim is answered with it.
                return self.not_delivered(io, owner, topic, &delivery);
            }
            if !subscription.position.precedes(epoch, record.offset) {
                io.output(Output::CutLink { peer: owner, reason: "a topic's order was broken" });
                return;
            }
            subscription.position.offset = record.offset;
        }
        match topic {
            Topic::Room(namespace, room) => {
                self.deliver_to_room(io, owner, topic, namespace, room, delivery);
            }
            Topic::Inbox(_) => self.deliver_to_user(io, owner, topic, delivery),
        }
    }

    /// What nobody here hears has not been handed to anybody, and nobody will answer it.
    fn not_delivered(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        delivery: &Delivery,
    ) {
        match delivery {
            Delivery::Gather { gather, .. } => self.nobody_answers(io, owner, topic, *gather),
            other => self.not_handed(io, owner, topic, other.handover()),
        }
    }

    fn deliver_to_room(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        namespace: &Namespace,
        room: &RoomId,
        delivery: Delivery,
    ) {
        match delivery {
            Delivery::Record { epoch, record, handover: _ } => {
                self.fan_record(io, topic, namespace, room, &epoch, &record);
            }
            Delivery::Ephemeral { from, except, body, handover: _ } => {
                let meta = Meta { room: Some(room), from: &from, kept: None, time_ms: None };
                let content = (&body.arguments, &body.attachments[..]);
                self.fan(io, topic, FrameKind::Ephemeral, except, |dialect| match dialect {
                    Dialect::Native => vec![Part::text(native::ephemeral(room, &from, &body))],
                    Dialect::SocketIo => {
                        socketio::event(namespace, None, &body.event, content, Some(&meta), None)
                    }
                });
            }
            Delivery::UserJoined(user) => {
                self.fan(io, topic, FrameKind::Live, None, |dialect| match dialect {
                    Dialect::Native => vec![Part::text(native::announce("joined", room, &user))],
                    Dialect::SocketIo => socketio::announce(namespace, "joined", room, &user),
                });
            }
            Delivery::UserLeft(user) => {
                self.fan(io, topic, FrameKind::Live, None, |dialect| match dialect {
                    Dialect::Native => vec![Part::text(native::announce("left", room, &user))],
                    Dialect::SocketIo => socketio::announce(namespace, "left", room, &user),
                });
            }
            Delivery::Gather { gather, from, body, timeout } => {
                self.gather(io, owner, topic, gather, &from, &body, timeout);
            }
            // Only of inboxes.
            Delivery::Disconnect => {}
        }
    }

    fn deliver_to_user(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        delivery: Delivery,
    ) {
        match delivery {
            Delivery::Record { epoch, record, handover } => {
                self.hand_records(io, owner, topic, &epoch, &[record], handover);
            }
            Delivery::Ephemeral { from, except: _, body, handover } => {
                let time_ms = io.now.wall_ms;
                let meta = Meta { room: None, from: &from, kept: None, time_ms: Some(time_ms) };
                let content = (&body.arguments, &body.attachments[..]);
                let kind = FrameKind::Ephemeral;
                self.hand_over(io, owner, topic, kind, handover, None, |hearing| match hearing {
                    None => vec![Part::text(native::private(&from, &body, time_ms))],
                    Some(namespace) => {
                        socketio::event(namespace, None, &body.event, content, Some(&meta), None)
                    }
                });
            }
            Delivery::Disconnect => self.dismiss(io, topic),
            // Inboxes have no presence, and ask for no acknowledgements.
            Delivery::UserJoined(_) | Delivery::UserLeft(_) | Delivery::Gather { .. } => {}
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
        let is_heard = self.subscriptions.get(topic).is_some_and(|it| it.owner == owner);
        if let (true, Topic::Room(..), [_, ..]) = (is_heard, topic, missed) {
            let kept = missed.iter().map(|it| (it.session, it.sequence, it.offset));
            self.answer_first(io, topic, epoch, kept);
        }
        let subscription = self.subscriptions.get_mut(topic).filter(|it| it.owner == owner);
        let Some(subscription) = subscription else {
            return self.not_handed(io, owner, topic, handover);
        };
        subscription.is_claimed = false;
        // Who has claimed what it was hearing anyway has heard some of it meanwhile.
        let before = &subscription.position;
        let heard = if before.epoch == *epoch && before.offset <= last { before.offset } else { 0 };
        let missed = &missed[missed.partition_point(|record| record.offset <= heard)..];
        let gap = gap.filter(|offset| heard == 0 || *offset > heard);
        subscription.position = Position { epoch: epoch.clone(), offset: last };
        match topic {
            Topic::Room(namespace, room) => {
                if let Some(offset) = gap {
                    self.fan_gap(io, topic, namespace, room, (epoch, offset));
                }
                for record in missed {
                    self.fan_record(io, topic, namespace, room, epoch, record);
                }
            }
            Topic::Inbox(_) if !missed.is_empty() => {
                self.hand_records(io, owner, topic, epoch, missed, handover);
            }
            Topic::Inbox(_) => self.not_handed(io, owner, topic, handover),
        }
    }

    /// A private message for one session of this shard.
    pub(crate) fn whisper(
        &mut self,
        io: &mut Io,
        asker: Asker,
        identity: Identity,
        to: SessionId,
        body: Body,
        ephemeral: bool,
    ) {
        let session = self.sessions.get_mut(&to);
        if session.as_ref().is_some_and(|session| session.is_welcome_due()) {
            // Nothing may be said to it yet.
            return asker.answer(io, Ok(Reply::Sent(SendStatus::Offline)));
        }
        let Some((session, (trunk, connection))) = session.and_then(|it| it.at.map(|at| (it, at)))
        else {
            return self.whisper_on(io, asker, identity, to, body, ephemeral);
        };
        let window = io.settings.key_window;
        let dedupe = session.whispers.get_or_insert_with(|| Box::new(Dedupe::new(window)));
        match dedupe.begin(io.now.mono, &identity, asker) {
            Seen::New => {}
            Seen::Pending => return,
            Seen::Done(reply) => return asker.answer(io, Ok(reply)),
        }
        let from = &identity.member.user;
        let parts = if session.socket.is_some() {
            let time_ms = Some(io.now.wall_ms);
            let meta = Meta { room: None, from, kept: None, time_ms };
            let content = (&body.arguments, &body.attachments[..]);
            socketio::event(&session.namespace, None, &body.event, content, Some(&meta), None)
        } else {
            vec![Part::text(native::private(from, &body, io.now.wall_ms))]
        };
        let kind = if ephemeral { FrameKind::Ephemeral } else { FrameKind::Live };
        let frame = Frame { kind, dialect: session.dialect(), parts };
        let report_to = ReportTo::Sender { asker, identity, to };
        let receipt = self.handovers.begin(report_to, &[trunk]).first().copied();
        let (connections, position, answers) = (vec![connection], None, None);
        io.output(Output::Send { trunk, connections, frame, receipt, position, answers });
    }

    /// What a router says became of a frame.
    pub(crate) fn receipt(&mut self, io: &mut Io, receipt: ReceiptId, passed: bool) {
        if let Some(report_to) = self.handovers.receipt(receipt, passed) {
            self.tell_handed(io, report_to, passed);
        }
    }

    /// Queues for all members of a room but one what `encode` makes for each dialect.
    fn fan(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        kind: FrameKind,
        except: Option<SessionId>,
        encode: impl Fn(Dialect) -> Vec<Part>,
    ) {
        let except = except.and_then(|id| self.sessions.get(&id)?.at);
        let Some(subscription) = self.subscriptions.get(topic) else { return };
        for dialect in [Dialect::Native, Dialect::SocketIo] {
            if subscription.is_heard_in(dialect) {
                let frame = Frame { kind, dialect, parts: encode(dialect) };
                subscription.fan(io, &frame, except, None);
            }
        }
        // Who has not been welcomed is no poorer without an ephemeral message.
        if kind == FrameKind::Live {
            let parts = LazyCell::new(|| encode(Dialect::SocketIo));
            hold(&mut self.sessions, subscription.held(), || Held::Parts(parts.clone()));
        }
    }

    /// The word that what was missed in a room, up to an offset, can't be had.
    fn fan_gap(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        namespace: &Namespace,
        room: &RoomId,
        place: (&Epoch, u64),
    ) {
        let (epoch, offset) = place;
        let Self { subscriptions, sessions, stream, .. } = self;
        let Some(subscription) = subscriptions.get_mut(topic) else { return };
        let hears = |dialect| subscription.is_heard_in(dialect);
        let (native, socketio) = (hears(Dialect::Native), hears(Dialect::SocketIo));
        let stamp = if socketio { stream.gap(io, topic, None) } else { None };
        subscription.stamp = stamp.as_ref().map(|_| stream.at());
        let position = Place::encode(topic, place, None, subscription.stamp);
        if native {
            let text = native::gap(room, epoch, offset);
            subscription.fan(io, &Frame::native(FrameKind::Live, [text]), None, Some(&position));
        }
        if socketio {
            let parts = vec![socketio::gap(namespace, room, place, stamp.as_deref())];
            let frame = Frame::socketio(FrameKind::Live, parts);
            subscription.fan(io, &frame, None, Some(&position));
        }
        hold(sessions, subscription.held(), || Held::Gap(topic.clone(), epoch.clone(), offset));
    }

    /// A kept message of a room, for all its members but the one that wants no echo.
    fn fan_record(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        namespace: &Namespace,
        room: &RoomId,
        epoch: &Epoch,
        record: &Arc<Record>,
    ) {
        let Self { subscriptions, sessions, stream, .. } = self;
        let Some(subscription) = subscriptions.get_mut(topic) else { return };
        let except = if record.echo { None } else { Some(record.session) };
        let except = except.and_then(|id| sessions.get(&id)?.at);
        let hears = |dialect| subscription.is_heard_in(dialect);
        let (native, socketio) = (hears(Dialect::Native), hears(Dialect::SocketIo));
        let stamp = if socketio { stream.kept(io, topic, epoch, record, None) } else { None };
        subscription.stamp = stamp.as_ref().map(|_| stream.at());
        // The same for whoever hears it, however it is said.
        let position = Place::encode(topic, (epoch, record.offset), None, subscription.stamp);
        if native {
            let text = native::message(Source::Room(room), epoch, record);
            subscription.fan(io, &Frame::native(FrameKind::Live, [text]), except, Some(&position));
        }
        if socketio {
            let parts = socketio::record(namespace, Some(room), epoch, record, stamp.as_deref());
            let frame = Frame::socketio(FrameKind::Live, parts);
            subscription.fan(io, &frame, except, Some(&position));
        }
        let hearing = subscription.held().filter(|id| record.is_heard_by(*id));
        hold(sessions, hearing, || Held::Live(topic.clone(), epoch.clone(), Arc::clone(record)));
    }

    /// Kept private messages, for each of the user's connections here.
    fn hand_records(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        epoch: &Epoch,
        records: &[Arc<Record>],
        handover: Option<HandoverId>,
    ) {
        // A place in the ring that no client could come back to would cost another's.
        let stamped: Vec<_> = if self.has_sockets(topic) {
            records.iter().map(|it| (it, self.stream.kept(io, topic, epoch, it, None))).collect()
        } else {
            Vec::new()
        };
        let last = records.last().map_or(0, |record| record.offset);
        let stamp = stamped.last().and_then(|(_, stamp)| stamp.as_ref()).map(|_| self.stream.at());
        let place = Place::encode(topic, (epoch, last), None, stamp);
        let kind = FrameKind::Live;
        self.hand_over(io, owner, topic, kind, handover, Some(&place), |hearing| match hearing {
            None => {
                let text = |record| Part::text(native::message(Source::Inbox, epoch, record));
                records.iter().map(|record| text(record)).collect()
            }
            Some(namespace) => stamped
                .iter()
                .flat_map(|(record, stamp)| {
                    socketio::record(namespace, None, epoch, record, stamp.as_deref())
                })
                .collect(),
        });
    }

    fn has_sockets(&self, topic: &Topic) -> bool {
        let is_socket = |id| self.sessions.get(&id).is_some_and(|it| it.socket.is_some());
        self.subscriptions.get(topic).into_iter().flat_map(Subscription::members).any(is_socket)
    }

    /// Sends something to each of the user's connections here. `encode` makes it for native
    /// clients, or for those in a namespace; `place` is what they have had of it then.
    #[allow(clippy::too_many_arguments)] // what is sent, and all that is said about it
    fn hand_over(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        kind: FrameKind,
        handover: Option<HandoverId>,
        place: Option<&Bytes>,
        encode: impl Fn(Option<&Namespace>) -> Vec<Part>,
    ) {
        // With the slot: connections that speak for several sessions may have another.
        type Hearing = (TrunkId, Option<Namespace>, u32);
        let mut hearing: BTreeMap<Hearing, Vec<ConnectionId>> = BTreeMap::new();
        for id in self.subscriptions.get(topic).into_iter().flat_map(Subscription::members) {
            let Some(session) = self.sessions.get(&id) else { continue };
            let namespace = session.socket.is_some().then(|| session.namespace.clone());
            if let Some((trunk, connection)) = session.at {
                let slot = session.slot(INBOX);
                hearing.entry((trunk, namespace, slot)).or_default().push(connection);
            }
        }
        let mut receipts = match handover {
            Some(handover) => {
                if hearing.is_empty() {
                    return self.not_handed(io, owner, topic, Some(handover));
                }
                let owner = io.links.via(owner);
                let report_to = ReportTo::Inbox { owner, topic: topic.clone(), handover };
                let trunks: Vec<TrunkId> = hearing.keys().map(|(trunk, ..)| *trunk).collect();
                self.handovers.begin(report_to, &trunks)
            }
            None => Vec::new(),
        }
        .into_iter();
        for ((trunk, namespace, slot), connections) in hearing {
            let dialect = match namespace {
                Some(_) => Dialect::SocketIo,
                None => Dialect::Native,
            };
            let frame = Frame { kind, dialect, parts: encode(namespace.as_ref()) };
            let (receipt, answers) = (receipts.next(), None);
            let position = place.map(|place| SlotPosition { slot, position: place.clone() });
            io.output(Output::Send { trunk, connections, frame, receipt, position, answers });
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

/// Has members that have not been welcomed hear something later.
fn hold(
    sessions: &mut BTreeMap<SessionId, Box<Session>>,
    members: impl Iterator<Item = SessionId>,
    what: impl Fn() -> Held,
) {
    for id in members {
        if let Some(Greeting::Due(due)) = sessions.get_mut(&id).map(|it| &mut it.greeting) {
            due.held.push(what());
        }
    }
}
