//! What is to be done.

use std::time::Duration;

use clap::ValueEnum;
use trunkline_config::{ShardKey, ShardMap};

use crate::BenchError;
use crate::servers::Selection;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Publishes to rooms, over which the clients are spread
    Fanout,
    /// Private messages
    Private,
    /// Connections that say nothing
    Idle,
    /// Clients that connect, join and go
    Storm,
    /// A chat: most messages to rooms, some private, some typing, some coming and going
    Mixed,
    /// Publishes to one room with all clients
    HotRoom,
}

impl Scenario {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fanout => "fanout",
            Self::Private => "private",
            Self::Idle => "idle",
            Self::Storm => "storm",
            Self::Mixed => "mixed",
            Self::HotRoom => "hot-room",
        }
    }
}

/// How the clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speech {
    /// trunkline.v1
    Native,
    /// Socket.IO 5 over a WebSocket
    #[value(name = "socketio")]
    SocketIo,
    /// Socket.IO 5 by HTTP long-polling; requests go to all URLs in turn
    Polling,
    /// NATS over a WebSocket, to put its server beside the native protocol
    Nats,
}

impl Speech {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::SocketIo => "socketio",
            Self::Polling => "polling",
            Self::Nats => "nats",
        }
    }

    /// Whether a connection is no socket, but one request after the other.
    #[must_use]
    pub fn polls(self) -> bool {
        self == Self::Polling
    }
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// What the clients do.
    pub scenario: Scenario,
    /// How they speak.
    pub speech: Speech,
    /// Where they connect, such as `ws://127.0.0.1:8080`, one after the other.
    pub urls: Vec<String>,
    /// How many clients; of [`Scenario::Storm`], how many may be on their way at once.
    pub clients: usize,
    /// The number of the first client: several drivers side by side need other users each.
    pub first: usize,
    /// How many rooms they are spread over.
    pub rooms: usize,
    /// Messages, or arrivals, a second, all clients together.
    pub rate: f64,
    /// Bytes of each message's argument, at least: a time and a number need about 40.
    pub payload: usize,
    /// How long is measured.
    pub duration: Duration,
    /// How long the load runs before.
    pub warm_up: Duration,
    /// How long a client may take to connect and join.
    pub deadline: Duration,
    /// Threads that carry the clients.
    pub threads: usize,
    /// Connections are placed by their room, not by their user.
    pub by_room: bool,
    /// Publishes and private messages ask for an acknowledgement, whose latency is measured too.
    pub acknowledged: bool,
    /// With it clients sign tokens (HS256) for themselves.
    pub jwt_key: Option<Vec<u8>>,
    /// Private messages go to users on other shards of this map than the sender's only.
    pub apart: Option<ShardMap>,
    /// The processes that are measured.
    pub servers: Selection,
}

impl Plan {
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let wrong = |what: &str| Err(BenchError::Plan(what.to_owned()));
        if self.urls.is_empty() {
            return wrong("there is nowhere to connect; give a URL");
        }
        if self.clients == 0 || self.rooms == 0 || self.threads == 0 {
            return wrong("clients, rooms and threads must be one at least");
        }
        if self.clients < 2 && matches!(self.scenario, Scenario::Private | Scenario::Mixed) {
            return wrong("private messages need two clients at least");
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return wrong("the rate must be more than 0");
        }
        if self.threads > self.clients {
            return wrong("there are more threads than clients");
        }
        if self.speech == Speech::Nats && (self.acknowledged || self.jwt_key.is_some()) {
            return wrong("over NATS there are neither acknowledgements nor tokens here");
        }
        Ok(())
    }

    /// How many rooms there are in fact.
    pub(crate) fn rooms(&self) -> usize {
        match self.scenario {
            Scenario::HotRoom => 1,
            _ => self.rooms,
        }
    }

    /// The room of a client.
    pub(crate) fn room_of(&self, client: usize) -> usize {
        client % self.rooms()
    }

    /// How many clients are in a room.
    pub(crate) fn members(&self, room: usize) -> u32 {
        let (all, rooms) = (self.clients, self.rooms());
        let members = all / rooms + usize::from(room < all % rooms);
        u32::try_from(members).unwrap_or(u32::MAX)
    }

    /// Whether private messages may go from one to the other.
    pub(crate) fn may_write(&self, from: usize, to: usize) -> bool {
        from != to
            && self.apart.as_ref().is_none_or(|map| {
                let owner = |client| map.owner(&ShardKey::User(&self.user(client)));
                owner(from) != owner(to)
            })
    }

    pub(crate) fn user(&self, client: usize) -> String {
        format!("bench-{}", self.first + client)
    }

    pub(crate) fn room(&self, room: usize) -> String {
        // Drivers side by side have rooms of their own, or they would count each other's messages.
        if self.first == 0 {
            format!("bench-{room}")
        } else {
            format!("bench-{}-{room}", self.first)
        }
    }
}
