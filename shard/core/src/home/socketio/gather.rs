//! Messages that Socket.IO clients are asked to acknowledge: who has been asked, and what they
//! have answered so far.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::Dialect;
use crate::core::Io;
use crate::dialect::native;
use crate::dialect::socketio::{self, Meta, Packet};
use crate::home::Home;
use crate::link::{ShardIndex, Via};
use crate::message::{Arguments, Body};
use crate::name::UserId;
use crate::output::{Frame, FrameKind};
use crate::peer::{GatherId, Gathered, PeerMessage};
use crate::session_id::SessionId;
use crate::time::Mono;
use crate::topic::Topic;

/// Bytes of answers to one message that are gathered on one shard; those beyond it count as not
/// given.
const ANSWERS_BYTES: usize = 8 * 1024 * 1024;

/// All that wait for acknowledgements.
#[derive(Debug)]
pub(in crate::home) struct Gathers {
    /// Clients' libraries read it as a signed number of 32 bits.
    last: u64,
    waiting: BTreeMap<u64, Gather>,
    deadlines: BTreeSet<(Mono, u64)>,
}

#[derive(Debug)]
struct Gather {
    owner: Via,
    topic: Topic,
    gather: GatherId,
    deadline: Mono,
    asked: BTreeSet<SessionId>,
    gathered: Gathered,
    bytes: usize,
}

impl Gathers {
    /// A client that stays connected while its shard is another process may answer what it was asked
    /// by the one before: so the numbers of each process begin elsewhere.
    pub(in crate::home) fn new(incarnation: u64) -> Self {
        let last = incarnation.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        Self { last, waiting: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    fn next_number(&mut self) -> u64 {
        self.last = (self.last + 1) & u64::from(u32::MAX >> 1);
        self.last
    }

    pub(in crate::home) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes out those whose time is over.
    fn overdue(&mut self, now: Mono) -> Option<Gather> {
        let (_, number) = self.deadlines.first().copied().filter(|(at, _)| *at <= now)?;
        self.end(number)
    }

    fn end(&mut self, number: u64) -> Option<Gather> {
        let gather = self.waiting.remove(&number)?;
        self.deadlines.remove(&(gather.deadline, number));
        Some(gather)
    }

    /// A session will answer nothing any more. Gives those that waited for it alone.
    fn forget(&mut self, session: SessionId) -> Vec<Gather> {
        let mut complete = Vec::new();
        for (number, gather) in &mut self.waiting {
            if gather.asked.remove(&session) && gather.asked.is_empty() {
                complete.push(*number);
            }
        }
        complete.into_iter().filter_map(|number| self.end(number)).collect()
    }
}

impl Home {
    #[allow(clippy::too_many_arguments)] // the delivery's fields, taken apart by its receiver
    pub(in crate::home) fn gather(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        gather: GatherId,
        from: &UserId,
        body: &Body,
        timeout: Duration,
    ) {
        let Topic::Room(namespace, room) = topic else { return };
        let Some(subscription) = self.subscriptions.get(topic) else { return };
        let answers = |id: &SessionId| self.sessions.get(id).is_some_and(|it| it.is_in_namespace());
        let asked: BTreeSet<SessionId> = subscription.members().filter(answers).collect();
        if subscription.is_heard_in(Dialect::Native) {
            let text = native::ephemeral(room, from, body);
            subscription.fan(io, &Frame::native(FrameKind::Live, [text]), None, None);
        }
        if asked.is_empty() {
            return self.nobody_answers(io, owner, topic, gather);
        }
        let number = self.gathers.next_number();
        let meta = Meta { room: Some(room), from, kept: None, time_ms: None };
        let content = (&body.arguments, &body.attachments[..]);
        let parts =
            socketio::event(namespace, Some(number), &body.event, content, Some(&meta), None);
        subscription.fan(io, &Frame::socketio(FrameKind::Live, parts), None, None);
        let deadline = io.now.mono + timeout;
        let count = u32::try_from(asked.len()).unwrap_or(u32::MAX);
        let waiting = Gather {
            owner: io.links.via(owner),
            topic: topic.clone(),
            gather,
            deadline,
            asked,
            gathered: Gathered { responses: Vec::new(), asked: count },
            bytes: 0,
        };
        self.gathers.deadlines.insert((deadline, number));
        self.gathers.waiting.insert(number, waiting);
    }

    /// Nobody here has been asked.
    pub(in crate::home) fn nobody_answers(
        &self,
        io: &mut Io,
        owner: ShardIndex,
        topic: &Topic,
        gather: GatherId,
    ) {
        let (topic, gathered) = (topic.clone(), Gathered::default());
        io.tell(owner, PeerMessage::Answers { topic, gather, gathered });
    }

    /// A client acknowledges a message.
    pub(super) fn acknowledged(&mut self, io: &mut Io, session: SessionId, packet: &Packet) {
        let Some(number) = packet.id else { return };
        let Some(gather) = self.gathers.waiting.get_mut(&number) else { return };
        if !gather.asked.remove(&session) {
            return;
        }
        let attached: usize = packet.attachments.iter().map(Bytes::len).sum();
        gather.bytes += packet.data.len() + attached;
        if gather.bytes <= ANSWERS_BYTES
            && let Some(arguments) = Arguments::of_array(&packet.data)
        {
            gather.gathered.responses.push((arguments, packet.attachments.clone()));
        }
        if gather.asked.is_empty()
            && let Some(gather) = self.gathers.end(number)
        {
            tell(io, gather);
        }
    }

    /// Who goes answers nothing any more.
    pub(in crate::home) fn answers_no_more(&mut self, io: &mut Io, session: SessionId) {
        for gather in self.gathers.forget(session) {
            tell(io, gather);
        }
    }

    pub(in crate::home) fn end_overdue_gathers(&mut self, io: &mut Io) {
        while let Some(gather) = self.gathers.overdue(io.now.mono) {
            tell(io, gather);
        }
    }
}

fn tell(io: &mut Io, gather: Gather) {
    let Gather { owner, topic, gather, gathered, .. } = gather;
    io.answer(owner, PeerMessage::Answers { topic, gather, gathered });
}
