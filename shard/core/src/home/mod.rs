//! The half of a core that keeps sessions: those whose connections come to this shard.
//!
//! It reads what clients say, checks what they may, asks the owners of topics, and passes on what
//! these deliver. It never decides an order: that is the owners'.

mod answer;
mod api;
mod attach;
mod command;
mod delivery;
mod greeting;
mod handovers;
mod line;
mod own_topics;
mod permission;
mod rate;
mod requests;
mod respond;
mod session;
mod socketio;
mod stream;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::command::Origin;
use self::handovers::Handovers;
use self::line::{At, Line};
use self::requests::{Requests, Subject};
use self::session::Session;
use self::socketio::gather::Gathers;
use self::socketio::recovery::Departed;
use self::socketio::rule::Run;
use self::stream::Stream;
use self::subscription::Subscriptions;
use crate::Ticket;
use crate::core::Io;
use crate::deadlines::Deadlines;
use crate::input::Identity;
use crate::link::ShardIndex;
use crate::output::{CloseCode, Output};
use crate::peer::{Member, PeerMessage, Refusal};
use crate::session_id::SessionId;
use crate::settings::CoreSettings;
use crate::time::Mono;
use crate::topic::Topic;

/// A topic that a session is in by itself and that could not be had is asked again after this
/// long.
const RETRY: Duration = Duration::from_secs(1);

/// The sessions of this shard and what they are in the middle of.
#[derive(Debug)]
pub(crate) struct Home {
    /// By the session that the router has attached.
    lines: BTreeMap<SessionId, Line>,
    connections: BTreeMap<At, SessionId>,
    sessions: BTreeMap<SessionId, Session>,
    subscriptions: Subscriptions,
    requests: Requests,
    handovers: Handovers,
    /// Tokens that are being checked.
    verifying: BTreeMap<Ticket, Verifying>,
    /// Rules that wait for the application.
    calls: BTreeMap<Ticket, Run>,
    gathers: Gathers,
    stream: Stream,
    /// Live Socket.IO sessions by the ID that only the client knows.
    privates: BTreeMap<SessionId, SessionId>,
    departed: Departed,
    /// Where sessions are that this shard's digest names, by both their IDs.
    aliases: BTreeMap<SessionId, ShardIndex>,
    /// Sessions whose trunk broke; they leave their rooms when the grace is over.
    orphans: Deadlines<SessionId>,
    /// Socket.IO connections, until they must have connected to a namespace.
    unconnected: Deadlines<SessionId>,
    retries: Deadlines<(SessionId, Topic)>,
    /// When tokens end.
    expiries: BTreeSet<(Mono, SessionId)>,
}

/// Why a token is being checked.
#[derive(Debug)]
enum Verifying {
    /// An `auth` message.
    Renewal(Origin),
    /// A session that connects to a namespace.
    Connect(SessionId),
}

impl Home {
    pub(crate) fn new(settings: &CoreSettings) -> Self {
        Self {
            lines: BTreeMap::new(),
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            requests: Requests::new(settings.request_timeout),
            handovers: Handovers::default(),
            verifying: BTreeMap::new(),
            calls: BTreeMap::new(),
            gathers: Gathers::default(),
            stream: Stream::new(settings.incarnation),
            privates: BTreeMap::new(),
            departed: Departed::new(settings.recovery),
            aliases: BTreeMap::new(),
            orphans: Deadlines::new(settings.grace),
            unconnected: Deadlines::new(settings.connect_timeout),
            retries: Deadlines::new(RETRY),
            expiries: BTreeSet::new(),
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn is_connected(&self, session: &SessionId) -> bool {
        self.lines.get(session).is_some_and(|line| line.at.is_some())
    }

    pub(crate) fn departed(&self) -> usize {
        self.departed.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn link_up(&mut self, io: &mut Io, peer: ShardIndex) {
        for (topic, subscription) in self.subscriptions.of_owner(peer) {
            let member = |id| self.sessions.get(&id).map(Session::member);
            let members: Vec<Member> = subscription.members().filter_map(member).collect();
            let after = subscription.position.clone();
            io.tell(peer, PeerMessage::Claim { topic: topic.clone(), after, members });
        }
        for session in self.sessions.values() {
            if io.home_of(&session.id) == peer {
                self.tell_whereabouts(io, session);
            }
        }
        for (session, topic) in self.missing_topics(io, peer) {
            self.join_own(io, session, &topic, None);
        }
    }

    pub(crate) fn link_down(&mut self, io: &mut Io, peer: ShardIndex) {
        for pending in self.requests.end_all(peer) {
            self.refuse_or_forward(io, &pending, Refusal::Unavailable);
        }
        self.aliases.retain(|_, holder| *holder != peer);
    }

    pub(crate) fn next_timer(&self) -> Option<Mono> {
        [
            self.requests.next_deadline(),
            self.gathers.next_deadline(),
            self.departed.next_deadline(),
            self.orphans.next(),
            self.unconnected.next(),
            self.retries.next(),
            self.expiries.first().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn run_timers(&mut self, io: &mut Io) {
        let now = io.now.mono;
        while let Some(pending) = self.requests.pop_overdue(now) {
            self.refuse_or_forward(io, &pending, Refusal::Unavailable);
            if let Subject::Join(topic) = &pending.subject
                && !self.is_live(pending.session, topic)
            {
                self.give_up_joining(io, pending.owner, pending.session, topic);
            }
        }
        self.end_overdue_gathers(io);
        while let Some(id) = self.orphans.pop_due(now) {
            if self.sessions.get(&id).is_some_and(|session| session.at.is_none()) {
                self.finish(io, id, "transport close");
            }
        }
        self.forget_departed(io);
        while let Some(line) = self.unconnected.pop_due(now) {
            self.expect_namespace(io, line);
        }
        while let Some((id, topic)) = self.retries.pop_due(now) {
            self.join_own(io, id, &topic, None);
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
