//! Shards whose log, links and routers do at once what they are asked, and as little as they can:
//! it is the cores that are counted.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trunkline_config::{HashKey, Shard, ShardKey, ShardMap, View};
use trunkline_core::{
    Attach, Comes, ConnectionId, Core, CoreSettings, Dialect, Epoch, Identity, Input, LogOutcome,
    LogRequest, Mono, Namespace, Newcomer, Now, Opened, Output, Rights, SessionId, ShardIndex,
    TrunkId, UserId,
};

/// One router worker: its trunk to every shard has the same number.
const TRUNK: TrunkId = TrunkId(1);
const WALL_MS: u64 = 1_790_000_000_000;
/// What the log keeps of a topic.
const KEPT: u64 = 1000;

/// Shards, and what is on its way to them.
pub(crate) struct Shards {
    map: Arc<ShardMap>,
    cores: Vec<Core>,
    arriving: VecDeque<(usize, Input)>,
    /// Per connection, the messages that it has sent; its number is the index.
    sent: Vec<u64>,
    now: Now,
    heard: Heard,
}

/// What routers were given for clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// To connections by number.
    pub(crate) frames: usize,
    /// To whole groups.
    pub(crate) fans: usize,
}

/// A client that is connected, and its shard.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    shard: usize,
    connection: ConnectionId,
}

impl Shards {
    /// Shards that are linked to each other and to a router worker.
    pub(crate) fn new(count: u16) -> Self {
        let shard = |index: u16| Shard {
            id: format!("shard-{index}"),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        let map = Arc::new(ShardMap::new(1, HashKey([7; 16]), (0..count).map(shard).collect()));
        let (view, _) = View::first(Arc::clone(&map));
        let core = |index| {
            let settings = CoreSettings {
                publish_rate: u32::MAX,
                publish_burst: u32::MAX,
                ..CoreSettings::default()
            };
            Core::new(view.clone(), ShardIndex(index), BTreeSet::new(), settings)
        };
        let mut shards = Self {
            cores: (0..count).map(core).collect(),
            map,
            arriving: VecDeque::new(),
            sent: Vec::new(),
            now: Now { mono: Mono::default(), wall_ms: WALL_MS },
            heard: Heard::default(),
        };
        for shard in 0..count {
            let here = usize::from(shard);
            shards.tell(here, Input::TrunkUp { trunk: TRUNK, restarted: false });
            for peer in (0..count).filter(|peer| *peer != shard) {
                shards.tell(here, Input::LinkUp { peer: ShardIndex(peer), restarted: false });
            }
        }
        shards.settle();
        shards
    }

    /// A name whose inbox and connections a shard has.
    pub(crate) fn user_of(&self, shard: usize) -> String {
        let names = (0..).map(|number| format!("user-{number}"));
        let mut here = names.filter(|name| self.home_of(name) == shard);
        here.next().expect("every shard has users")
    }

    /// So many clients join the room `lobby`; gives one of them.
    pub(crate) fn fill_room(&mut self, members: usize) -> Client {
        let mut last = None;
        for number in 0..members {
            let client = self.enter(&format!("member-{number}"));
            self.say(client, r#"21["join","lobby"]"#);
            last = Some(client);
        }
        self.take_heard();
        last.expect("a room has members")
    }

    /// A Socket.IO client comes and connects to the namespace `/`.
    pub(crate) fn enter(&mut self, user: &str) -> Client {
        let connection = ConnectionId(self.sent.len() as u64);
        self.sent.push(0);
        let shard = self.home_of(user);
        let mut session = [0; 24];
        session[..8].copy_from_slice(&self.map.digest(&ShardKey::User(user)).0.to_be_bytes());
        session[16..].copy_from_slice(&connection.0.to_be_bytes());
        let attach = Attach {
            connection,
            session: SessionId(session),
            dialect: Dialect::SocketIo,
            attachment: 0,
            comes: Comes::Anew(Newcomer {
                namespace: Namespace::parse("/").expect("a namespace"),
                identity: Identity {
                    user: UserId::parse(user).expect("a user"),
                    expires_ms: None,
                    rights: Rights(None),
                },
                authenticated: false,
                guest: false,
                inbox_after: None,
            }),
        };
        self.tell(shard, Input::Attach { trunk: TRUNK, attach });
        let client = Client { shard, connection };
        self.say(client, "0");
        client
    }

    /// A client's socket is gone.
    pub(crate) fn leave(&mut self, client: Client) {
        let Client { shard, connection } = client;
        self.tell(shard, Input::Detach { trunk: TRUNK, connection, moved: false });
        self.settle();
    }

    /// A client sends a packet, and all that follows from it is done.
    pub(crate) fn say(&mut self, client: Client, packet: impl Into<Bytes>) {
        let Client { shard, connection } = client;
        let sent = &mut self.sent[usize::try_from(connection.0).expect("few connections")];
        *sent += 1;
        let (sequence, payload) = (*sent, packet.into());
        let (trunk, binary, answered) = (TRUNK, false, 0);
        let message = Input::Message { trunk, connection, sequence, payload, binary, answered };
        self.tell(shard, message);
        self.settle();
    }

    /// Time passes, and cores are told where they wait for it.
    pub(crate) fn wait_a_second(&mut self) {
        self.now.mono = self.now.mono + Duration::from_secs(1);
        self.now.wall_ms += 1000;
        for shard in 0..self.cores.len() {
            if self.cores[shard].poll_timeout().is_some_and(|due| due <= self.now.mono) {
                self.tell(shard, Input::Tick);
            }
        }
        self.settle();
    }

    /// What clients have heard since this was asked last.
    pub(crate) fn take_heard(&mut self) -> Heard {
        std::mem::take(&mut self.heard)
    }

    fn home_of(&self, user: &str) -> usize {
        usize::from(self.map.owner(&ShardKey::User(user)))
    }

    fn tell(&mut self, shard: usize, input: Input) {
        self.arriving.push_back((shard, input));
    }

    /// Lets the cores work until nothing is on its way.
    fn settle(&mut self) {
        while let Some((shard, input)) = self.arriving.pop_front() {
            self.cores[shard].handle(input, self.now);
            while let Some(output) = self.cores[shard].poll_output() {
                self.carry_out(shard, output);
            }
        }
    }

    fn carry_out(&mut self, shard: usize, output: Output) {
        match output {
            Output::Send { trunk, connections, frame: _, receipt, position: _, answers: _ } => {
                self.heard.frames += connections.len();
                if let Some(receipt) = receipt {
                    self.tell(shard, Input::Receipt { trunk, receipt, passed: true });
                }
            }
            Output::Fan { .. } => self.heard.fans += 1,
            Output::Peer { peer, message } => {
                let from = ShardIndex(u16::try_from(shard).expect("few shards"));
                self.tell(usize::from(peer.0), Input::Peer { peer: from, message });
            }
            Output::Log(request) => self.keep(shard, request),
            Output::Group { .. }
            | Output::Acknowledge { .. }
            | Output::Checkpoint { .. }
            | Output::Published(_) => {}
            other => panic!("nothing here asks for {other:?}"),
        }
    }

    fn keep(&mut self, shard: usize, request: LogRequest) {
        let (ticket, outcome) = match request {
            LogRequest::Open { ticket, .. } => {
                let epoch = Epoch::new("e");
                let opened = Opened::new(epoch);
                (ticket, LogOutcome::Opened(opened))
            }
            LogRequest::Append { ticket, records, .. } => {
                let last = records.last().map_or(0, |record| record.offset);
                let first = last.saturating_sub(KEPT) + 1;
                (ticket, LogOutcome::Appended { first })
            }
            LogRequest::Mark { .. } => return,
            _ => panic!("nobody here asks for what was before"),
        };
        self.tell(shard, Input::Log { ticket, outcome });
    }
}
