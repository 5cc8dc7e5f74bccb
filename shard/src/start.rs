//! Starting a shard, and ending it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::info;
use trunkline_config::settings::{Auth, Settings};
use trunkline_config::{ShardMap, View};
use trunkline_core::{Core, CoreSettings, ShardIndex};
use trunkline_log::LogSettings;
use trunkline_proto::net::{Connector, Tcp, clock, entropy};
use trunkline_proto::peer::peer_server::PeerServer;
use trunkline_proto::token::{KeyError, TokenVerifier};
use trunkline_proto::transport::{MAX_MESSAGE, Security, SecurityError};
use trunkline_proto::trunk::trunk_server::TrunkServer;

use crate::application::{Application, ApplicationError};
use crate::driver::Driver;
use crate::engine::Engine;
use crate::event;
use crate::link::{PeerService, keep_dialling};
use crate::metrics::Metrics;
use crate::net;
use crate::seal::CheckpointSeal;
use crate::store::{self, StoreError};
use crate::streams::Streams;
use crate::trunk::TrunkService;

/// How long streams may take to end when the shard shuts down.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What a shard is started with.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// `cluster.toml`
    pub settings: Arc<Settings>,
    /// The shard map, which names this shard.
    pub map: Arc<ShardMap>,
    /// This shard's ID.
    pub id: String,
    /// The folder of its embedded store, if not what the settings say.
    pub data: Option<PathBuf>,
    /// Where its metrics are registered.
    pub registry: prometheus::Registry,
}

/// Why a shard does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The map has no such shard.
    #[error("the shard map has no shard {id:?}; it has {known}")]
    UnknownShard {
        /// The ID that was given.
        id: String,
        /// Those that there are.
        known: String,
    },
    /// The address can't be listened on.
    #[error(
        "cannot listen on {address} for routers and shards; end what uses it, or change this shard's grpc address in the shard map"
    )]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// TLS or the cluster secret can't be set up.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The key of `auth.jwt` is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store can't be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The application can't be called as it is configured.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// A metric of this name is registered already.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A shard that runs on the current runtime.
#[derive(Debug)]
pub struct Shard {
    ready: watch::Receiver<bool>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Shard {
    /// Starts a shard: it listens when this returns.
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub async fn start(options: ShardOptions) -> Result<Self, StartError> {
        let ShardOptions { settings, map, id, data, registry } = options;
        let Some(me) = map.index_of(&id).map(ShardIndex) else {
            let known: Vec<_> = map.shards().iter().map(|shard| shard.id.as_str()).collect();
            return Err(StartError::UnknownShard { id, known: known.join(", ") });
        };
        let address = map.shards()[usize::from(me.0)].grpc.clone();
        let security = Security::new(&settings.cluster)?;
        let mut server = security.server()?;
        let listener = net::listen(&address)
            .await
            .map_err(|source| StartError::Listen { address: address.clone(), source })?;

        let mut entropy = entropy();
        let clock = clock();
        // 0 means "none" on the wire.
        let incarnation = entropy.next_u64().max(1);
        let core_settings = CoreSettings { incarnation, ..CoreSettings::new(&settings) };
        let (events, received) = mpsc::channel(event::CAPACITY);
        let (linked, links_up) = watch::channel(0);
        let (admit, admitting) = watch::channel(false);
        let (view, directory) = View::first(Arc::clone(&map));
        let peers = map.shards().iter().map(|it| it.id.as_str()).filter(|it| *it != id);
        let metrics = Metrics::new(&registry, peers)?;
        let jitter = StdRng::seed_from_u64(entropy.random());
        let calls = metrics.calls.clone();
        let keeps = LogSettings::new(&settings, &core_settings);
        let seed = StdRng::seed_from_u64(entropy.random());
        let log = store::open(&settings, keeps, &id, data.as_deref(), seed).await?;
        let driver = Driver {
            engine: Engine::new(&settings, view.clone(), me),
            core: Core::new(view, me, BTreeSet::new(), core_settings),
            application: Application::new(&settings, Arc::clone(&clock), calls, jitter)?,
            log,
            verifier: verifier(&settings.auth)?,
            seal: CheckpointSeal::new(map.hash_key(), settings.cluster.secret.as_deref()),
            clock: Arc::clone(&clock),
            started: Instant::now(),
            metrics,
            directory,
            trunks: BTreeMap::new(),
            links: BTreeMap::new(),
            linked,
        };
        let streams = Arc::new(Streams::new(
            Arc::clone(&map),
            me,
            id.clone(),
            incarnation,
            security,
            clock,
            events.clone(),
            admitting.clone(),
        ));
        let mut helpers = vec![tokio::spawn(driver.run(received))];
        helpers.push(tokio::spawn(watch_links(links_up, map.shards().len() - 1, admit)));
        helpers.extend(dial_peers(&streams, &mut entropy));

        let (stop, stopped) = oneshot::channel();
        let routes = server
            .add_service(
                TrunkServer::new(TrunkService(Arc::clone(&streams)))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                PeerServer::new(PeerService(streams))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            );
        let serve = async move {
            let stopped = async {
                let _ = stopped.await;
            };
            if let Err(error) = routes.serve_with_incoming_shutdown(listener, stopped).await {
                tracing::error!(%error, "the shard's server has ended");
            }
        };
        info!(shard = id, address, map = %map.id(), "listening for routers and shards");
        Ok(Self { ready: admitting, stop, server: tokio::spawn(serve), helpers })
    }

    /// True once the links to all other shards are up, false again when one is lost.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Ends the shard: routers and peers see their streams end.
    pub async fn shutdown(self) {
        let Self { ready: _, stop, server, helpers } = self;
        let _ = stop.send(());
        // The driver and the dialling hold the streams open; when they are gone, the server is.
        for helper in &helpers {
            helper.abort();
        }
        // With the driver goes its log, which writes what it has been given.
        for helper in helpers {
            let _ = helper.await;
        }
        if tokio::time::timeout(SHUTDOWN, server).await.is_err() {
            tracing::warn!("some streams did not end in time");
        }
    }
}

fn verifier(auth: &Auth) -> Result<Option<TokenVerifier>, KeyError> {
    match auth {
        Auth::Open => Ok(None),
        Auth::Jwt(settings) => TokenVerifier::new(settings).map(Some),
    }
}

/// This shard dials those whose IDs sort after its own.
fn dial_peers(streams: &Arc<Streams>, entropy: &mut StdRng) -> Vec<JoinHandle<()>> {
    let connector: Arc<dyn Connector> = Arc::new(Tcp);
    (0..)
        .map(ShardIndex)
        .zip(streams.map.shards())
        .filter(|(_, shard)| shard.id > streams.id)
        .map(|(peer, _)| {
            let seed = entropy.random();
            let (streams, connector) = (Arc::clone(streams), Arc::clone(&connector));
            tokio::spawn(keep_dialling(streams, connector, peer, seed))
        })
        .collect()
}

/// Tells whether all links are up.
async fn watch_links(mut up: watch::Receiver<usize>, peers: usize, all: watch::Sender<bool>) {
    loop {
        let complete = *up.borrow_and_update() >= peers;
        all.send_replace(complete);
        if up.changed().await.is_err() {
            return;
        }
    }
}
