//! `[store]`: where messages are kept.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::settings::Certificate;

/// The embedded store's folder if nobody names one, beside the settings.
pub const DATA: &str = "trunkline-data";

/// `[store]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where; none: embedded if there is a folder for it, else in memory.
    pub kind: Option<StoreKind>,
    /// The folder of the embedded store, in which each shard has a file of its own.
    pub data: Option<PathBuf>,
    /// `[store.jetstream]`
    pub jetstream: JetStreamSettings,
}

impl StoreSettings {
    /// What keeps messages when a process is given this folder, or none, by its command line.
    #[must_use]
    pub fn choose(&self, data: Option<&Path>) -> Store<'_> {
        let folder = data.map(Path::to_path_buf).or_else(|| self.data.clone());
        match (self.kind, folder) {
            (Some(StoreKind::JetStream), _) => Store::JetStream(&self.jetstream),
            (Some(StoreKind::Memory), _) | (_, None) => Store::Memory,
            (Some(StoreKind::Embedded) | None, Some(folder)) => Store::Embedded(folder),
        }
    }
}

/// What keeps messages, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store<'a> {
    /// The process.
    Memory,
    /// Files in this folder.
    Embedded(PathBuf),
    /// NATS servers.
    JetStream(&'a JetStreamSettings),
}

impl fmt::Display for Store<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory, which ends with the process"),
            Self::Embedded(folder) => write!(f, "files in {}", folder.display()),
            Self::JetStream(_) => f.write_str("jetstream"),
        }
    }
}

/// The values of `store.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The process: what is kept ends with it.
    Memory,
    /// A file of each shard's.
    Embedded,
    /// NATS JetStream.
    JetStream,
}

/// `[store.jetstream]`
#[derive(Clone, PartialEq, Eq)]
pub struct JetStreamSettings {
    /// URLs of the servers, such as `nats://10.0.0.1:4222`; one that is reached names the others.
    pub servers: Vec<String>,
    /// The stream's name, and the first token of its subjects.
    pub stream: String,
    /// How many servers keep each message, 1 to 5.
    pub replicas: usize,
    /// How the cluster shows the servers who it is.
    pub login: Login,
    /// The key-value bucket that has the cluster's shard map, if it has one; none: the file has it.
    pub map_bucket: Option<String>,
    /// The authority that signed the servers' certificates, a file in PEM; none: the system's.
    pub ca: Option<PathBuf>,
    /// The cluster's own certificate and its key, if the servers ask for one.
    pub certificate: Option<Certificate>,
    /// Pages (`http://HOST:8222`) where the servers say how they are configured.
    pub monitors: Vec<String>,
    /// Whether to go on with servers that may lose acknowledged messages when power fails.
    pub allow_unsafe_sync: bool,
}

/// How a cluster shows NATS servers who it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// It doesn't.
    #[default]
    None,
    /// A token.
    Token(String),
    /// A user's name and password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// A `.creds` file, with a JWT and a key.
    Credentials(PathBuf),
}

impl Default for JetStreamSettings {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            stream: "trunkline".to_owned(),
            replicas: 3,
            login: Login::None,
            map_bucket: None,
            ca: None,
            certificate: None,
            monitors: Vec::new(),
            allow_unsafe_sync: false,
        }
    }
}

impl fmt::Debug for JetStreamSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            servers,
            stream,
            replicas,
            login,
            map_bucket,
            ca,
            certificate,
            monitors,
            allow_unsafe_sync,
        } = self;
        f.debug_struct("JetStreamSettings")
            .field("servers", servers)
            .field("stream", stream)
            .field("replicas", replicas)
            .field("login", login)
            .field("map_bucket", map_bucket)
            .field("ca", ca)
            .field("certificate", certificate)
            .field("monitors", monitors)
            .field("allow_unsafe_sync", allow_unsafe_sync)
            .finish()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::User { name, .. } => write!(f, "User({name}, …)"),
            Self::Credentials(path) => write!(f, "Credentials({})", path.display()),
        }
    }
}
