//! A worker: one thread's listener, connections and trunks. Nothing in it is shared with another
//! worker but the certificate and the board of trunks.

mod accept;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::futures::Notified;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use trunkline_config::Settings;
use trunkline_proto::cluster::Cluster;
use trunkline_proto::out_queue::Bounds;
use trunkline_proto::token::TokenVerifier;
use trunkline_proto::transport::Security;
use trunkline_proto::trunk::Dialect;

use crate::api::{Api, Desk, grpc};
use crate::connection::close::CloseReason;
use crate::connection::echo::{self, Echo};
use crate::connection::queue::OutQueue;
use crate::connection::roster::Roster;
use crate::connection::{self, Connection, Uplink};
use crate::engine::{self, Library};
use crate::handshake::{Admission, Doorkeeper};
use crate::http::Upgraded;
use crate::metrics::Metrics;
use crate::net::Listener;
use crate::phase::{Phase, Phases};
use crate::seat::Seat;
use crate::trunk::board::Board;
use crate::trunk::{Dialer, Trunk, Trunks, Unattached, digest};
use trunkline_proto::net::{Clock, Connector};

/// How long clients may take to close when the router ends.
const CLOSE: Duration = Duration::from_secs(5);
/// How often is looked whether the last socket has gone.
const LOOK: Duration = Duration::from_millis(50);
/// Sockets beyond the limit of WebSockets, for pages and health checks.
const SPARE_SOCKETS: usize = 256;

/// What a worker is given; the part of it that all workers of a router have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) settings: Arc<Settings>,
    pub(crate) cluster: Cluster,
    pub(crate) verifier: Option<Arc<TokenVerifier>>,
    pub(crate) security: Arc<Security>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) client_library: Library,
    pub(crate) metrics: Metrics,
    pub(crate) board: Arc<Board>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Clock,
    /// Random, one per process.
    pub(crate) router: u64,
    pub(crate) phases: Phases,
}

/// A running worker, as its sockets see it.
pub(crate) struct Worker {
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Rc<Metrics>,
    pub(crate) board: Arc<Board>,
    pub(crate) client_library: Library,
    /// What servers of the application ask.
    pub(crate) api: Rc<Api>,
    pub(crate) phases: Phases,
    doorkeeper: Doorkeeper,
    trunks: Rc<Trunks>,
    roster: Roster,
    tls: Option<TlsAcceptor>,
    sockets: Rc<Cell<usize>>,
    /// How many clients poll at the moment.
    polling: Rc<Cell<usize>>,
}

/// A connection's place among those of its worker.
struct Place {
    worker: Rc<Worker>,
    number: u64,
    _seat: Seat,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.roster.remove(self.number);
    }
}

/// Runs a worker until the router shuts down and its clients are gone. `number` counts from 0;
/// `jobs` is what comes over gRPC, for the one worker that answers it.
pub(crate) async fn run(
    common: Common,
    number: u32,
    listener: impl Listener,
    mut entropy: StdRng,
    jobs: Option<mpsc::Receiver<grpc::Job>>,
) {
    let metrics = Rc::new(common.metrics.clone());
    let hash_key = common.cluster.outlook().view.hash_key();
    let dialer = Dialer {
        cluster: common.cluster,
        router: common.router,
        worker: number,
        security: common.security,
        connector: common.connector,
        clock: Arc::clone(&common.clock),
        board: Arc::clone(&common.board),
    };
    let (patience, seeds) = (common.settings.router.hold, StdRng::from_rng(&mut entropy));
    let recovery = common.settings.socketio.recovery.unwrap_or_default();
    let trunks = Trunks::new(dialer, Rc::clone(&metrics), patience, recovery, seeds);
    let trunks = Rc::new(trunks);
    let desk = Desk::new(Rc::clone(&trunks), StdRng::from_rng(&mut entropy));
    let api = Rc::new(Api::new(desk, common.settings.limits.message));
    if let Some(jobs) = jobs {
        spawn_local(grpc::work(Rc::clone(&api), jobs));
    }
    let worker = Rc::new(Worker {
        api,
        roster: Roster::new(&common.settings, Rc::clone(&metrics)),
        doorkeeper: Doorkeeper::new(
            Arc::clone(&common.settings),
            hash_key,
            common.verifier,
            common.clock,
            StdRng::from_rng(&mut entropy),
        ),
        settings: common.settings,
        metrics,
        board: common.board,
        client_library: common.client_library,
        phases: common.phases,
        trunks,
        tls: common.tls,
        sockets: Rc::default(),
        polling: Rc::default(),
    });
    tokio::select! {
        biased;
        never = worker.roster.beat() => match never {},
        never = worker.trunks.follow(&worker.settings) => match never {},
        () = worker.live(listener) => {}
    }
    worker.end().await;
}

impl Worker {
    /// Whether no more clients are taken. One that polls counts like one with a WebSocket.
    pub(crate) fn is_full(&self) -> bool {
        self.roster.len() + self.polling.get() >= self.settings.limits.connections_per_worker
    }

    pub(crate) fn doorkeeper(&self) -> &Doorkeeper {
        &self.doorkeeper
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The trunk to the shard where a session belongs now.
    pub(crate) fn trunk_of(&self, session: &[u8]) -> Option<Rc<Trunk>> {
        self.trunks.of(digest(session))
    }

    /// The trunks that are up, in the order in which a session belongs to their shards.
    pub(crate) fn trunks_of(&self, session: &[u8]) -> impl Iterator<Item = Rc<Trunk>> {
        self.trunks.in_order(digest(session))
    }

    /// The trunk to a shard by its ID.
    pub(crate) fn trunk_to(&self, shard: &str) -> Option<Rc<Trunk>> {
        self.trunks.named(shard)
    }

    /// Told when any trunk has come up or gone down, or sessions belong elsewhere.
    pub(crate) fn trunk_news(&self) -> Notified<'_> {
        self.trunks.news()
    }

    /// Counts a client among the connections for as long as its poll is pending.
    pub(crate) fn poll_seat(&self) -> Seat {
        Seat::take(&self.polling)
    }

    /// A seat for another socket, if there is one.
    fn seat(&self) -> Option<Seat> {
        let most = self.settings.limits.connections_per_worker + SPARE_SOCKETS;
        Seat::take_one_of(&self.sockets, most)
    }

    /// Takes over a socket that has become a WebSocket.
    pub(crate) fn admit(self: &Rc<Self>, upgraded: Upgraded, admission: Admission, seat: Seat) {
        let Upgraded { socket, answer, early } = upgraded;
        let limits = &self.settings.limits;
        let bounds = match admission {
            Admission::Echo => echo::BOUNDS,
            _ => Bounds::of(&self.settings),
        };
        let dialect = admission.dialect();
        let message = match (&admission, dialect) {
            (Admission::Echo, _) => echo::MESSAGE,
            (_, Dialect::SocketIo) => self.settings.socketio.max_http_buffer_size,
            _ => limits.message,
        };
        let queue = OutQueue::after(answer, bounds);
        let connection = self.roster.open(socket, queue, message, dialect);
        let uplink = self.uplink(&connection, admission);
        let (worker, number) = (Rc::clone(self), connection.number);
        let place = Place { worker, number, _seat: seat };
        spawn_local(connection::run(connection, uplink, &early, message, place));
    }

    /// Where the connection's messages go. One that can't be attached is closed.
    fn uplink(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        admission: Admission,
    ) -> Rc<dyn Uplink> {
        let mut attach = match admission {
            Admission::Echo => return Rc::new(Echo),
            Admission::Close(reason) => {
                self.metrics.handshake_failed("token");
                connection.close(&reason);
                return Rc::new(Echo);
            }
            Admission::Attach(attach) => attach,
        };
        attach.connection = connection.number;
        let Some(trunk) = self.trunk_of(&attach.session) else {
            connection.close(&CloseReason::RESTART);
            return Rc::new(Echo);
        };
        let uplink: Rc<dyn Uplink> = match attach.dialect() {
            Dialect::SocketIo => engine::Uplink::begin(self, connection, &attach),
            Dialect::Native | Dialect::Unspecified => Rc::<Connection>::clone(connection),
        };
        match trunk.attach(connection, *attach) {
            Ok(()) => {}
            Err(Unattached::Down) => connection.close(&CloseReason::RESTART),
            Err(Unattached::Full) => connection.close(&CloseReason::OVERLOADED),
        }
        uplink
    }

    /// Takes clients until the router drains, and sends them away then, until it ends.
    async fn live(self: &Rc<Self>, listener: impl Listener) {
        let mut phases = self.phases.clone();
        phases.reach(Phase::Serving).await;
        tokio::select! {
            biased;
            () = phases.reach(Phase::Draining) => {}
            never = accept::accept(self, listener) => match never {},
        }
        // The listener is closed.
        tokio::select! {
            biased;
            () = phases.reach(Phase::Ending) => {}
            () = self.drain() => {}
        }
    }

    /// Closes all WebSockets, one after the other, and waits for those who still speak HTTP. Who polls
    /// goes on elsewhere when its poll is answered, which is at once, or at the next ping.
    async fn drain(&self) {
        let Settings { router, socketio, .. } = &*self.settings;
        let workers = u32::try_from(self.board.workers()).unwrap_or(u32::MAX);
        self.roster.close_gradually(router.close_rate / workers.max(1)).await;
        let mut looks = interval(LOOK);
        let last = async {
            while self.sockets.get() > 0 {
                looks.tick().await;
            }
        };
        let _ = timeout(socketio.ping_interval + CLOSE, last).await;
    }

    async fn end(&self) {
        if timeout(CLOSE, self.roster.close_all()).await.is_err() {
            tracing::warn!(connections = self.roster.len(), "clients did not close in time");
        }
        // Detaches are queued, and leave before the streams end.
        self.trunks.finish().await;
    }
}
