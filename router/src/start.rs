//! Starting a router: everything that can be wrong is found before the first client comes.

mod error;
mod listen;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use trunkline_config::Settings;
use trunkline_config::settings::Auth;
use trunkline_proto::cluster::Cluster;
use trunkline_proto::net::Machine;
use trunkline_proto::runtime::gathering;
use trunkline_proto::token::TokenVerifier;
use trunkline_proto::transport::Security;
use trunkline_proto::watch;

pub use self::error::StartError;
use self::error::refused;
pub use self::listen::Listeners;
use self::listen::{copies, listen_for_callers, listen_for_clients};
use crate::api::grpc::{self, Grpc};
use crate::engine::Library;
use crate::metrics::Metrics;
use crate::net::{self, Clients, Listener};
use crate::phase::{Phase, Phases};
use crate::tls::Certificates;
use crate::trunk::board::Board;
use crate::worker::{self, Common};

/// What a router is started with.
#[derive(Clone, Debug)]
pub struct RouterOptions {
    /// `cluster.toml`.
    pub settings: Arc<Settings>,
    /// The shards that it routes to, as they come and go.
    pub cluster: Cluster,
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its metrics are registered.
    pub registry: prometheus::Registry,
}

/// A running router. Dropped without [`Router::shutdown`] it shuts down by itself, unawaited.
#[derive(Debug)]
pub struct Router {
    address: SocketAddr,
    cluster: Cluster,
    board: Arc<Board>,
    phase: watch::Sender<Phase>,
    listeners: Listeners,
    workers: Vec<oneshot::Receiver<()>>,
}

/// Where workers run.
enum Place<L> {
    /// Each in a thread of its own, with listeners of its own: those that are taken over, if any.
    Threads(Option<Listeners>),
    /// One, in the current `LocalSet`, with this listener.
    Here(L),
}

impl Router {
    /// Starts the workers. They listen when this returns; their trunks come up on their own.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong and what to do.
    pub async fn start(options: RouterOptions) -> Result<Self, StartError> {
        Self::start_in(Machine::real(), Place::<Clients>::Threads(None), options).await
    }

    /// Starts the workers with the sockets of another router, from which nobody is accepted before
    /// [`Router::open`].
    ///
    /// # Errors
    /// As of [`Router::start`].
    pub async fn take_over(
        options: RouterOptions,
        listeners: Listeners,
    ) -> Result<Self, StartError> {
        let place = Place::<Clients>::Threads(Some(listeners));
        Self::start_in(Machine::real(), place, options).await
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
        let RouterOptions { settings, cluster, listen, registry } = options;
        let Machine { connector, clock, mut entropy } = machine;
        let count = match (&place, settings.router.workers) {
            (Place::Here(_), _) => 1,
            (Place::Threads(_), 0) => thread::available_parallelism().map_or(1, usize::from),
            (Place::Threads(_), count) => count,
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
        let begins = match place {
            Place::Threads(Some(_)) => Phase::Waiting,
            Place::Threads(None) | Place::Here(_) => Phase::Serving,
        };
        let (here, taken) = match place {
            Place::Here(listener) => (Some(listener), None),
            Place::Threads(taken) => (None, taken),
        };
        let (clients, api) = taken.map_or((None, None), |it| (Some(it.clients), it.api));
        let clients = match here {
            Some(_) => Vec::new(),
            None => listen_for_clients(listen, clients, count)?,
        };
        let address = match clients.first() {
            None => listen,
            Some(listener) => listener.local_addr().map_err(|it| refused(listen, it))?,
        };
        let metrics = Metrics::register(&registry)?;
        let board = Arc::new(Board::new(count, cluster.clone(), metrics.trunk_up.clone()));
        let phase = watch::Sender::new(begins);
        let api = listen_for_callers(&settings, certificates.as_deref(), api)?;
        let listeners = copies(&clients, api.as_ref()).map_err(|it| refused(address, it))?;
        let mut jobs = None;
        if let Some(listener) = api {
            let grpc = Grpc {
                settings: Arc::clone(&settings),
                listener: Clients::of(vec![listener]).map_err(|it| refused(address, it))?,
                tls: certificates.as_ref().map(|it| it.acceptor(b"h2")).transpose()?,
                metrics: metrics.clone(),
                phases: Phases::of(&phase),
            };
            jobs = Some(grpc.serve());
        }
        let common = Common {
            settings,
            cluster: cluster.clone(),
            verifier,
            security,
            tls,
            client_library,
            metrics,
            board: Arc::clone(&board),
            connector,
            clock,
            router: entropy.next_u64(),
            phases: Phases::of(&phase),
        };
        let mut router = Self { address, cluster, board, phase, listeners, workers: Vec::new() };
        if let Some(listener) = here {
            let (done, ended) = oneshot::channel();
            spawn_local(async move {
                worker::run(common, 0, listener, entropy, jobs).await;
                let _ = done.send(());
            });
            router.workers.push(ended);
            return Ok(router);
        }
        let shares = net::share(clients, address, count).map_err(|it| refused(address, it))?;
        for (number, share) in (0..).zip(shares) {
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
                    run_thread(common, number, share, entropy, follow, jobs, listening);
                    // Nobody may be waiting: the router may have been dropped.
                    let _ = done.send(());
                })
                .map_err(StartError::Thread)?;
            match bound.await {
                Ok(Ok(())) => router.workers.push(ended),
                Ok(Err(source)) => return Err(refused(address, source)),
                Err(_) => return Err(StartError::Thread(io::ErrorKind::BrokenPipe.into())),
            }
        }
        tracing::info!(%address, workers = count, "router listens");
        Ok(router)
    }

    /// Where clients connect.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where servers of the application call over gRPC, if they may.
    #[must_use]
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.listeners.api.as_ref()?.local_addr().ok()
    }

    /// What it knows of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// True while all workers' trunks to all shards that serve are up.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.board.readiness()
    }

    /// Its listening sockets, for a router that takes over from it with [`Router::take_over`].
    ///
    /// # Errors
    /// When the process may have no more files.
    pub fn listeners(&self) -> io::Result<Listeners> {
        copies(&self.listeners.clients, self.listeners.api.as_ref())
    }

    /// Accepts clients, if another router did so until now.
    pub fn open(&self) {
        self.advance(Phase::Serving);
    }

    /// Takes no more clients, closes those who are there with 1012, `router.close_rate` a second, and
    /// returns when all have gone. May be given up for [`Router::shutdown`].
    pub async fn drain(&mut self) {
        self.advance(Phase::Draining);
        self.ended().await;
    }

    /// Closes all clients with 1012 and ends. Takes at most some seconds, whatever clients do.
    pub async fn shutdown(mut self) {
        self.advance(Phase::Ending);
        self.ended().await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| std::mem::replace(phase, to.max(*phase)) < to);
        if to >= Phase::Draining {
            self.board.go_away();
        }
    }

    async fn ended(&mut self) {
        // The workers' own are closed by them.
        self.listeners = Listeners { clients: Vec::new(), api: None };
        while let Some(ended) = self.workers.last_mut() {
            // An error is a worker that is gone already.
            let _ = ended.await;
            self.workers.pop();
        }
    }
}

/// A worker's thread: its own runtime, and its listeners inside it.
fn run_thread(
    common: Common,
    number: u32,
    listeners: Vec<TcpListener>,
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
    runtime.block_on(async move {
        let listener = match Clients::of(listeners) {
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
