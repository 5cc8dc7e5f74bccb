//! The driver between streams that the test plays.

use std::sync::Arc;

use futures_util::StreamExt;
use prometheus::Registry;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::timeout;
use trunkline_config::settings::Settings;
use trunkline_config::{HashKey, Shard, ShardMap};
use trunkline_core::CoreSettings;
use trunkline_proto::outbox::{Batches, Bounds, outbox};

use super::*;

const TRUNK: TrunkId = TrunkId(1);

fn driver(registry: &Registry) -> Driver {
    let settings = Settings::default();
    let shard = Shard {
        id: "a".to_owned(),
        grpc: "a:1".to_owned(),
        metrics: "a:2".to_owned(),
        weight: 1.0,
    };
    let map = Arc::new(ShardMap::new(1, HashKey([7; 16]), vec![shard]));
    let entropy = StdRng::seed_from_u64(1);
    Driver {
        core: Core::new(Arc::clone(&map), ShardIndex(0), CoreSettings::new(&settings)),
        engine: Engine::new(&settings, map.hash_key()),
        log: MemoryLog::new(settings.history, settings.inbox, settings.limits.memory, entropy),
        verifier: None,
        clock: Arc::new(|| 1_790_000_000_000),
        started: Instant::now(),
        metrics: Metrics::new(registry, std::iter::empty()).unwrap(),
        names: vec!["a".to_owned()],
        trunks: BTreeMap::new(),
        links: BTreeMap::new(),
        linked: watch::Sender::new(0),
    }
}

fn attach(connection: u64) -> trunk::Up {
    let attach = trunk::Attach {
        connection,
        session: vec![7; 24].into(),
        dialect: trunk::Dialect::Native.into(),
        namespace: "/".to_owned(),
        user: "alice".to_owned(),
        ..Default::default()
    };
    trunk::Up { item: Some(trunk::up::Item::Attach(attach)) }
}

fn message(connection: u64, sequence: u64, payload: &'static str) -> trunk::Up {
    let message = trunk::ClientMessage {
        connection,
        sequence,
        payload: payload.into(),
        binary: false,
        control: false,
    };
    trunk::Up { item: Some(trunk::up::Item::Message(message)) }
}

/// Reads what the shard sends until it says `text` to a client.
async fn hear(batches: &mut Batches<trunk::Down>, text: &str) {
    let said = async {
        loop {
            let batch = batches.next().await.expect("the trunk stays up");
            if format!("{batch:?}").contains(text) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), said).await.expect("an answer");
}

fn gauge(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).expect("the gauge");
    family.get_metric()[0].get_gauge().get_value()
}

#[tokio::test]
async fn who_has_an_answer_finds_it_in_the_gauges() {
    let registry = Registry::new();
    let (events, received) = mpsc::channel(8);
    let running = tokio::spawn(driver(&registry).run(received));
    let (outbox, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    let up = Event::TrunkUp { trunk: TRUNK, outbox, restarted: false };
    assert!(events.send(up).await.is_ok());
    let items = vec![attach(1)];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    hear(&mut batches, "welcome").await;
    assert_eq!(gauge(&registry, "trunkline_sessions"), 1.0);
    let items = vec![message(1, 1, r#"{"type":"join","room":"lobby","id":41}"#)];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    hear(&mut batches, "41").await;
    assert_eq!(gauge(&registry, "trunkline_rooms"), 1.0);
    assert_eq!(gauge(&registry, "trunkline_members"), 1.0);
    drop(events);
    running.await.unwrap();
}
