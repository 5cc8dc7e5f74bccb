//! The half of a core that keeps sessions: those whose connections come to this shard.
//!
//! It reads what clients say, checks what they may, asks the owners of topics, and passes on what
//! these deliver. It never decides an order: that is the owners'.

mod answer;
mod command;
mod delivery;
mod handovers;
mod permission;
mod rate;
mod requests;
mod session;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::handovers::Handovers;
use self::requests::{Pending, Requests, Subject};
use self::session::Session;
use self::subscription::{Socket, Subscriptions};
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::input::{Attach, Identity};
use crate::link::ShardIndex;
use crate::output::{CloseCode, Output};
use crate::peer::{Action, Member, PeerMessage, Refusal};
use crate::session_id::SessionId;
use crate::settings::CoreSettings;
use crate::time::Mono;
use crate::topic::Topic;
use crate::{ConnectionId, Ticket, TrunkId};

/// An inbox that could not be opened is asked again after this long.
const INBOX_RETRY: Duration = Duration::from_secs(1);

/// The sessions of this shard and what they are in the middle of.
#[derive(Debug)]
pub(crate) struct Home {
    sessions: BTreeMap<SessionId, Session>,
    connections: BTreeMap<(TrunkId, ConnectionId), SessionId>,
    subscriptions: Subscriptions,
    requests: Requests,
    handovers: Handovers,
    /// Tokens that are being checked.
    verifying: BTreeMap<Ticket, Verifying>,
    /// Sessions whose trunk broke; they leave their rooms when the grace is over.
    orphans: Deadlines<SessionId>,
    inbox_retries: Deadlines<SessionId>,
    /// When tokens end.
    expiries: BTreeSet<(Mono, SessionId)>,
}

/// An `auth` message whose token is being checked.
#[derive(Debug)]
struct Verifying {
    session: SessionId,
    id: Option<u64>,
    sequence: u64,
}

impl Home {
    pub(crate) fn new(settings: &CoreSettings) -> Self {
        Self {
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            requests: Requests::new(settings.request_timeout),
            handovers: Handovers::default(),
            verifying: BTreeMap::new(),
            orphans: Deadlines::new(settings.grace),
            inbox_retries: Deadlines::new(INBOX_RETRY),
            expiries: BTreeSet::new(),
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn attach(&mut self, io: &mut Io, trunk: TrunkId, attach: Attach) {
        let at = (trunk, attach.connection);
        let id = attach.session;
        // Session IDs are random: the same one twice is the same client, and its newer socket counts.
        self.end(io, id);
        let session = Session::new(attach, at);
        self.watch_expiry(io, id, &session.identity);
        self.connections.insert(at, id);
        self.sessions.insert(id, session);
        self.ask_inbox(io, id);
        // An inbox out of reach must not keep the client from its rooms.
        if self.sessions.get(&id).is_some_and(|session| session.inbox.is_over()) {
            self.greet(io, id);
        }
    }

    /// Welcomes a session whose inbox has not let it in.
    fn greet(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for (sequence, payload) in session.welcome(io) {
            self.said(io, id, sequence, &payload);
        }
    }

    pub(crate) fn detach(&mut self, io: &mut Io, trunk: TrunkId, connection: ConnectionId) {
        if let Some(session) = self.connections.get(&(trunk, connection)) {
            self.end(io, *session);
        }
    }

    /// The routers' sockets may live on where this shard can't see them. So their sessions leave
    /// what they hear, but stay who they are in their rooms until the grace is over.
    pub(crate) fn trunk_down(&mut self, io: &mut Io, trunk: TrunkId) {
        for receipt in self.handovers.of_trunk(trunk) {
            self.receipt(io, receipt, false);
        }
        let of_trunk = (trunk, ConnectionId(0))..=(trunk, ConnectionId(u64::MAX));
        let lost: Vec<_> = self.connections.extract_if(of_trunk, |_, _| true).collect();
        for (at, id) in lost {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            session.at = None;
            self.orphans.push(io.now.mono, id);
            for (room, membership) in &session.rooms {
                let topic = session.room(room);
                let owner = io.owner_of(&topic);
                if membership.live {
                    self.subscriptions.remove(io, &topic, id, at, Socket::Gone);
                    io.tell(owner, PeerMessage::Suspend { topic, session: id });
                } else {
                    io.tell(owner, PeerMessage::Forget { topic, session: id });
                }
            }
            self.leave_inbox(io, id, at);
        }
    }

    pub(crate) fn link_up(&mut self, io: &mut Io, peer: ShardIndex) {
        for (topic, subscription) in self.subscriptions.of_owner(peer) {
            let member = |id| {
                let session = self.sessions.get(&id)?;
                Some(Member { session: id, user: session.identity.user.clone() })
            };
            let members = subscription.members().filter_map(member).collect();
            let after = subscription.position.clone();
            io.tell(peer, PeerMessage::Claim { topic: topic.clone(), after, members });
        }
        let without_inbox: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|session| {
                session.inbox.is_over() && io.owner_of(&session.inbox_topic()) == peer
            })
            .map(|session| session.id)
            .collect();
        for session in without_inbox {
            self.ask_inbox(io, session);
        }
    }

    pub(crate) fn link_down(&mut self, io: &mut Io, peer: ShardIndex) {
        for pending in self.requests.end_all(peer) {
            self.refuse(io, &pending, Refusal::Unavailable);
        }
    }

    pub(crate) fn next_timer(&self) -> Option<Mono> {
        [
            self.requests.next_deadline(),
            self.orphans.next(),
            self.inbox_retries.next(),
            self.expiries.first().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn run_timers(&mut self, io: &mut Io) {
        let now = io.now.mono;
        while let Some(pending) = self.requests.pop_overdue(now) {
            self.refuse(io, &pending, Refusal::Unavailable);
            if let Subject::Join(topic) = &pending.subject
                && !self.is_live(pending.session, topic)
            {
                self.give_up_joining(io, pending.owner, pending.session, topic);
            }
        }
        while let Some(id) = self.orphans.pop_due(now) {
            if self.sessions.get(&id).is_some_and(|session| session.at.is_none()) {
                self.end(io, id);
            }
        }
        while let Some(id) = self.inbox_retries.pop_due(now) {
            self.ask_inbox(io, id);
        }
        while let Some((at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, id));
            self.expire(io, id);
        }
    }

    fn is_live(&mut self, id: SessionId, topic: &Topic) -> bool {
        let membership = self.sessions.get_mut(&id).and_then(|session| session.membership(topic));
        membership.is_some_and(|membership| membership.live)
    }

    /// An owner that is late with a session's join may yet let it in, and the session must not
    /// stay in unknown to its home. Later joins are given up with it: the owner would take the
    /// session for a member that has had what was in the answer that nobody waits for.
    fn give_up_joining(
        &mut self,
        io: &mut Io,
        owner: ShardIndex,
        session: SessionId,
        topic: &Topic,
    ) {
        for pending in self.requests.end_joins(session, topic) {
            self.refuse(io, &pending, Refusal::Unavailable);
        }
        io.tell(owner, PeerMessage::Forget { topic: topic.clone(), session });
    }

    /// Asks a session's inbox to let it in, unless it is in, on its way in, or out of reach: when
    /// the link comes up it is asked again.
    fn ask_inbox(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let topic = session.inbox_topic();
        let owner = io.owner_of(&topic);
        if session.at.is_none() || !session.inbox.is_over() || !io.links.is_up(owner) {
            return;
        }
        session.inbox.wanted = true;
        session.inbox.outstanding += 1;
        let request = self.requests.begin(Pending {
            session: id,
            sequence: None,
            id: None,
            owner,
            started: io.now.mono,
            subject: Subject::Join(topic.clone()),
        });
        let member = Member { session: id, user: session.identity.user.clone() };
        let action = Action::Join { after: session.inbox_after.clone() };
        let message = PeerMessage::Request { request, member, sequence: 0, topic, action };
        io.tell(owner, message);
    }

    /// Takes a session out of its inbox.
    fn leave_inbox(&mut self, io: &mut Io, id: SessionId, at: (TrunkId, ConnectionId)) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.inbox.is_over() {
            return;
        }
        let topic = session.inbox_topic();
        session.inbox.live = false;
        self.subscriptions.remove(io, &topic, id, at, Socket::Gone);
        io.tell(io.owner_of(&topic), PeerMessage::Forget { topic, session: id });
    }

    /// The session is over: it leaves everything.
    fn end(&mut self, io: &mut Io, id: SessionId) {
        if let Some(at) = self.sessions.get(&id).and_then(|session| session.at) {
            self.leave_inbox(io, id, at);
        }
        let Some(session) = self.sessions.remove(&id) else { return };
        if let Some(at) = session.at {
            self.connections.remove(&at);
        }
        for room in session.rooms.keys() {
            let topic: Topic = session.room(room);
            if let Some(at) = session.at {
                self.subscriptions.remove(io, &topic, id, at, Socket::Gone);
            }
            io.tell(io.owner_of(&topic), PeerMessage::Forget { topic, session: id });
        }
    }

    fn watch_expiry(&mut self, io: &Io, id: SessionId, identity: &Identity) {
        if let Some(expires_ms) = identity.expires_ms {
            let left = Duration::from_millis(expires_ms.saturating_sub(io.now.wall_ms));
            self.expiries.insert((io.now.mono + left, id));
        }
    }

    /// A token's end has come, unless it was renewed (or the wall clock was set back).
    fn expire(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let identity = session.identity.clone();
        if identity.expires_ms.is_some_and(|expires_ms| expires_ms > io.now.wall_ms) {
            self.watch_expiry(io, id, &identity);
        } else if let (Some(_), Some((trunk, connection))) = (identity.expires_ms, session.at) {
            let code = CloseCode::NotAuthenticated;
            let reason = "the token has expired";
            io.output(Output::Close { trunk, connection, code, reason });
        }
    }
}
