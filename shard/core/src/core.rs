//! One shard's state machine: routes inputs to its two halves and what they say to each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trunkline_config::View;

use crate::asker::Asker;
use crate::dedupe::{Identity, Key};
use crate::home::{Home, Message, Stamp};
use crate::input::Input;
use crate::link::{Links, ShardIndex, Via};
use crate::output::Output;
use crate::owner::Owner;
use crate::peer::PeerMessage;
use crate::session_id::SessionId;
use crate::settings::CoreSettings;
use crate::time::{Mono, Now};
use crate::topic::Topic;
use crate::{ConnectionId, Ticket, TrunkId};

/// The state machine of a shard.
#[derive(Debug)]
pub struct Core {
    io: Io,
    home: Home,
    owner: Owner,
}

/// How much a core holds, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Sessions whose home this is.
    pub sessions: usize,
    /// Connections that are attached, those that poll as well.
    pub connections: usize,
    /// Rooms that this shard owns and somebody is in.
    pub rooms: usize,
    /// Memberships in these rooms.
    pub members: usize,
    /// Socket.IO sessions that have ended and whose clients may come back.
    pub departed: usize,
    /// Requests that wait for an answer.
    pub requests: usize,
    /// Topics in memory, rooms and inboxes, with or without members.
    pub topics: usize,
    /// Topics that are another shard's and have not gone yet.
    pub moving: usize,
}

/// What both halves share: the time of the input, what is known of the cluster, and where
/// outputs go.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) settings: CoreSettings,
    pub(crate) now: Now,
    pub(crate) links: Links,
    view: View,
    outputs: VecDeque<Output>,
    acknowledged: BTreeMap<(TrunkId, ConnectionId), u64>,
    local: VecDeque<PeerMessage>,
    tickets: u64,
}

impl Io {
    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// A connection's messages up to this one are settled. The router is told when there is nothing
    /// else to say: once, and after what it must have by then.
    pub(crate) fn acknowledge(&mut self, at: (TrunkId, ConnectionId), sequence: u64) {
        self.acknowledged.insert(at, sequence);
    }

    /// Says something to a peer, or to the other half of this core. To a peer whose link is
    /// down nothing is said: claims set it right when the link is back.
    pub(crate) fn tell(&mut self, peer: ShardIndex, message: PeerMessage) {
        if peer == self.links.me() {
            self.local.push_back(message);
        } else if self.links.is_up(peer) {
            self.outputs.push_back(Output::Peer { peer, message });
        }
    }

    /// Says something to the owner of a topic.
    pub(crate) fn tell_owner(&mut self, topic: Topic, say: impl FnOnce(Topic) -> PeerMessage) {
        self.tell(self.owner_of(&topic), say(topic));
    }

    /// Says something to who is owed an answer, unless the link it asked on has broken since.
    pub(crate) fn answer(&mut self, via: Via, message: PeerMessage) {
        if self.links.via(via.peer) == via {
            self.tell(via.peer, message);
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn owner_of(&self, topic: &Topic) -> ShardIndex {
        ShardIndex(self.view.owner(&topic.key()))
    }

    pub(crate) fn home_of(&self, session: &SessionId) -> ShardIndex {
        ShardIndex(self.view.owner_of(session.digest()))
    }

    /// Another session's ID, of the same shard, that tells nothing of the first.
    pub(crate) fn derive(&self, session: &SessionId, purpose: &str, nth: u64) -> SessionId {
        SessionId(self.view.hash_key().derive(&session.0, purpose, nth))
    }
}

impl Core {
    /// A core for the shard with number `me`. `owed` are those that may hold topics which by
    /// `view` are this one's ([`Output::Owed`]).
    #[must_use]
    pub fn new(
        view: View,
        me: ShardIndex,
        owed: BTreeSet<ShardIndex>,
        settings: CoreSettings,
    ) -> Self {
        let mut io = Io {
            links: Links::new(me),
            now: Now::default(),
            outputs: VecDeque::new(),
            acknowledged: BTreeMap::new(),
            local: VecDeque::new(),
            tickets: 0,
            view,
            settings,
        };
        let mut owner = Owner::new(owed, &io.view, &io.settings);
        owner.begin(&mut io);
        Self { home: Home::new(&io.settings), owner, io }
    }

    /// Takes an input. The time must not go backwards.
    pub fn handle(&mut self, input: Input, now: Now) {
        let Self { io, home, owner } = self;
        io.now = now;
        home.run_timers(io);
        owner.run_timers(io);
        match input {
            Input::Succeeds => owner.doubt(io),
            Input::TrunkUp { trunk: _, restarted } => {
                if restarted {
                    owner.doubt(io);
                }
            }
            Input::TrunkDown { trunk } => home.trunk_down(io, trunk),
            Input::Attach { trunk, attach } => home.attach(io, trunk, attach),
            Input::Detach { trunk, connection, moved } => {
                home.detach(io, (trunk, connection), moved);
            }
            Input::Lost { trunk, connection } => {
                home.lose(io, (trunk, connection));
            }
            Input::Message { trunk, connection, sequence, payload, binary, answered } => {
                let heard = Message { sequence, payload, binary, answered };
                home.message(io, (trunk, connection), heard);
            }
            Input::Move { from, to } => home.move_line(io, from, to),
            Input::Api { trunk, call, member, request } => {
                home.api(io, trunk, call, member, request);
            }
            Input::Called { ticket, answer } => home.called(io, ticket, answer),
            Input::Receipt { trunk: _, receipt, passed } => home.receipt(io, receipt, passed),
            Input::LinkUp { peer, restarted } => {
                if restarted {
                    owner.doubt(io);
                }
                io.links.set(peer, true);
                home.link_up(io, peer);
                owner.link_up(io, peer);
            }
            Input::LinkDown { peer } => {
                io.links.set(peer, false);
                home.link_down(io, peer);
                owner.link_down(io, peer);
            }
            Input::Peer { peer, message } => route(io, home, owner, peer, message),
            Input::Log { ticket, outcome } => owner.log(io, ticket, outcome),
            Input::Verified { ticket, identity } => home.verified(io, ticket, identity),
            Input::Found { ticket, found } => home.found(io, ticket, found),
            Input::View(view) => {
                let before = std::mem::replace(&mut io.view, view);
                if before.id() != io.view.id() {
                    home.view_changed(io, &before);
                    owner.view_changed(io, &before);
                }
            }
            Input::Tick => {}
        }
        let me = io.links.me();
        while let Some(message) = io.local.pop_front() {
            route(io, home, owner, me, message);
        }
        owner.say_settled(io);
    }

    /// What is to be done next, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.io.outputs.is_empty() {
            self.home.give_checkpoints(&mut self.io);
            while let Some(((trunk, connection), sequence)) = self.io.acknowledged.pop_first() {
                self.io.output(Output::Acknowledge { trunk, connection, sequence });
            }
        }
        self.io.outputs.pop_front()
    }

    /// When [`Core::handle`] has to be called again at the latest.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Mono> {
        let owner = self.owner.next_timer(&self.io);
        [self.home.next_timer(self.io.now.mono), owner].into_iter().flatten().min()
    }

    /// Whether a router has this session's connection.
    #[must_use]
    pub fn is_connected(&self, session: &SessionId) -> bool {
        self.home.is_connected(session)
    }

    /// The newest stamp of what Socket.IO clients were sent.
    #[must_use]
    pub fn newest_stamp(&self) -> Stamp {
        self.home.newest_stamp()
    }

    /// The IDs that only the client knows of a connection's Socket.IO sessions.
    pub fn private_ids(&self, line: &SessionId) -> impl Iterator<Item = SessionId> {
        self.home.private_ids(line)
    }

    /// Whether nothing is left here, in memory or at rest, that by the view is another shard's.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.owner.is_settled()
    }

    /// Whether all shards of the map know that they need not wait for this one, if the map doesn't
    /// have it.
    #[must_use]
    pub fn others_agree(&self) -> bool {
        self.owner.others_agree(&self.io)
    }

    /// How much it holds.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.home.sessions(),
            connections: self.home.connections(),
            departed: self.home.departed(),
            requests: self.home.requests(),
            rooms: self.owner.rooms(),
            members: self.owner.members(),
            topics: self.owner.topics(),
            moving: self.owner.moving(),
        }
    }
}

/// Hands a message of the shard `from` to the half that it is for.
fn route(io: &mut Io, home: &mut Home, owner: &mut Owner, from: ShardIndex, message: PeerMessage) {
    match message {
        PeerMessage::Request { request, member, sequence, topic, action } => {
            owner.request(io, from, request, member, sequence, topic, action);
        }
        PeerMessage::Claim { topic, after, members } => {
            owner.claim(io, from, topic, after, members);
        }
        PeerMessage::Forget { topic, session, attachment } => {
            owner.forget(io, from, topic, session, attachment);
        }
        PeerMessage::Suspend { topic, session, attachment } => {
            owner.suspend(io, from, topic, session, attachment);
        }
        PeerMessage::Handed { topic, handover, passed } => {
            owner.handed(io, from, &topic, handover, passed);
        }
        PeerMessage::Whisper { request, member, sequence, to, body, key, ephemeral } => {
            let asker = Asker { via: io.links.via(from), request };
            let key = key.map(|text| Key { text, ephemeral });
            let identity = Identity { member, sequence, key };
            home.whisper(io, asker, identity, to, body, ephemeral);
        }
        PeerMessage::Reply { request, result } => home.reply(io, request, result),
        PeerMessage::Deliver { topic, delivery } => home.deliver(io, from, &topic, delivery),
        PeerMessage::Answers { topic: _, gather, gathered } => {
            owner.answers(io, from, gather, gathered);
        }
        PeerMessage::Recall { request, private_id, namespace, offset } => {
            let asker = Asker { via: io.links.via(from), request };
            home.recall_asked(io, asker, private_id, namespace, offset);
        }
        PeerMessage::Moved { session, private_id, attachment } => {
            home.moved_elsewhere(from, session, private_id, attachment);
        }
        PeerMessage::Claimed { topic, epoch, gap, missed, last, handover } => {
            home.claimed(io, from, &topic, &epoch, gap, &missed, last, handover);
        }
        PeerMessage::Parted { topic } => home.parted(io, from, &topic),
        PeerMessage::Transfer { topic, part } => owner.transfer(io, from, topic, *part),
        PeerMessage::Transferred { topic } => owner.transferred(io, from, &topic),
        PeerMessage::NotTaken { topic } => owner.not_taken(io, from, &topic),
        PeerMessage::Want { topic, view } => owner.wanted(io, from, topic, view),
        PeerMessage::Lacks { topic, view } => owner.lacks(io, from, &topic, view),
        PeerMessage::Settled { view } => owner.settled(io, from, view),
        PeerMessage::Doubt { lasts } => owner.doubted(io, from, lasts),
    }
}
