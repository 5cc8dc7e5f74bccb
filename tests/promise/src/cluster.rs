//! A cluster of real processes, and what can be done to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::PromiseError;
use crate::free;
use crate::kind::Store;
use crate::nats::Nats;
use crate::network::Network;
use crate::process::{Process, run};

/// How many routers there are.
const ROUTERS: usize = 2;
/// How long routers may take to reach all shards.
const REACHED: Duration = Duration::from_secs(60);
const HASH_KEY: &str = "0123456789abcdef0123456789abcdef";
const LOOK: Duration = Duration::from_millis(20);

/// What the cluster is made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) program: PathBuf,
    /// Where its files are. What is there already is removed.
    pub(crate) folder: PathBuf,
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) shards: usize,
}

/// A shard of the map.
struct Shard {
    grpc: u16,
    metrics: u16,
    /// None while it is dead.
    process: Option<Process>,
}

pub(crate) struct Cluster {
    parts: Parts,
    /// The map's version.
    version: u64,
    /// How many shards have had a name: none is given twice.
    named: usize,
    shards: BTreeMap<String, Shard>,
    routers: Vec<(u16, Process)>,
    nats: Option<Nats>,
}

impl Cluster {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// If something can't be started.
    pub(crate) async fn start(parts: Parts) -> Result<Self, PromiseError> {
        let _ = std::fs::remove_dir_all(&parts.folder);
        std::fs::create_dir_all(&parts.folder)?;
        let nats = (parts.store == Store::JetStream).then(|| Nats::start("sync_interval: always"));
        let shards = parts.shards;
        let (routers, map) = (Vec::new(), BTreeMap::new());
        let mut cluster = Self { parts, version: 0, named: 0, shards: map, routers, nats };
        for _ in 0..shards {
            cluster.name_shard();
        }
        cluster.put_map().await?;
        let ports: Vec<[u16; 2]> = (0..ROUTERS).map(|_| [free(), free()]).collect();
        std::fs::write(cluster.path("cluster.toml"), cluster.settings())?;
        for id in cluster.ids() {
            cluster.spawn_shard(&id)?;
        }
        for (number, [port, metrics]) in ports.into_iter().enumerate() {
            let addresses = [port, metrics].map(|port| format!("127.0.0.1:{port}"));
            let own = ["--listen", &addresses[0], "--metrics", &addresses[1]];
            let name = format!("router-{number}");
            let command = cluster.command(&["router", "--under-parent"], &own);
            let router = Process::start(&name, &command, &cluster.path("router.log"))?;
            cluster.routers.push((port, router));
        }
        for id in cluster.ids() {
            cluster.is_ready(&id).await?;
        }
        for (_, router) in &mut cluster.routers {
            router.ready().await?;
        }
        cluster.settle().await?;
        Ok(cluster)
    }

    /// Where clients connect.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.routers.iter().map(|(port, _)| format!("ws://127.0.0.1:{port}")).collect()
    }

    /// The map's shards.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.shards.keys().cloned().collect()
    }

    /// Asks a shard to end, and waits until it has.
    pub(crate) async fn end_shard(&mut self, id: &str) -> Result<(), PromiseError> {
        match self.shards.get_mut(id).and_then(|shard| shard.process.take()) {
            Some(process) => process.terminate().await,
            None => Ok(()),
        }
    }

    /// Kills a shard.
    pub(crate) async fn kill_shard(&mut self, id: &str) -> Result<(), PromiseError> {
        match self.shards.get_mut(id).and_then(|shard| shard.process.take()) {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Starts a shard that has ended and waits until it is ready.
    pub(crate) async fn start_shard(&mut self, id: &str) -> Result<(), PromiseError> {
        self.spawn_shard(id)?;
        self.is_ready(id).await
    }

    /// `trunkline shard drain` or `resume`.
    pub(crate) async fn tell_shard(&self, what: &str, id: &str) -> Result<(), PromiseError> {
        run(&self.command(&["shard", what, id], &[])).await
    }

    /// Writes a map with one more shard, and starts that.
    pub(crate) async fn add_shard(&mut self) -> Result<(), PromiseError> {
        let id = self.name_shard();
        self.put_map().await?;
        self.start_shard(&id).await
    }

    /// Writes a map without this shard, and ends it.
    pub(crate) async fn remove_shard(&mut self, id: &str) -> Result<(), PromiseError> {
        let removed = self.shards.remove(id);
        self.put_map().await?;
        match removed.and_then(|shard| shard.process) {
            Some(process) => process.terminate().await,
            None => Ok(()),
        }
    }

    /// Waits until all routers reach all shards, and checks that nothing has ended by itself.
    pub(crate) async fn settle(&mut self) -> Result<(), PromiseError> {
        let reached = async {
            for (port, _) in &self.routers {
                while !is_ready(*port).await {
                    sleep(LOOK).await;
                }
            }
        };
        let late = |_| PromiseError::Cluster("routers don't reach all shards in time".to_owned());
        timeout(REACHED, reached).await.map_err(late)?;
        let shards = self.shards.values_mut().filter_map(|shard| shard.process.as_mut());
        for process in shards.chain(self.routers.iter_mut().map(|(_, process)| process)) {
            process.runs()?;
        }
        Ok(())
    }

    /// # Errors
    /// If one of the processes has ever panicked.
    pub(crate) fn has_not_panicked(&self) -> Result<(), PromiseError> {
        for entry in std::fs::read_dir(&self.parts.folder)? {
            let path = entry?.path();
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            if is_log && std::fs::read_to_string(&path)?.contains("panicked") {
                let what = format!("something has panicked; see {}", path.display());
                return Err(PromiseError::Cluster(what));
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.parts.folder.join(name)
    }

    fn name_shard(&mut self) -> String {
        self.named += 1;
        let id = format!("s{}", self.named);
        let shard = Shard { grpc: free(), metrics: free(), process: None };
        self.shards.insert(id.clone(), shard);
        id
    }

    fn spawn_shard(&mut self, id: &str) -> Result<(), PromiseError> {
        let mut command = self.parts.network.at_shards();
        command.extend(self.command(&["shard", "--under-parent"], &["--id", id]));
        let log = self.path(&format!("shard-{id}.log"));
        let process = Process::start(&format!("shard {id}"), &command, &log)?;
        if let Some(shard) = self.shards.get_mut(id) {
            shard.process = Some(process);
        }
        Ok(())
    }

    async fn is_ready(&mut self, id: &str) -> Result<(), PromiseError> {
        match self.shards.get_mut(id).and_then(|shard| shard.process.as_mut()) {
            Some(process) => process.ready().await,
            None => Ok(()),
        }
    }

    /// The program with its subcommand, the settings, and more.
    fn command(&self, subcommand: &[&str], more: &[&str]) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let config = text(&self.path("cluster.toml"));
        let mut command = vec![text(&self.parts.program)];
        let arguments = [subcommand, &["--config", &config], more].concat();
        command.extend(arguments.into_iter().map(str::to_owned));
        command
    }

    /// Puts the next version of the map in the place of the last: the servers' bucket, which has
    /// none at first, or the file, whole.
    async fn put_map(&mut self) -> Result<(), PromiseError> {
        self.write_map()?;
        let (next, file) = (self.path("next.toml"), self.path("shards.toml"));
        if self.version > 1 && self.nats.is_some() {
            return run(&self.command(&["map", "push"], &[&next.to_string_lossy()])).await;
        }
        std::fs::rename(next, file)?;
        Ok(())
    }

    fn write_map(&mut self) -> Result<(), PromiseError> {
        self.version += 1;
        let host = self.parts.network.shards_address();
        let mut map = format!("version = {}\nhash_key = \"{HASH_KEY}\"\n", self.version);
        for (id, Shard { grpc, metrics, .. }) in &self.shards {
            let _ = write!(
                map,
                "\n[[shard]]\nid = \"{id}\"\ngrpc = \"{host}:{grpc}\"\nmetrics = \"{host}:{metrics}\"\n"
            );
        }
        std::fs::write(self.path("next.toml"), map)?;
        Ok(())
    }

    /// The defaults, but for what the place demands. The load's messages carry their number, which
    /// is their key.
    fn settings(&self) -> String {
        let store = match (&self.nats, self.parts.store) {
            (Some(nats), _) => format!(
                "[store.jetstream]\nservers = [{:?}]\nmonitors = [{:?}]\nreplicas = 1\n\
                 map_bucket = \"maps\"\n",
                nats.url(),
                nats.monitor()
            ),
            (None, Store::Embedded) => "data = \"data\"\n".to_owned(),
            (None, _) => String::new(),
        };
        let rule = |name: &str, action: &str, to: &str| {
            format!(
                "[[event]]\nname = \"{name}\"\ndo = \"{action}\"\n{to} = \"$0\"\nkey = \"${{1.n}}\"\n"
            )
        };
        format!(
            "shard_map = \"shards.toml\"\n\
             [cluster]\nsecret = \"a secret of a cluster that keeps a promise\"\n\
             [store]\nkind = \"{}\"\n{store}{}{}",
            self.parts.store.name(),
            rule("message", "publish", "room"),
            rule("private", "private", "to"),
        )
    }
}

/// Whether a router reaches all shards.
async fn is_ready(port: u16) -> bool {
    let ask = async {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200"))
    };
    matches!(timeout(Duration::from_secs(5), ask).await, Ok(Ok(true)))
}
