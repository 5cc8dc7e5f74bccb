//! Where the servers are, and what is asked of them.

use std::fmt;
use std::path::PathBuf;

use trunkline_config::store::{JetStreamSettings, Login};

/// How a shard reaches JetStream. The servers' `max_payload` has to be more than the largest
/// message that clients may send, and 128 KiB at least.
#[derive(Clone, Debug)]
pub struct JetStreamOptions {
    /// The servers of the NATS cluster: `host:port`, `nats://host:port` or `tls://host:port`. One
    /// is enough to find the others; more of them help when that one is down.
    pub servers: Vec<String>,
    /// The stream, and the first token of its subjects: 1 to 64 of `A`-`Z`, `a`-`z`, `0`-`9`, `-`
    /// and `_`. All shards of a cluster share it, unless each partition has its own.
    pub stream: String,
    /// On how many servers the stream is kept: 1 to 5, of which more than half must be alive.
    pub replicas: usize,
    /// How the shard says who it is.
    pub credentials: JetStreamCredentials,
    /// Certificates of those who sign the servers' certificates, as a PEM file, in place of the
    /// machine's own. With it the connection is always encrypted.
    pub ca: Option<PathBuf>,
    /// The shard's own certificate and its key, as PEM files.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The servers' monitoring: `http://host:port` of each that keeps the stream. It is the only
    /// place where a server tells whether it syncs its files before it acknowledges.
    pub monitors: Vec<String>,
    /// Take servers that acknowledge what a power failure can lose, and those that don't tell.
    pub allow_unsafe_sync: bool,
    /// What the shard is called in what it writes.
    pub shard: String,
}

impl JetStreamOptions {
    /// How `who` reaches the servers of the settings.
    #[must_use]
    pub fn new(settings: &JetStreamSettings, who: &str) -> Self {
        let JetStreamSettings {
            servers,
            stream,
            replicas,
            login,
            map_bucket: _,
            ca,
            monitors,
            allow_unsafe_sync,
        } = settings.clone();
        Self {
            servers,
            stream,
            replicas: usize::from(replicas),
            credentials: match login {
                Login::None => JetStreamCredentials::None,
                Login::Token(token) => JetStreamCredentials::Token(token),
                Login::User { name, password } => JetStreamCredentials::User { name, password },
                Login::Credentials(path) => JetStreamCredentials::File(path),
            },
            ca,
            client_certificate: None,
            monitors,
            allow_unsafe_sync,
            shard: who.to_owned(),
        }
    }
}

impl Default for JetStreamOptions {
    /// A server on this machine, a stream `trunkline` of three replicas, nothing unsafe.
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            stream: "trunkline".to_owned(),
            replicas: 3,
            credentials: JetStreamCredentials::None,
            ca: None,
            client_certificate: None,
            monitors: Vec::new(),
            allow_unsafe_sync: false,
            shard: "shard".to_owned(),
        }
    }
}

/// How a shard says who it is to NATS.
#[derive(Clone, Default)]
pub enum JetStreamCredentials {
    /// Not at all, or by its certificate.
    #[default]
    None,
    /// By a file of credentials (`.creds`), as `nsc` writes it: a JWT and the key to sign with.
    File(PathBuf),
    /// By a user and a password.
    User {
        /// The user.
        name: String,
        /// The password.
        password: String,
    },
    /// By a token.
    Token(String),
}

impl fmt::Debug for JetStreamCredentials {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::User { name, .. } => f.debug_struct("User").field("name", name).finish(),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}
