//! Starting a router: everything that can be wrong is found before the first client comes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{LocalSet, spawn_local};
use trunkline_config::settings::Auth;
use trunkline_config::{Settings, ShardMap};
use trunkline_proto::net::Machine;
use trunkline_proto::runtime::gathering;
use trunkline_proto::token::{KeyError, TokenVerifier};
use trunkline_proto::transport::{Security, SecurityError};

use crate::api::grpc::{self, Grpc, ListenError};
use crate::engine::Library;
use crate::metrics::Metrics;
use crate::net::{self, Listener};
use crate::tls::{CertificateError, Certificates};
use crate::trunk::board::Board;
use crate::worker::{self, Common};

/// What a router is started with.
#[derive(Clone, Debug)]
pub struct RouterOptions {
    /// `cluster.toml`.
    pub settings: Arc<Settings>,
    /// The shards that it routes to.
    pub map: Arc<ShardMap>,
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its metrics are registered.
    pub registry: prometheus::Registry,
}

/// Why a router does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Someone else listens there.
    #[error("port {} is in use on {}; choose another with router.listen", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    /// The address can't be listened at.
    #[error("cannot listen at {address}: {source}; correct router.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate of `wss`.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The file of `socketio.client`.
    #[error("cannot read {}: {source}; correct socketio.client", path.display())]
    Client {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The TLS library.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The key of `auth.jwt`.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The interface over gRPC.
    #[error(transparent)]
    Api(#[from] ListenError),
    /// What secures the trunks.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The registry has metrics of these names already.
    #[error("cannot register the router's metrics: {0}; give each router a registry of its own")]
    Metrics(#[from] prometheus::Error),
    /// A thread can't be started.
    #[error("cannot start a worker's thread: {0}")]
    Thread(io::Error),
}

/// A running router. Dropped without [`Router::shutdown`] it shuts down by itself, unawaited.
#[derive(Debug)]
pub struct Router {
    address: SocketAddr,
    api: Option<SocketAddr>,
    readiness: watch::Receiver<bool>,
    shutdown: watch::Sender<bool>,
    workers: Vec<oneshot::Receiver<()>>,
}

/// Where workers run.
enum Place<L> {
    /// Each in a thread of its own, with a listener of its own.
    Threads,
    /// One, in the current `LocalSet`, with this listener.
    Here(L),
}

impl Router {
    /// Starts the workers. They listen when this returns; their trunks come up on their own.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong and what to do.
    pub async fn start(options: RouterOptions) -> Result<Self, StartError> {
        Self::start_in(Machine::real(), Place::<net::Clients>::Threads, options).await
    }

    /// Starts a single worker in the current `LocalSet`, with a listener for `options.listen` that
    /// is there already. The interface over gRPC takes none: leave it out of the settings.
    ///
    /// # Errors
    /// As of [`Router::start`].
    pub async fn start_on(
        machine: Machine,
        listener: impl Listener + 'static,
        options: RouterOptions,
    ) -> Result<Self, StartError> {
        Self::start_in(machine, Place::Here(listener), options).await
    }

    async fn start_in<L: Listener + 'static>(
        machine: Machine,
        place: Place<L>,
        options: RouterOptions,
    ) -> Result<Self, StartError> {
        let RouterOptions { settings, map, listen, registry } = options;
        let Machine { connector, clock, mut entropy } = machine;
        let count = match (&place, settings.router.workers) {
            (Place::Here(_), _) => 1,
            (Place::Threads, 0) => thread::available_parallelism().map_or(1, usize::from),
            (Place::Threads, count) => count,
        };
        let verifier = match &settings.auth {
            Auth::Open => None,
            Auth::Jwt(jwt) => Some(Arc::new(TokenVerifier::new(jwt)?)),
        };
        let certificates =
            settings.router.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
        let tls = certificates.as_ref().map(|it| it.acceptor(b"http/1.1")).transpose()?;
        let client_library = Library::load(settings.socketio.client.as_deref())
            .map_err(|(path, source)| StartError::Client { path, source })?;
        let security = Arc::new(Security::new(&settings.cluster)?);
        let address = match place {
            Place::Here(_) => listen,
            Place::Threads => net::probe(listen).map_err(|source| refused(listen, source))?,
        };
        let metrics = Metrics::register(&registry)?;
        let board = Board::new(count, Arc::clone(&map), metrics.trunk_up.clone());
        let readiness = board.readiness();
        let shutdown = watch::Sender::new(false);
        let (api, mut jobs) =
            serve_api(&settings, certificates.as_ref(), &metrics, shutdown.subscribe()).await?;
        let common = Common {
            settings,
            map,
            verifier,
            security,
            tls,
            client_library,
            metrics,
            board: Arc::new(board),
            connector,
            clock,
            router: entropy.next_u64(),
            shutdown: shutdown.subscribe(),
        };
        let mut workers = Vec::new();
        if let Place::Here(listener) = place {
            let (done, ended) = oneshot::channel();
            spawn_local(async move {
                worker::run(common, 0, listener, entropy, jobs).await;
                let _ = done.send(());
            });
            let workers = vec![ended];
            return Ok(Self { address, api, readiness, shutdown, workers });
        }
        for number in (0..).take(count) {
            let (listening, bound) = oneshot::channel();
            let (done, ended) = oneshot::channel();
            let (common, entropy) = (common.clone(), StdRng::from_rng(&mut entropy));
            // One worker looks after the certificate for all.
            let follow = certificates.clone().filter(|_| number == 0);
            // And one answers what comes over gRPC.
            let jobs = jobs.take();
            thread::Builder::new()
                .name(format!("router-{number}"))
                .spawn(move || {
                    run_thread(common, number, address, entropy, follow, jobs, listening);
                    // Nobody may be waiting: the router may have been dropped.
                    let _ = done.send(());
                })
                .map_err(StartError::Thread)?;
            match bound.await {
                Ok(Ok(())) => workers.push(ended),
                Ok(Err(source)) => return Err(refused(address, source)),
                Err(_) => return Err(StartError::Thread(io::ErrorKind::BrokenPipe.into())),
            }
        }
        tracing::info!(%address, workers = count, "router listens");
        Ok(Self { address, api, readiness, shutdown, workers })
    }

    /// Where clients connect.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where servers of the application call over gRPC, if they may.
    #[must_use]
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api
    }

    /// True while all workers' trunks to all shards are up.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.readiness.clone()
    }

    /// Closes all clients with 1001 and ends. Takes at most some seconds, whatever clients do.
    pub async fn shutdown(self) {
        self.shutdown.send_replace(true);
        for ended in self.workers {
            // An error is a worker that is gone already.
            let _ = ended.await;
        }
    }
}

fn refused(address: SocketAddr, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::AddrInUse {
        StartError::PortInUse(address)
    } else {
        StartError::Listen { address, source }
    }
}

/// Starts the interface over gRPC, if it is wanted; says where it is and what gives its jobs.
async fn serve_api(
    settings: &Arc<Settings>,
    certificates: Option<&Arc<Certificates>>,
    metrics: &Metrics,
    shutdown: watch::Receiver<bool>,
) -> Result<(Option<SocketAddr>, Option<mpsc::Receiver<grpc::Job>>), StartError> {
    let Some(address) = settings.api.grpc else { return Ok((None, None)) };
    grpc::check(address, &settings.api.keys, certificates.is_some())?;
    let failed = |source| ListenError::Listen { address, source };
    let listener = net::listen_alone(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let grpc = Grpc {
        settings: Arc::clone(settings),
        listener,
        tls: certificates.map(|it| it.acceptor(b"h2")).transpose()?,
        metrics: metrics.clone(),
        shutdown,
    };
    let jobs = grpc.serve();
    tracing::info!(address = %bound, "the interface over gRPC listens");
    Ok((Some(bound), Some(jobs)))
}

/// A worker's thread: its own runtime, and its listener inside it.
fn run_thread(
    common: Common,
    number: u32,
    address: SocketAddr,
    entropy: StdRng,
    follow: Option<Arc<Certificates>>,
    jobs: Option<mpsc::Receiver<grpc::Job>>,
    listening: oneshot::Sender<io::Result<()>>,
) {
    let runtime = match gathering(common.settings.runtime.flush_delay) {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = listening.send(Err(error));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async move {
        let listener = match net::listen(address) {
            Ok(listener) => listener,
            Err(error) => {
                let _ = listening.send(Err(error));
                return;
            }
        };
        if listening.send(Ok(())).is_err() {
            return;
        }
        if let Some(certificates) = follow {
            spawn_local(async move { certificates.follow().await });
        }
        worker::run(common, number, listener, entropy, jobs).await;
    });
}
