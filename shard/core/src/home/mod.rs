//! The half of a core that keeps sessions: those whose connections come to this shard.
//!
//! It reads what clients say, checks what they may, asks the owners of topics, and passes on what
//! these deliver. It never decides an order: that is the owners'.

mod adopt;
mod answer;
mod api;
mod attach;
mod behind;
mod checkpoints;
mod command;
mod delivery;
mod gate;
mod greeting;
mod handovers;
mod line;
mod moved;
mod own_topics;
mod permission;
mod rate;
mod requests;
mod respond;
mod resume;
mod session;
mod socketio;
mod stream;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::command::Origin;
use self::gate::{Gates, owner_of};
use self::handovers::Handovers;
use self::line::{At, Line};
use self::requests::{Asked, Pending, Requests, Subject};
use self::session::Session;
use self::socketio::departed::Departed;
use self::socketio::gather::Gathers;
use self::socketio::giving::Given;
use self::socketio::rescue::Sought;
use self::socketio::run::Run;
use self::stream::Stream;
use self::subscription::Subscriptions;
use crate::Ticket;
use crate::attachment::Attachment;
use crate::core::Io;
use crate::deadlines::Deadlines;
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
    /// Boxed, as they are large and a tree's nodes are never full.
    sessions: BTreeMap<SessionId, Box<Session>>,
    subscriptions: Subscriptions,
    requests: Requests,
    gates: Gates,
    handovers: Handovers,
    /// Tokens that are being checked.
    verifying: BTreeMap<Ticket, Verifying>,
    /// Sessions that routers are asked for.
    seeking: BTreeMap<Ticket, Sought>,
    /// Rules that wait for the application.
    calls: BTreeMap<Ticket, Run>,
    gathers: Gathers,
    stream: Stream,
    /// Live Socket.IO sessions by the ID that only the client knows.
    privates: BTreeMap<SessionId, SessionId>,
    departed: Departed,
    /// Where sessions are that this shard's digest names, by both their IDs.
    aliases: BTreeMap<SessionId, Alias>,
    /// Sessions whose trunk broke, and when; they leave their rooms when the grace is over.
    orphans: Deadlines<(SessionId, Mono)>,
    /// Sessions that may go on at other shards.
    given: Deadlines<Given>,
    /// Socket.IO connections, until they must have connected to a namespace.
    unconnected: Deadlines<SessionId>,
    retries: Deadlines<(SessionId, Topic)>,
    /// When tokens end.
    expiries: BTreeSet<(Mono, SessionId)>,
    /// Connections of which their routers must hear what has changed.
    changed: BTreeSet<SessionId>,
}

pub(crate) use self::attach::Message;
pub use self::stream::Stamp;

/// Why a token is being checked.
#[derive(Debug)]
enum Verifying {
    /// An `auth` message.
    Renewal(Origin),
    /// A session that connects to a namespace.
    Connect(SessionId),
}

impl Verifying {
    fn is_connect_of(&self, session: SessionId) -> bool {
        matches!(self, Verifying::Connect(connecting) if *connecting == session)
    }

    fn is_renewal_of(&self, session: SessionId) -> bool {
        matches!(self, Verifying::Renewal(origin) if origin.session == session)
    }
}

/// Where a session is that is not here.
#[derive(Clone, Copy, Debug)]
struct Alias {
    holder: ShardIndex,
    /// By which it was attached there. By an earlier one it may come from a router all the same.
    attachment: Attachment,
}

impl Home {
    pub(crate) fn new(settings: &CoreSettings) -> Self {
        Self {
            lines: BTreeMap::new(),
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            requests: Requests::new(settings.request_timeout),
            gates: Gates::new(),
            handovers: Handovers::default(),
            verifying: BTreeMap::new(),
            seeking: BTreeMap::new(),
            calls: BTreeMap::new(),
            gathers: Gathers::new(settings.incarnation),
            stream: Stream::new(settings.incarnation),
            privates: BTreeMap::new(),
            departed: Departed::new(settings.recovery),
            aliases: BTreeMap::new(),
            orphans: Deadlines::new(settings.grace),
            given: Deadlines::new(settings.grace),
            unconnected: Deadlines::new(settings.connect_timeout),
            retries: Deadlines::new(RETRY),
            expiries: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn is_connected(&self, session: &SessionId) -> bool {
        self.lines.get(session).is_some_and(|line| line.at.is_some())
    }

    pub(crate) fn newest_stamp(&self) -> Stamp {
        self.stream.at()
    }

    pub(crate) fn private_ids(&self, line: &SessionId) -> impl Iterator<Item = SessionId> {
        let sessions = self.lines.get(line).map(|line_of| line_of.sessions(*line));
        let private_id = |id| Some(self.sessions.get(&id)?.socket.as_ref()?.private_id);
        sessions.into_iter().flatten().filter_map(private_id)
    }

    pub(crate) fn departed(&self) -> usize {
        self.departed.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn link_up(&mut self, io: &mut Io, peer: ShardIndex) {
        for (topic, subscription) in self.subscriptions.of_owner(peer) {
            let member = |id| self.sessions.get(&id).map(|session| session.member());
            let members: Vec<Member> = subscription.members().filter_map(member).collect();
            if trunkline_planted::is("claim nobody") {
                continue;
            }
            let after = subscription.position.clone();
            io.tell(peer, PeerMessage::Claim { topic: topic.clone(), after, members });
        }
        for session in self.sessions.values() {
            if io.home_of(&session.id) == peer {
                self.tell_whereabouts(io, session);
            }
            session.is_not_gone(io, peer);
        }
        self.tell_who_is_remembered(io, |named_by, _| named_by == peer);
        for (session, topic) in self.missing_topics(io, peer) {
            self.join_own(io, session, &topic, None);
        }
        for (session, topic) in self.awaited_from(io, peer) {
            self.ask_again(io, session, &topic);
        }
    }

    pub(crate) fn link_down(&mut self, io: &mut Io, peer: ShardIndex) {
        for (request, pending) in self.requests.end_all(peer) {
            if let Some(pending) = self.keep_for_next(io, request, pending) {
                // Who may have had a session that is asked for has it no more as far as others know.
                let refusal = match pending.asked {
                    Asked::Recall { .. } => Refusal::Unknown,
                    Asked::Topic { .. } | Asked::Whisper { .. } => Refusal::Unavailable,
                };
                self.refuse_or_forward(io, &pending, refusal);
            }
        }
        self.aliases.retain(|_, alias| alias.holder != peer);
        self.claim_what_is_orphaned(io);
        self.open_gates(io);
    }

    pub(crate) fn next_timer(&mut self, now: Mono) -> Option<Mono> {
        [
            self.requests.next_deadline(now),
            self.gathers.next_deadline(),
            self.departed.next_deadline(),
            self.orphans.next(),
            self.given.next(),
            self.unconnected.next_roughly(),
            self.retries.next(),
            self.gates.next_timer(),
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
            match (&pending.subject, pending.topic()) {
                (Subject::Join(topic), _) => self.give_up_joining(io, &pending, topic),
                (Subject::Part, Some(topic)) => {
                    self.leave_in_doubt(io, &pending, pending.owner);
                    self.leave_in_doubt(io, &pending, owner_of(&self.subscriptions, io, topic));
                }
                _ => {}
            }
            if let Some(topic) = pending.topic() {
                self.open_gate(io, topic);
            }
        }
        self.end_overdue_gathers(io);
        self.run_gates(io);
        while let Some((id, broken)) = self.orphans.pop_due(now) {
            // It may have come back, and its trunk have broken again.
            let session = self.sessions.get(&id);
            if session.is_some_and(|it| it.at.is_none() && it.broken == Some(broken)) {
                self.finish(io, id, "transport close");
            }
        }
        self.let_go_of_given(io);
        self.forget_departed(io);
        while let Some(line) = self.unconnected.pop_due(now) {
            self.expect_namespace(io, line);
        }
        while let Some((id, topic)) = self.retries.pop_due(now) {
            self.ask_again(io, id, &topic);
        }
        while let Some((at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, id));
            self.expire(io, id);
        }
    }

    /// An owner that is late with a session's join may yet let it in, and the session must not
    /// stay in unknown to its home. Later joins are given up with it: the owner would take the
    /// session for a member that has had what was in the answer that nobody waits for.
    fn give_up_joining(&mut self, io: &mut Io, late: &Pending, topic: &Topic) {
        let mut session = self.sessions.get_mut(&late.session);
        let has_come_back = session.as_ref().is_some_and(|it| it.line != late.line);
        let membership = session.as_mut().and_then(|it| it.membership(topic));
        if !has_come_back && membership.is_some_and(|it| it.live) {
            return;
        }
        if has_come_back {
            // What it is to its owner by now was said when it went.
            return self.leave_in_doubt(io, late, late.owner);
        }
        for pending in self.requests.end_joins(late, topic) {
            self.refuse(io, &pending, Refusal::Unavailable);
        }
        let (topic, session) = (topic.clone(), late.session);
        let attachment = late.attachment();
        let suspended = PeerMessage::Suspend { topic: topic.clone(), session, attachment };
        io.tell(late.owner, suspended);
        match self.sessions.get(&session) {
            // It asks again, and has been there all the time as far as the others know.
            Some(it) if it.resumes_after(&topic).is_some() => {}
            Some(_) => self.part(io, session, topic),
            None => io.tell(late.owner, PeerMessage::Forget { topic, session, attachment }),
        }
    }

    /// An owner that has not answered may yet let a session in, or have it: while another is the owner by
    /// the view, it doesn't hear what becomes of the session. So it waits for that for a while only.
    fn leave_in_doubt(&self, io: &mut Io, asked: &Pending, owner: ShardIndex) {
        let (session, attachment) = (asked.session, asked.attachment());
        if let Some(topic) = asked.topic().cloned() {
            let is_in = |it: &Session| it.at.is_some() && !it.is_out_of(&topic);
            let here = self.sessions.get(&session).filter(|it| it.attachment == attachment);
            if here.is_some_and(|it| is_in(it)) {
                // It has been let in since, or asks for it.
                return;
            }
            io.tell(owner, PeerMessage::Suspend { topic, session, attachment });
        }
    }

    /// Looks after the end of a session's present token, and of no earlier one.
    fn watch_expiry(&mut self, io: &Io, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let expires = session.identity.expires_ms.map(|expires_ms| {
            let left = Duration::from_millis(expires_ms.saturating_sub(io.now.wall_ms));
            io.now.mono + left
        });
        if let Some(before) = std::mem::replace(&mut session.expires, expires) {
            self.expiries.remove(&(before, id));
        }
        if let Some(at) = expires {
            self.expiries.insert((at, id));
        }
    }

    /// A token's end has come, unless it was renewed (or the wall clock was set back).
    fn expire(&mut self, io: &mut Io, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (expires_ms, at) = (session.identity.expires_ms, session.at);
        if expires_ms.is_some_and(|expires_ms| expires_ms > io.now.wall_ms) {
            self.watch_expiry(io, id);
        } else if let (Some(_), Some((trunk, connection))) = (expires_ms, at) {
            let code = CloseCode::NotAuthenticated;
            let reason = "the token has expired";
            io.output(Output::Close { trunk, connection, code, reason });
        }
    }
}
