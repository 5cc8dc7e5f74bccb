//! What the core does per message: a publish to rooms of different sizes and spread, and a page
//! of history as JSON.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use trunkline_config::{HashKey, Shard, ShardMap, View};
use trunkline_core::{
    Attach, Comes, ConnectionId, Core, CoreSettings, Dialect, Epoch, Identity, Input, LogOutcome,
    LogRequest, Mono, Namespace, Newcomer, Now, Opened, Output, Record, Rights, SessionId,
    ShardIndex, TrunkId, UserId,
};

/// A single shard whose log answers at once.
struct Alone {
    core: Core,
    log: Vec<Arc<Record>>,
    now: Now,
    outputs: usize,
    sequences: Vec<u64>,
}

impl Alone {
    /// One room with `members` members, spread over `trunks` trunks.
    fn new(members: u64, trunks: u64) -> Self {
        let shard = Shard {
            id: "a".to_owned(),
            grpc: "127.0.0.1:7101".to_owned(),
            metrics: "127.0.0.1:9101".to_owned(),
            weight: 1.0,
        };
        let map = Arc::new(ShardMap::new(1, HashKey([7; 16]), vec![shard]));
        let (view, _) = View::first(map);
        let settings = CoreSettings {
            publish_rate: u32::MAX,
            publish_burst: u32::MAX,
            announce_up_to: 0,
            ..CoreSettings::default()
        };
        let mut alone = Self {
            core: Core::new(view, ShardIndex(0), BTreeSet::new(), settings),
            log: Vec::new(),
            now: Now { mono: Mono::default(), wall_ms: 1_790_000_000_000 },
            outputs: 0,
            sequences: vec![0; usize::try_from(members).unwrap_or_default() + 1],
        };
        for number in 1..=members {
            let trunk = TrunkId(number % trunks);
            let mut session = [0; 24];
            session[..8].copy_from_slice(&number.to_be_bytes());
            let attach = Attach {
                connection: ConnectionId(number),
                session: SessionId(session),
                dialect: Dialect::Native,
                attachment: 0,
                comes: Comes::Anew(Newcomer {
                    namespace: Namespace::parse("/").expect("a name"),
                    identity: Identity {
                        user: UserId::parse(&format!("user-{number}")).expect("a name"),
                        expires_ms: None,
                        rights: Rights(None),
                    },
                    authenticated: false,
                    guest: false,
                    inbox_after: None,
                }),
            };
            alone.handle(Input::Attach { trunk, attach });
            alone.say(trunk, number, r#"{"type":"join","id":1,"room":"lobby"}"#);
        }
        alone
    }

    fn say(&mut self, trunk: TrunkId, connection: u64, text: &'static str) {
        let index = usize::try_from(connection).unwrap_or_default();
        self.sequences[index] += 1;
        let sequence = self.sequences[index];
        let connection = ConnectionId(connection);
        let payload = Bytes::from_static(text.as_bytes());
        let (binary, answered) = (false, 0);
        self.handle(Input::Message { trunk, connection, sequence, payload, binary, answered });
    }

    fn handle(&mut self, input: Input) {
        self.core.handle(input, self.now);
        while let Some(output) = self.core.poll_output() {
            self.outputs += 1;
            if let Output::Log(request) = output {
                self.answer(request);
            } else {
                black_box(output);
            }
        }
    }

    fn answer(&mut self, request: LogRequest) {
        let (ticket, outcome) = match request {
            LogRequest::Open { ticket, .. } => {
                let epoch = Epoch::new("e");
                let opened = Opened::new(epoch);
                (ticket, LogOutcome::Opened(opened))
            }
            LogRequest::Append { ticket, records, .. } => {
                if self.log.len() < 1000 {
                    self.log.extend(records);
                }
                (ticket, LogOutcome::Appended { first: 1 })
            }
            LogRequest::Read { ticket, .. } => {
                (ticket, LogOutcome::Records { records: self.log.clone() })
            }
            _ => return,
        };
        self.handle(Input::Log { ticket, outcome });
    }
}

const PUBLISH: &str = r#"{"type":"publish","id":2,"room":"lobby","event":"chat message","data":"hello, this is a message of ordinary length"}"#;

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    for (members, trunks) in [(10, 1), (1000, 2), (1000, 16)] {
        let mut alone = Alone::new(members, trunks);
        let name = format!("{members} members on {trunks} trunks");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| alone.say(TrunkId(1 % trunks), 1, PUBLISH));
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut alone = Alone::new(1, 1);
    for _ in 0..1000 {
        alone.say(TrunkId(0), 1, PUBLISH);
    }
    let mut group = criterion.benchmark_group("history");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("a page of 1000 messages as JSON", |bencher| {
        bencher.iter(|| {
            alone.say(TrunkId(0), 1, r#"{"type":"history","id":3,"room":"lobby","limit":1000}"#);
        });
    });
    group.finish();
}

criterion_group!(benches, fan_out, encoding);
criterion_main!(benches);
