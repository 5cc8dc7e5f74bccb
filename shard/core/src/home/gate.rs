//! To whom requests go, while topics move. One topic's requests keep their order: while one is under
//! way to a shard that isn't asked any more, those that come later wait here, and so does one that
//! was refused because the topic is another's. They are sent in the order of their numbers when
//! the last of those has been answered.
//!
//! What is heard from a shard is asked of that shard, until it has parted with the topic: so
//! what one owner says never mixes with what the next one does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Home;
use super::requests::{Asked, Pending, Subject};
use super::respond::ReplyTo;
use super::subscription::Subscriptions;
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::link::ShardIndex;
use crate::peer::{Refusal, RequestId};
use crate::time::Mono;
use crate::topic::Topic;

/// A shard that has refused and is still the owner by the view is asked again after this long.
const AGAIN: Duration = Duration::from_millis(20);

/// A topic whose requests wait.
#[derive(Debug, Default)]
struct Gate {
    /// Asked of a shard that is not asked any more.
    under_way: BTreeSet<RequestId>,
    waiting: BTreeSet<RequestId>,
    /// It is no use to ask this one yet.
    refused_by: Option<ShardIndex>,
}

/// All topics whose requests wait.
#[derive(Debug)]
pub(super) struct Gates {
    gates: BTreeMap<Topic, Gate>,
    again: Deadlines<Topic>,
    /// Requests about sessions that are to be asked again.
    strays: Deadlines<RequestId>,
    /// Topics that are to be claimed again.
    pub(super) unclaimed: BTreeSet<Topic>,
    pub(super) claims: Deadlines<Topic>,
}

impl Gates {
    pub(super) fn new() -> Self {
        Self {
            gates: BTreeMap::new(),
            again: Deadlines::new(AGAIN),
            strays: Deadlines::new(AGAIN),
            unclaimed: BTreeSet::new(),
            claims: Deadlines::new(AGAIN),
        }
    }

    pub(super) fn any(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Whether requests about a topic wait.
    pub(super) fn is_closed(&self, topic: &Topic) -> bool {
        self.any() && self.gates.contains_key(topic)
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        let timers = [self.again.next(), self.strays.next(), self.claims.next()];
        timers.into_iter().flatten().min()
    }

    fn get(&mut self, topic: &Topic) -> Option<&mut Gate> {
        if self.gates.is_empty() { None } else { self.gates.get_mut(topic) }
    }

    /// Requests about a topic that were asked before another one and wait.
    pub(super) fn waiting_before(
        &self,
        topic: &Topic,
        request: RequestId,
    ) -> impl Iterator<Item = RequestId> {
        let gate = if self.any() { self.gates.get(topic) } else { None };
        gate.into_iter().flat_map(move |gate| gate.waiting.range(..request).copied())
    }

    /// Whoever has refused may be asked again.
    pub(super) fn forgive(&mut self, topic: &Topic) {
        if let Some(gate) = self.gates.get_mut(topic) {
            gate.refused_by = None;
        }
    }
}

/// Whom this home asks about a topic. Most often it is heard, and nothing has to be hashed.
pub(super) fn owner_of(subscriptions: &Subscriptions, io: &Io, topic: &Topic) -> ShardIndex {
    subscriptions.owner_of(topic).unwrap_or_else(|| io.owner_of(topic))
}

/// Whoever would have to be asked can't be reached.
#[derive(Debug)]
pub(super) struct OutOfReach;

impl Home {
    /// Asks whoever is to be asked, or keeps the request until it can be.
    pub(super) fn dispatch(
        &mut self,
        io: &mut Io,
        pending: Box<Pending>,
    ) -> Result<(), OutOfReach> {
        let mut has_it = None;
        if self.subscriptions.any_freed() {
            for (topic, heard_from) in self.subscriptions.take_freed() {
                self.close_gate(io, &topic);
                has_it = has_it.or_else(|| pending.leaves(&topic).then_some(heard_from));
            }
        }
        let owner = match &pending.asked {
            Asked::Topic { topic, .. } => {
                if let Some(gate) = self.gates.get(topic) {
                    let request = self.requests.begin(pending);
                    gate.waiting.insert(request);
                    return Ok(());
                }
                if !self.gates.unclaimed.is_empty() && self.gates.unclaimed.remove(topic) {
                    // Who comes must not be ahead of those who are here.
                    let topic = topic.clone();
                    self.claim(io, &topic);
                }
                let Asked::Topic { topic, .. } = &pending.asked else { return Err(OutOfReach) };
                let owner = owner_of(&self.subscriptions, io, topic);
                // Who leaves last is yet listed by whoever the others were heard from.
                has_it.filter(|_| !io.links.is_up(owner)).unwrap_or(owner)
            }
            Asked::Whisper { to, .. } => io.home_of(to),
            Asked::Recall { private_id, .. } => io.home_of(private_id),
        };
        self.dispatch_to(io, owner, pending)
    }

    pub(super) fn dispatch_to(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        mut pending: Box<Pending>,
    ) -> Result<(), OutOfReach> {
        if !io.links.is_up(owner) {
            return Err(OutOfReach);
        }
        pending.owner = owner;
        let awaited = self.requests.begin(pending);
        self.send_request(io, awaited, owner);
        Ok(())
    }

    fn send_request(&mut self, io: &mut Io, request: RequestId, owner: ShardIndex) {
        if let Some(pending) = self.requests.redirect(request, owner) {
            io.tell(owner, pending.asked.message(request));
        }
    }

    /// What is under way to a shard that isn't to be asked any more holds up what comes later.
    pub(super) fn close_gate(&mut self, io: &Io, topic: &Topic) {
        let owner = owner_of(&self.subscriptions, io, topic);
        let stale = self.requests.iter().filter(|(_, it)| it.owner != owner);
        let stale = stale.filter(|(_, it)| it.topic() == Some(topic)).map(|(request, _)| request);
        let stale: Vec<RequestId> = stale.collect();
        self.hold_up(topic, stale);
    }

    fn hold_up(&mut self, topic: &Topic, stale: Vec<RequestId>) {
        if stale.is_empty() {
            return;
        }
        let gate = self.gates.gates.entry(topic.clone()).or_default();
        for request in stale {
            if !gate.waiting.contains(&request) {
                gate.under_way.insert(request);
            }
        }
    }

    /// All topics whose requests are under way to a shard that isn't to be asked any more.
    pub(super) fn close_gates(&mut self, io: &Io) {
        let mut stale: BTreeMap<Topic, Vec<RequestId>> = BTreeMap::new();
        for (request, pending) in self.requests.iter() {
            if let Some(topic) = pending.topic()
                && pending.owner != owner_of(&self.subscriptions, io, topic)
            {
                stale.entry(topic.clone()).or_default().push(request);
            }
        }
        for (topic, requests) in stale {
            self.hold_up(&topic, requests);
        }
        for gate in self.gates.gates.values_mut() {
            gate.refused_by = None;
        }
    }

    pub(super) fn open_gates(&mut self, io: &mut Io) {
        let topics: Vec<Topic> = self.gates.gates.keys().cloned().collect();
        for topic in topics {
            self.open_gate(io, &topic);
        }
    }

    /// Sends what waits, if nothing is in the way any more.
    pub(super) fn open_gate(&mut self, io: &mut Io, topic: &Topic) {
        let owner = owner_of(&self.subscriptions, io, topic);
        let requests = &self.requests;
        let Some(gate) = self.gates.gates.get_mut(topic) else { return };
        gate.under_way.retain(|request| requests.get(*request).is_some());
        gate.waiting.retain(|request| requests.get(*request).is_some());
        if !gate.under_way.is_empty() {
            return;
        }
        if gate.refused_by == Some(owner) && !gate.waiting.is_empty() {
            return;
        }
        if !gate.waiting.is_empty() && self.gates.unclaimed.remove(topic) {
            // Who comes must not be ahead of those who are here.
            self.claim(io, topic);
        }
        let owner = owner_of(&self.subscriptions, io, topic);
        let Some(gate) = self.gates.gates.remove(topic) else { return };
        for request in gate.waiting {
            if self.requests.get(request).is_some_and(|it| self.is_void(it)) {
                self.requests.end(request);
            } else if io.links.is_up(owner) {
                self.send_request(io, request, owner);
            } else if let Some(pending) = self.requests.end(request) {
                self.refuse_or_forward(io, &pending, Refusal::Unavailable);
            }
        }
    }

    /// Whether nobody wants what is asked any more: its client says it again by its next
    /// connection, or is gone and must not be let in.
    fn is_void(&self, pending: &Pending) -> bool {
        let joins = matches!(pending.subject, Subject::Join(_))
            && matches!(pending.reply_to, ReplyTo::Nobody | ReplyTo::Native(_) | ReplyTo::Event(_));
        pending.is_void() || (joins && !self.speaks_by(pending.session, pending.line))
    }

    /// A request was refused: if that is because another shard is to be asked, it will be. False if it
    /// is not, or for somebody else to know.
    pub(super) fn moved(&mut self, io: &mut Io, request: RequestId, refusal: Refusal) -> bool {
        let Some(pending) = self.requests.get(request) else { return false };
        let is_moved = match (&pending.asked, refusal) {
            // A shard's that the session isn't named by is nobody's to say.
            (Asked::Whisper { .. }, Refusal::Unknown) | (_, Refusal::Moved) => true,
            _ => false,
        };
        if !is_moved || matches!(pending.reply_to, ReplyTo::Relay(_)) {
            return false;
        }
        let refused_by = pending.owner;
        let Some(topic) = pending.topic().cloned() else {
            self.gates.strays.push(io.now.mono, request);
            return true;
        };
        if self.gates.get(&topic).is_none() {
            let under_way = self.requests.iter().filter(|(_, it)| it.topic() == Some(&topic));
            let under_way: Vec<RequestId> = under_way.map(|(request, _)| request).collect();
            self.hold_up(&topic, under_way);
        }
        if let Some(gate) = self.gates.get(&topic) {
            gate.under_way.remove(&request);
            gate.waiting.insert(request);
            gate.refused_by = Some(refused_by);
        }
        // While it waits no link holds it up.
        self.requests.redirect(request, io.links.me());
        self.gates.again.push(io.now.mono, topic.clone());
        self.open_gate(io, &topic);
        true
    }

    /// A request is under way to a peer whose link has just broken. If another is the owner by now it
    /// is asked: it knows what is done, by the log that all share or by what it was given, and waits for that.
    pub(super) fn keep_for_next(
        &mut self,
        io: &Io,
        request: RequestId,
        mut pending: Box<Pending>,
    ) -> Option<Box<Pending>> {
        let Some(topic) = pending.topic().cloned() else { return Some(pending) };
        let goes_on = io.owner_of(&topic) != pending.owner && pending.asked.is_repeatable();
        if !goes_on {
            return Some(pending);
        }
        pending.owner = io.links.me();
        self.requests.put_back(request, pending);
        self.gates.gates.entry(topic).or_default().waiting.insert(request);
        None
    }

    pub(super) fn run_gates(&mut self, io: &mut Io) {
        let now = io.now.mono;
        while let Some(topic) = self.gates.claims.pop_due(now) {
            if self.gates.unclaimed.remove(&topic) {
                self.claim(io, &topic);
            }
        }
        while let Some(topic) = self.gates.again.pop_due(now) {
            self.gates.forgive(&topic);
            self.open_gate(io, &topic);
        }
        while let Some(request) = self.gates.strays.pop_due(now) {
            let Some(pending) = self.requests.get(request) else { continue };
            let home = match &pending.asked {
                Asked::Whisper { to, .. } => io.home_of(to),
                Asked::Recall { private_id, .. } => io.home_of(private_id),
                Asked::Topic { .. } => continue,
            };
            if io.links.is_up(home) {
                self.send_request(io, request, home);
            } else if let Some(pending) = self.requests.end(request) {
                self.refuse_or_forward(io, &pending, Refusal::Unavailable);
            }
        }
    }
}
