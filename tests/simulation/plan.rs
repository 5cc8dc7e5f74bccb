//! What a seed stands for: the cluster, the people, what is slow, and what goes wrong when.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use trunkline_config::settings::{Cluster, Heartbeat, Settings};
use trunkline_config::{HashKey, Shard, ShardMap};

use crate::script::{Event, Script};
use crate::store::{Kind, StorePlan};

/// Shards that there ever are.
pub(crate) const SHARDS: usize = 5;
/// Those of the first map.
pub(crate) const FIRST: usize = 4;
pub(crate) const ROUTERS: usize = 2;

/// All that is decided before a simulation begins.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) settings: Arc<Settings>,
    /// One map after the other.
    pub(crate) maps: Vec<Arc<ShardMap>>,
    pub(crate) store: StorePlan,
    pub(crate) people: Vec<Person>,
    pub(crate) rooms: usize,
    /// The longest that a segment is on its way, in milliseconds.
    pub(crate) latency_ms: u64,
    /// The longest pause between two things that somebody does, in milliseconds.
    pub(crate) pace_ms: u64,
    pub(crate) script: Vec<Event>,
    /// When the script is over and everything heals.
    pub(crate) quiet_at: Duration,
}

/// Somebody with one connection at a time.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user: String,
    /// The room that the connection is placed by, if any.
    pub(crate) placed_by: Option<usize>,
    /// Whether they may lose their network.
    pub(crate) roams: bool,
}

pub(crate) fn shard_name(shard: usize) -> String {
    format!("shard-{shard}")
}

pub(crate) fn router_name(router: usize) -> String {
    format!("router-{router}")
}

pub(crate) fn person_name(person: usize) -> String {
    format!("person-{person}")
}

pub(crate) fn room_name(room: usize) -> String {
    format!("room-{room}")
}

/// From this seed on shards drain and other maps come in most of the scripts.
pub(crate) const MOVING: u64 = 1_000_000;

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let rooms = dice.random_range(2..=4);
        let people = dice.random_range(5..=8);
        let person = |number: usize| Person {
            // Two of them are the same user.
            user: format!("user-{}", if number == 4 { 0 } else { number }),
            placed_by: dice.random_bool(0.5).then(|| dice.random_range(0..rooms)),
            roams: number % 3 == 2,
        };
        let people: Vec<Person> = (0..people).map(person).collect();
        let store = StorePlan {
            kind: [Kind::Memory, Kind::Own, Kind::Own, Kind::Shared][dice.random_range(0..4)],
            slowest_ms: [0, 0, 5, 40, 800][dice.random_range(0..5)],
            failures: if dice.random_bool(0.25) { 0.01 } else { 0.0 },
        };
        let latency_ms = [1, 10, 40][dice.random_range(0..3)];
        let pace_ms = [60, 150, 300][dice.random_range(0..3)];
        let Script { events, quiet_at, maps } =
            Script::new(&mut dice, people.len(), seed >= MOVING);
        let hash_key = HashKey(dice.random());
        Self {
            seed,
            settings: Arc::new(settings(&mut dice, &events, store.kind)),
            maps: (1..)
                .zip(maps)
                .map(|(version, shards)| {
                    let shards = shards.into_iter().map(shard).collect();
                    Arc::new(ShardMap::new(version, hash_key, shards))
                })
                .collect(),
            store,
            people,
            rooms,
            latency_ms,
            pace_ms,
            script: events,
            quiet_at,
        }
    }

    /// Whether what a shard that crashed had is there when it is back.
    pub(crate) fn is_durable(&self) -> bool {
        self.store.kind != Kind::Memory
    }

    /// A seed for something of this simulation, another for each of its lives.
    pub(crate) fn seed_of(&self, what: &str, life: u64) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (self.seed, what, life).hash(&mut hasher);
        hasher.finish()
    }
}

fn shard(number: usize) -> Shard {
    let id = shard_name(number);
    let grpc = format!("{id}:{}", crate::network::PORT);
    Shard { id, grpc, metrics: "127.0.0.1:0".to_owned(), weight: 1.0 }
}

fn settings(dice: &mut StdRng, script: &[Event], kind: Kind) -> Settings {
    let mut settings = Settings {
        heartbeat: Heartbeat { interval: Duration::from_secs(3), timeout: Duration::from_secs(2) },
        cluster: Cluster {
            secret: dice.random_bool(0.5).then(|| "correct horse battery staple".to_owned()),
            tls: None,
        },
        store: kind.settings(),
        ..Settings::default()
    };
    if dice.random_bool(0.2) {
        settings.drain.timeout = Duration::from_secs(2);
    }
    // Small enough for somebody who doesn't read to fill it, but only where nothing else makes
    // much wait for those who do read.
    let only_people = script.iter().all(|event| !event.act.is_of_shards());
    settings.limits.out_queue = if only_people { 8 << 10 } else { 256 << 10 };
    settings
}
