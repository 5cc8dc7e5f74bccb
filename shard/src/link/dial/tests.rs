//! A peer that is not there.

use std::io;
use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::transport::{Endpoint, Uri};
use trunkline_config::settings::Settings;
use trunkline_config::{HashKey, ShardMap, ShardStatus, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Connecting;
use trunkline_proto::transport::Security;
use trunkline_proto::watch;

use super::*;
use crate::driver::Signs;
use crate::streams::Seen;

/// Reaches nobody, and notes when it was tried.
#[derive(Default)]
struct Nobody(Mutex<Vec<Instant>>);

impl Connector for Nobody {
    fn connect(&self, endpoint: Endpoint) -> Connecting<'_> {
        self.0.lock().unwrap().push(Instant::now());
        let refuse = |_: Uri| async {
            Err::<hyper_util::rt::TokioIo<tokio::io::DuplexStream>, _>(io::Error::other("nobody"))
        };
        Box::pin(async move { endpoint.connect_with_connector(tower::service_fn(refuse)).await })
    }
}

fn streams() -> Arc<Streams> {
    let shard = |id: &str| Shard {
        id: id.to_owned(),
        grpc: "127.0.0.1:1".to_owned(),
        metrics: String::new(),
        weight: 1.0,
    };
    let map = ShardMap::new(1, HashKey([7; 16]), ["a", "b"].map(shard).to_vec());
    let cluster = Cluster::new(Arc::new(map), Statuses::default());
    let signs = Signs::new(cluster.outlook().view.id());
    Arc::new(Streams {
        cluster,
        me: ShardIndex(0),
        id: "a".to_owned(),
        incarnation: 1,
        security: Security::new(&Settings::default().cluster).unwrap(),
        clock: Arc::new(|| 1000),
        events: mpsc::channel(1).0,
        admitting: watch::channel(false).1,
        linked: signs.linked.subscribe(),
        remaining: signs.remaining.subscribe(),
        seen: Seen::default(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_which_others_tell_that_it_serves_again_is_tried_at_once() {
    let (streams, connector) = (streams(), Arc::new(Nobody::default()));
    let dialling = keep_dialling(Arc::clone(&streams), connector.clone(), ShardIndex(1), 7);
    let dialling = tokio::spawn(dialling);
    sleep(20 * LONGEST_PAUSE).await;
    let before = connector.0.lock().unwrap().len();
    streams.cluster.learn(&ShardStatus { shard: "b".to_owned(), stamp_ms: 5, away: false });
    let told = Instant::now();
    sleep(Duration::from_millis(1)).await;
    let tried = connector.0.lock().unwrap().clone();
    assert_eq!(tried[before..], [told]);
    dialling.abort();
}
