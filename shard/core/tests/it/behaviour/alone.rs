//! One shard, whose peers, router and log the test plays: so that one thing comes before another.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use trunkline_config::{Directory, HashKey, Shard, ShardMap, ShardStatus, Statuses, View};
use trunkline_core::{
    Attach, Comes, ConnectionId, Core, CoreSettings, Dialect, Epoch, Identity, Input, LogOutcome,
    LogRequest, Mono, Namespace, Newcomer, Now, Opened, Output, PeerMessage, Rights, SessionId,
    ShardIndex, Topic, TrunkId, UserId,
};

use crate::simulation::{inbox_topic, room_topic};

pub(super) const ME: ShardIndex = ShardIndex(0);
pub(super) const PEERS: [ShardIndex; 2] = [ShardIndex(1), ShardIndex(2)];
pub(super) const TRUNK: TrunkId = TrunkId(1);

/// The shard, and what it is told of the cluster.
pub(super) struct Alone {
    core: Core,
    statuses: Statuses,
    directory: Directory,
    pub(super) view: View,
    views: u64,
    said: u64,
    pub(super) now: Mono,
}

impl Alone {
    /// It is linked to its peers, and a router to it.
    pub(super) fn new() -> Self {
        let shard = |id: &str| Shard {
            id: id.to_owned(),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        let map = ShardMap::new(1, HashKey([7; 16]), ["a", "b", "c"].map(shard).to_vec());
        let (view, directory) = View::first(Arc::new(map));
        let core = Core::new(view.clone(), ME, BTreeSet::new(), CoreSettings::default());
        let mut alone = Self {
            core,
            statuses: Statuses::default(),
            directory,
            view,
            views: 0,
            said: 0,
            now: Mono::default(),
        };
        for peer in PEERS {
            alone.handle(Input::LinkUp { peer, restarted: false });
        }
        alone.handle(Input::TrunkUp { trunk: TRUNK, restarted: false });
        alone
    }

    /// Gives what it wants done then. What it asks its log to open there is nothing of.
    pub(super) fn handle(&mut self, input: Input) -> Vec<Output> {
        let (mut wants, mut inputs) = (Vec::new(), vec![input]);
        while let Some(input) = inputs.pop() {
            self.core.handle(input, Now { mono: self.now, wall_ms: 1_790_000_000_000 });
            while let Some(output) = self.core.poll_output() {
                if let Output::Log(LogRequest::Open { ticket, .. }) = &output {
                    let outcome = LogOutcome::Opened(Opened::new(Epoch::new("new")));
                    inputs.push(Input::Log { ticket: *ticket, outcome });
                }
                wants.push(output);
            }
        }
        wants
    }

    pub(super) fn hear(&mut self, peer: ShardIndex, message: PeerMessage) -> Vec<Output> {
        self.handle(Input::Peer { peer, message })
    }

    /// These are away from now on, and no others.
    pub(super) fn view_without(&mut self, away: &[ShardIndex]) -> View {
        self.views += 1;
        for (number, shard) in self.view.shards() {
            let (shard, away) = (shard.id.clone(), away.contains(&ShardIndex(number)));
            self.statuses.learn(&ShardStatus { shard, stamp_ms: self.views, away });
        }
        View::new(Arc::clone(self.view.map()), &self.statuses, &mut self.directory)
    }

    /// It hears of a view.
    pub(super) fn sees(&mut self, view: &View) -> Vec<Output> {
        self.view = view.clone();
        self.handle(Input::View(view.clone()))
    }

    /// A room of these, as long as each of them is there: the first's, and the next's without it.
    pub(super) fn room_of(&self, owners: &[ShardIndex]) -> (String, Topic) {
        let mut names = (0..).map(|number| format!("room-{number}"));
        let is_theirs = |name: &String| {
            let digest = self.view.map().digest(&room_topic(name).key());
            self.view.order_of(digest).map(ShardIndex).zip(owners).all(|(is, owner)| is == *owner)
        };
        let name = names.find(is_theirs).expect("there is one");
        let topic = room_topic(&name);
        (name, topic)
    }

    /// Somebody connects whose inbox is this shard's.
    pub(super) fn come(&mut self, number: u8) -> ConnectionId {
        let is_here = |user: &String| self.view.owner(&inbox_topic(user).key()) == ME.0;
        let mut users = (0..).map(|nth| format!("user-{number}-{nth}"));
        let user = users.find(is_here).expect("somebody is here");
        let connection = ConnectionId(number.into());
        let identity = Identity {
            user: UserId::parse(&user).expect("a user"),
            expires_ms: None,
            rights: Rights(None),
        };
        let namespace = Namespace::parse("/").expect("a namespace");
        let (authenticated, guest, inbox_after) = (false, false, None);
        let newcomer = Newcomer { namespace, identity, authenticated, guest, inbox_after };
        let (session, dialect) = (SessionId([number; 24]), Dialect::Native);
        let comes = Comes::Anew(newcomer);
        let attach = Attach { connection, session, dialect, attachment: 0, comes };
        self.handle(Input::Attach { trunk: TRUNK, attach });
        connection
    }

    /// A client says something, all of them together counted.
    pub(super) fn say(&mut self, connection: ConnectionId, text: &Value) -> Vec<Output> {
        self.said += 1;
        let (sequence, payload) = (self.said, text.to_string().into());
        let (trunk, binary, answered) = (TRUNK, false, 0);
        self.handle(Input::Message { trunk, connection, sequence, payload, binary, answered })
    }
}

/// What it says to a peer.
pub(super) fn told(wants: &[Output], to: ShardIndex) -> Vec<&PeerMessage> {
    let mut told = Vec::new();
    for output in wants {
        if let Output::Peer { peer, message } = output
            && *peer == to
        {
            told.push(message);
        }
    }
    told
}

/// The types of what clients are given, in order.
pub(super) fn given(wants: &[Output]) -> Vec<String> {
    let parts = wants.iter().flat_map(|output| match output {
        Output::Send { frame, .. } | Output::Fan { frame, .. } => frame.parts.as_slice(),
        _ => &[],
    });
    let kind = |payload: &[u8]| {
        let value: Value = serde_json::from_slice(payload).expect("a native message");
        value["type"].as_str().expect("a type").to_owned()
    };
    parts.map(|part| kind(&part.payload)).collect()
}
