//! Whole clusters of real processes on free ports.

mod application;
mod children;
mod connection;
mod http;
mod last_words;
mod packets;
mod ports;
mod process;
mod program;
/// The router's tests have the same raw client, and use all of it.
#[allow(dead_code)]
#[path = "../../../router/tests/router/harness/raw.rs"]
mod raw;
mod routers;
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use trunkline_client::Options;
use trunkline_config::{ShardKey, ShardMap};

pub(crate) use application::{Application, Question};
pub(crate) use children::{children, lives};
pub(crate) use connection::Connection;
pub(crate) use http::{get, request};
pub(crate) use packets::Socket;
pub(crate) use ports::free;
pub(crate) use process::{PATIENCE, Process, TRUNKLINE, signal};
pub(crate) use program::{must_run, npm_install, venv};
pub(crate) use raw::{Raw, frame, request as upgrade_request};
use routers::OtherRouter;
pub(crate) use server::{KEY, Server};

/// What must not take for ever, whatever the machine is busy with.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// What a cluster is started with. Sections are TOML, as in `cluster.toml`.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) shards: usize,
    routers: usize,
    pub(crate) router: String,
    pub(crate) sections: String,
    files: Vec<(&'static str, String)>,
}

impl Setup {
    /// Three shards, a router and the defaults.
    pub(crate) fn new() -> Self {
        Self { shards: 3, routers: 1, ..Self::default() }
    }

    /// Adds keys to `[router]`.
    pub(crate) fn router(mut self, keys: &str) -> Self {
        let _ = writeln!(self.router, "{keys}");
        self
    }

    /// Adds a section.
    pub(crate) fn section(mut self, section: &str) -> Self {
        let _ = writeln!(self.sections, "{section}");
        self
    }

    /// Puts a file into the cluster's folder, for a key that names one.
    pub(crate) fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.files.push((name, text.into()));
        self
    }

    pub(crate) fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// How many routers there are; clients may use any.
    pub(crate) fn routers(mut self, routers: usize) -> Self {
        self.routers = routers;
        self
    }

    pub(crate) async fn start(self) -> Cluster {
        Cluster::start(&self).await
    }
}

/// A router, maybe others beside it, and their shards.
pub(crate) struct Cluster {
    folder: TempDir,
    pub(crate) map: ShardMap,
    pub(crate) port: u16,
    pub(crate) metrics: u16,
    /// Where the first router serves gRPC, if `[api]` says so.
    grpc: Option<SocketAddr>,
    pub(crate) router: Option<Process>,
    others: Vec<OtherRouter>,
    pub(crate) shards: BTreeMap<String, Process>,
}

impl Cluster {
    async fn start(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, metrics) = (free(), free());
        write_files(folder.path(), setup, port, metrics);
        let config = folder.path().join("cluster.toml");
        let loaded =
            trunkline_config::load(&config).unwrap_or_else(|problems| panic!("{problems}"));
        let mut cluster = Self {
            folder,
            map: loaded.map,
            port,
            metrics,
            grpc: loaded.settings.api.grpc,
            router: None,
            others: Vec::new(),
            shards: BTreeMap::new(),
        };
        let ids: Vec<String> = cluster.map.shards().iter().map(|shard| shard.id.clone()).collect();
        for id in &ids {
            cluster.spawn_shard(id);
        }
        cluster.start_router().await;
        for number in 1..setup.routers {
            cluster.start_other_router(number).await;
        }
        for id in &ids {
            cluster.shards.get_mut(id).unwrap().line("ready").await;
        }
        cluster
    }

    /// A file of the cluster's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> String {
        self.path("cluster.toml").to_str().unwrap().to_owned()
    }

    pub(crate) fn spawn_shard(&mut self, id: &str) {
        let errors = self.path(&format!("shard-{id}.log"));
        let process = Process::start(&errors, &["shard", "--config", &self.config(), "--id", id]);
        self.shards.insert(id.to_owned(), process);
    }

    /// Starts a shard that was ended, and waits until its links are up.
    pub(crate) async fn start_shard(&mut self, id: &str) {
        self.spawn_shard(id);
        self.shards.get_mut(id).unwrap().line("ready").await;
    }

    /// Ends a shard without warning.
    pub(crate) async fn kill_shard(&mut self, id: &str) {
        self.shards.remove(id).unwrap().kill().await;
    }

    /// Starts the router and waits until all its trunks are up.
    pub(crate) async fn start_router(&mut self) {
        let errors = self.path("router.log");
        let mut router = Process::start(&errors, &["router", "--config", &self.config()]);
        router.line("ready").await;
        self.router = Some(router);
    }

    pub(crate) async fn kill_router(&mut self) {
        self.router.take().unwrap().kill().await;
    }

    /// Waits until the router has all its trunks.
    pub(crate) async fn all_trunks_are_up(&self) {
        self.eventually("all trunks are up", async || {
            get(self.port, "/readyz").await.status == 200
        })
        .await;
    }

    /// Waits until a condition holds.
    pub(crate) async fn eventually(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        eventually(what, holds).await;
    }

    /// The processes that run, by their log's name.
    pub(crate) fn ids(&self) -> BTreeMap<String, u32> {
        let shards = self.shards.iter().map(|(id, shard)| (format!("shard-{id}"), shard.id()));
        let router = self.router.iter().map(|router| ("router".to_owned(), router.id()));
        let others = self.others.iter().map(|other| (other.name.clone(), other.process.id()));
        shards.chain(router).chain(others).collect()
    }

    /// Asserts that the same processes run as before, that none of them has panicked on the way,
    /// and that they still serve.
    pub(crate) async fn goes_on_as(&mut self, before: &BTreeMap<String, u32>) {
        self.runs_as(before);
        for shard in ["a", "b", "c"] {
            let mut client = self.connect(&self.user_on(shard, 0)).await;
            client.join("still here").await;
            client.publish("still here", shard).await;
        }
    }

    /// Asserts that the processes are those of `before` and none has panicked.
    pub(crate) fn runs_as(&mut self, before: &BTreeMap<String, u32>) {
        assert_eq!(self.ids(), *before);
        let others = self.others.iter_mut().map(|other| &mut other.process);
        for process in self.shards.values_mut().chain(&mut self.router).chain(others) {
            assert!(process.runs(), "ended:\n{}", process.errors());
            assert!(!process.errors().contains("panicked"), "{}", process.errors());
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Connects as a user over a bare socket and takes the upgrade, not the welcome.
    pub(crate) async fn raw(&self, user: &str) -> Raw {
        Raw::upgrade(self.address(), &format!("/ws?user={user}")).await
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(self.url()).deadline(PATIENCE)
    }

    /// Connects as a user and takes the welcome.
    pub(crate) async fn connect(&self, user: &str) -> Connection {
        Connection::open(self.options().user(user)).await
    }

    /// Connects as a user, placed by a room.
    pub(crate) async fn connect_to(&self, room: &str, user: &str) -> Connection {
        Connection::open(self.options().room(room).user(user)).await
    }

    /// The shard that owns a key.
    pub(crate) fn owner(&self, key: &ShardKey<'_>) -> &str {
        &self.map.shards()[usize::from(self.map.owner(key))].id
    }

    /// A user whose inbox is on this shard; a different one for each `nth`.
    pub(crate) fn user_on(&self, shard: &str, nth: usize) -> String {
        (0..)
            .map(|n| format!("user-{n}"))
            .filter(|user| self.owner(&ShardKey::User(user)) == shard)
            .nth(nth)
            .unwrap()
    }

    /// A room that is owned by this shard.
    pub(crate) fn room_on(&self, shard: &str) -> String {
        (0..)
            .map(|n| format!("room-{n}"))
            .find(|room| self.owner(&ShardKey::Room { namespace: "/", room }) == shard)
            .unwrap()
    }

    /// A metric's value in a shard's `/metrics`, labels included in the name; 0 if it is absent.
    pub(crate) async fn shard_metric(&self, shard: &str, name: &str) -> f64 {
        let index = self.map.index_of(shard).unwrap();
        let address = &self.map.shards()[usize::from(index)].metrics;
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        metric(&get(port, "/metrics").await.body, name)
    }

    pub(crate) async fn router_metric(&self, name: &str) -> f64 {
        metric(&get(self.metrics, "/metrics").await.body, name)
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn metric(text: &str, name: &str) -> f64 {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value).unwrap_or(0.0)
}

/// Writes the two files of a cluster on free ports.
pub(crate) fn write_files(folder: &Path, setup: &Setup, port: u16, metrics: u16) {
    let Setup { shards, routers: _, router, sections, files } = setup;
    let cluster = format!(
        "shard_map = \"shards.toml\"\n\n[router]\nlisten = \"127.0.0.1:{port}\"\n\
         metrics = \"127.0.0.1:{metrics}\"\n{router}\n{sections}\n"
    );
    std::fs::write(folder.join("cluster.toml"), cluster).unwrap();
    std::fs::write(folder.join("shards.toml"), shard_map(*shards, 1)).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// A shard map on free ports.
pub(crate) fn shard_map(shards: usize, version: u64) -> String {
    let mut map = format!("version = {version}\nhash_key = \"0123456789abcdef0123456789abcdef\"\n");
    for id in ('a'..='z').take(shards) {
        let (grpc, metrics) = (free(), free());
        let _ = write!(
            map,
            "\n[[shard]]\nid = \"{id}\"\ngrpc = \"127.0.0.1:{grpc}\"\n\
             metrics = \"127.0.0.1:{metrics}\"\n"
        );
    }
    map
}
