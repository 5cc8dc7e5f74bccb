//! NATS servers as processes: each with a folder and ports of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tempfile::TempDir;

/// Each program that starts servers has one source of ports for all of its tests.
use crate::free;

/// A server that is running. It ends with this.
#[derive(Debug)]
pub(crate) struct Nats {
    process: Mutex<Child>,
    folder: TempDir,
    port: u16,
    monitor_port: u16,
}

impl Nats {
    /// The server that all tests share, as long as one of them is running.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Nats>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let nats = Arc::new(Self::start("sync_interval: always"));
            *shared = Arc::downgrade(&nats);
            nats
        })
    }

    /// A server on its own. `jetstream` goes into the block of that name.
    pub(crate) fn start(jetstream: &str) -> Self {
        Self::configured("alone", jetstream, "", free())
    }

    /// Servers that form a cluster.
    pub(crate) fn start_cluster(count: usize) -> Vec<Self> {
        let ports: Vec<_> = (0..count).map(|_| free()).collect();
        let routes: Vec<_> =
            ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let routes = routes.join(", ");
        let server = |(nth, port): (usize, &u16)| {
            let cluster = format!(
                "cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
            );
            let name = format!("node-{nth}");
            Self::configured(&name, "sync_interval: always", &cluster, free())
        };
        ports.iter().enumerate().map(server).collect()
    }

    fn configured(name: &str, jetstream: &str, more: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a server");
        let monitor_port = free();
        let data = folder.path().join("data");
        let config = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\n\
             http: \"127.0.0.1:{monitor_port}\"\n\
             jetstream {{ store_dir: {data:?}, {jetstream} }}\n{more}\n"
        );
        std::fs::write(folder.path().join("nats.conf"), config).expect("the configuration");
        let process = Mutex::new(run(folder.path()));
        Self { process, folder, port, monitor_port }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client of its own, as soon as the server takes one.
    pub(crate) async fn client(&self) -> async_nats::Client {
        let connected = async {
            loop {
                match async_nats::connect(self.url()).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), connected).await.expect("the server starts")
    }

    pub(crate) fn monitor(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().expect("nobody panics with it");
        process.kill().expect("it can be ended");
        process.wait().expect("it ends");
    }

    /// Starts it again, with what it has on its disk.
    pub(crate) fn restart(&self) {
        *self.process.lock().expect("nobody panics with it") = run(self.folder.path());
    }

    /// Stops it where it is, as a machine that hangs.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.lock().expect("nobody panics with it").id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill");
        assert!(status.success());
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn run(folder: &Path) -> Child {
    let log = std::fs::File::create(folder.join("log")).expect("a file for what it says");
    Command::new(program())
        .arg("-c")
        .arg(folder.join("nats.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the server starts")
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("NATS_SERVER") {
        return program.into();
    }
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut programs = above.map(|folder| folder.join("target/nats/nats-server"));
    programs.find(|it| it.exists()).expect("a NATS server: run `tests/nats/install` first")
}
