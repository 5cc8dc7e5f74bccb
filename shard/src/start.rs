//! Starting a shard, and ending it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::info;
use trunkline_config::settings::{Auth, Settings};
use trunkline_core::{Core, CoreSettings, Input, LogReach, Now, ShardIndex};
use trunkline_log::{BucketError, LogSettings};
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;
use trunkline_proto::peer::control_server::ControlServer;
use trunkline_proto::peer::peer_server::PeerServer;
use trunkline_proto::token::{KeyError, TokenVerifier};
use trunkline_proto::transport::{MAX_MESSAGE, Security, SecurityError};
use trunkline_proto::trunk::trunk_server::TrunkServer;
use trunkline_proto::watch;

use crate::application::{Application, ApplicationError};
use crate::control::ControlService;
use crate::driver::{Driver, Seeks, Signs};
use crate::engine::Engine;
use crate::event;
use crate::health::Health;
use crate::link::{PeerService, keep_linked};
use crate::metrics::Metrics;
use crate::net::{Ground, Real};
use crate::note::{Note, owed_at_start};
use crate::seal::CheckpointSeal;
use crate::serving::Serving;
use crate::store::StoreError;
use crate::streams::{Seen, Streams};
use crate::trunk::TrunkService;

/// How long streams may take to end when the shard shuts down.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What a shard is started with.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// `cluster.toml`
    pub settings: Arc<Settings>,
    /// The cluster's shard map, which names this shard, and those that come after it.
    pub cluster: Cluster,
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
    /// It can't be said which shards are alive.
    #[error(transparent)]
    Health(#[from] BucketError),
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
    serving: Serving,
    drain_timeout: Duration,
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
        Self::start_on(&Real, options).await
    }

    /// Starts a shard on other ground than this process's own.
    ///
    /// # Errors
    /// As of [`Shard::start`].
    pub async fn start_on(ground: &impl Ground, options: ShardOptions) -> Result<Self, StartError> {
        let ShardOptions { settings, cluster, id, .. } = options.clone();
        let map = Arc::clone(cluster.outlook().view.map());
        let Some(me) = map.index_of(&id) else {
            let known: Vec<_> = map.shards().iter().map(|shard| shard.id.as_str()).collect();
            return Err(StartError::UnknownShard { id, known: known.join(", ") });
        };
        let address = map.shards()[usize::from(me)].grpc.clone();
        let me = cluster.number(&id).map_or(ShardIndex(me), ShardIndex);
        let security = Security::new(&settings.cluster)?;
        let mut server = security.server()?;
        let listener = ground
            .listen(&address)
            .await
            .map_err(|source| StartError::Listen { address: address.clone(), source })?;

        let Machine { connector, clock, mut entropy } = ground.machine();
        // 0 means "none" on the wire.
        let incarnation = entropy.next_u64().max(1);
        let reach = LogReach::from(&settings.store.choose(options.data.as_deref()));
        let core_settings =
            CoreSettings { incarnation, log: reach, ..CoreSettings::new(&settings) };
        let (events, received) = mpsc::channel(event::CAPACITY);
        let metrics = Metrics::new(&options.registry)?;
        let jitter = StdRng::seed_from_u64(entropy.random());
        let calls = metrics.calls.clone();
        let keeps = LogSettings::new(&settings, &core_settings);
        let seed = StdRng::seed_from_u64(entropy.random());
        let log = ground.open(&options, keeps, seed).await?;
        let note = log.noted().and_then(|note| Note::decode(&note));
        for said in note.iter().flat_map(|note| &note.statuses) {
            cluster.learn(said);
        }
        // Before this process says that it serves, which makes another view.
        let known = note.as_ref().filter(|_| !trunkline_planted::is("start without the note"));
        let owed = owed_at_start(known, reach, &cluster, me);
        let signs = Signs::new(cluster.outlook().view.id());
        let fenced = reach == LogReach::Cluster;
        let serving =
            Serving::begin(cluster.clone(), id.clone(), Arc::clone(&clock), &signs, fenced);
        let outlooks = cluster.subscribe();
        let outlook = cluster.outlook();
        let streams = Arc::new(Streams {
            cluster: cluster.clone(),
            me,
            id: id.clone(),
            incarnation,
            security,
            clock: Arc::clone(&clock),
            events,
            admitting: signs.admit.subscribe(),
            linked: signs.linked.subscribe(),
            remaining: signs.remaining.subscribe(),
            seen: Seen::default(),
        });
        let health = match reach {
            LogReach::Cluster => Health::open(&settings, &streams, &connector).await?,
            LogReach::Process | LogReach::Shard => None,
        };
        let ready = signs.ready.subscribe();
        let mut core = Core::new(outlook.view.clone(), me, owed, core_settings);
        if log.noted().is_some() {
            core.handle(Input::Succeeds, Now::default());
        }
        let driver = Driver {
            core,
            engine: Engine::new(&settings, outlook.view.clone(), me),
            application: Application::new(&settings, Arc::clone(&clock), calls, jitter)?,
            seeks: Seeks::default(),
            log,
            verifier: verifier(&settings.auth)?,
            seal: CheckpointSeal::new(map.hash_key(), settings.cluster.secret.as_deref()),
            clock: Arc::clone(&clock),
            started: Instant::now(),
            metrics,
            cluster,
            left: None,
            outlook,
            outlooks,
            me,
            trunks: BTreeMap::new(),
            links: BTreeMap::new(),
            signs,
            lease: health.as_ref().map(Health::lease),
        };
        let words = health.as_ref().map(Health::words);
        let mut helpers = vec![
            tokio::spawn(driver.run(received)),
            tokio::spawn(keep_linked(Arc::clone(&streams), connector, entropy)),
            tokio::spawn(serving.clone().insist(words)),
        ];
        helpers.extend(health.map(|health| tokio::spawn(health.run())));

        let (stop, stopped) = oneshot::channel();
        let routes = server
            .add_service(
                TrunkServer::new(TrunkService(Arc::clone(&streams)))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                PeerServer::new(PeerService(Arc::clone(&streams)))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add_service(ControlServer::new(ControlService { streams, serving: serving.clone() }));
        let serve = async move {
            let stopped = async {
                let _ = stopped.await;
            };
            if let Err(error) = routes.serve_with_incoming_shutdown(listener, stopped).await {
                tracing::error!(%error, "the shard's server has ended");
            }
        };
        let store = settings.store.choose(options.data.as_deref());
        info!(shard = id, address, map = %map.id(), %store, "listening for routers and shards");
        Ok(Self {
            ready,
            serving,
            drain_timeout: settings.drain.timeout,
            stop,
            server: tokio::spawn(serve),
            helpers,
        })
    }

    /// True while the shard serves and its links to all others that do are up.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Has others take over what the shard has, and waits until it has nothing left, at most for
    /// the `drain.timeout` of the settings. The shard goes on, without serving.
    pub async fn drain(&self) {
        self.serving.drain(self.drain_timeout).await;
    }

    /// Ends the shard: routers and peers see their streams end.
    pub async fn shutdown(self) {
        let Self { ready: _, serving: _, drain_timeout: _, stop, server, helpers } = self;
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
