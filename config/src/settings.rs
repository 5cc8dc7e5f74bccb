//! What `cluster.toml` says, as values. Durations and sizes are parsed, secrets are resolved,
//! and every field has its documented default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::events::{EventRules, Pattern};
use crate::store::StoreSettings;

/// All of `cluster.toml`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The shard map's file, resolved against the folder of `cluster.toml`.
    pub shard_map: PathBuf,
    /// `[router]`
    pub router: RouterSettings,
    /// `[move]`
    pub moves: Moves,
    /// `[auth]`
    pub auth: Auth,
    /// `[cluster]`
    pub cluster: Cluster,
    /// `[runtime]`
    pub runtime: RuntimeSettings,
    /// `[limits]`
    pub limits: Limits,
    /// `[heartbeat]`
    pub heartbeat: Heartbeat,
    /// `[history]`
    pub history: Retention,
    /// `[inbox]`
    pub inbox: InboxSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[presence]`
    pub presence: PresenceSettings,
    /// `[drain]`
    pub drain: DrainSettings,
    /// `[health]`
    pub health: HealthSettings,
    /// `[socketio]`
    pub socketio: SocketIo,
    /// `[[event]]`, and the default rules for events that none of them names.
    pub events: EventRules,
    /// `[application]`
    pub application: Application,
    /// `[api]`
    pub api: Api,
    /// `[log]`
    pub log: LogSettings,
}

/// `[router]`: the client side.
#[derive(Clone, Debug)]
pub struct RouterSettings {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub metrics: SocketAddr,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Whether `/echo` is served, for conformance suites.
    pub echo: bool,
    /// Origins that a browser may connect from.
    pub allowed_origins: AllowedOrigins,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a client of a shard that is gone is held, so that it is attached again and notices
    /// nothing; zero: nobody is held.
    pub hold: Duration,
    /// How many clients a second are closed when the router is asked to end, all workers together.
    pub close_rate: u32,
    /// The Unix socket by which a router that starts takes over the listening sockets of the one
    /// that runs; none: it takes over nothing.
    pub handover: Option<PathBuf>,
    /// The certificate and key of `wss`, if any.
    pub tls: Option<Certificate>,
}

/// `[move]`: how fast what belongs to another shard is moved there.
#[derive(Clone, Debug)]
pub struct Moves {
    /// Clients that a worker of a router moves in a second.
    pub sessions: u32,
}

/// `allowed_origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// The origin of the request's own Host, and requests with no Origin.
    Same,
    /// These besides the same origin, as `scheme://host[:port]`, in lower case.
    Listed(Vec<String>),
    /// `"*"`: every origin.
    Any,
}

/// Files of a certificate chain and its key, in PEM. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain's file.
    pub cert: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
}

/// `[auth]`: how it is decided who speaks.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Development: the name in the query is believed.
    #[default]
    Open,
    /// The token's `sub` speaks.
    Jwt(JwtSettings),
}

/// `auth.jwt`
#[derive(Clone)]
pub struct JwtSettings {
    /// The one algorithm that is accepted.
    pub algorithm: JwtAlgorithm,
    /// The shared secret (HS256) or the public key in PEM.
    pub key: Vec<u8>,
    /// The audience that a token must name, if any.
    pub audience: Option<String>,
}

impl std::fmt::Debug for JwtSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtSettings").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The signature algorithms that a configuration can pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// `[cluster]`: how routers and shards know each other.
#[derive(Clone, Default)]
pub struct Cluster {
    /// A secret that all processes share.
    pub secret: Option<String>,
    /// Mutual TLS on trunks and links.
    pub tls: Option<ClusterTls>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("tls", &self.tls)
            .finish()
    }
}

/// `cluster.tls`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTls {
    /// This process's certificate chain, a file in PEM. It must be valid for the host of its `grpc` address.
    pub cert: PathBuf,
    /// Its private key, a file in PEM.
    pub key: PathBuf,
    /// The authority that signed the others' certificates, a file in PEM.
    pub ca: PathBuf,
}

/// `[runtime]`: how threads that carry traffic work.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeSettings {
    /// How long a busy thread may wait so that more leaves together; zero: not at all.
    pub flush_delay: Duration,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message of a client, in bytes.
    pub message: usize,
    /// Rooms that one session may be in.
    pub rooms_per_session: usize,
    /// Publishes a second and connection, sustained.
    pub publish_rate: u32,
    /// Publishes that a connection may make at once.
    pub publish_burst: u32,
    /// Bytes that may wait for one connection.
    pub out_queue: usize,
    /// Connections of one router worker.
    pub connections_per_worker: usize,
    /// Bytes of kept messages of one shard, all rooms and inboxes together, while they are in
    /// memory. Beyond it publishes are refused.
    pub memory: usize,
    /// Bytes of a request's header.
    pub header: usize,
    /// How long a header, or a TLS handshake, may take.
    pub header_timeout: Duration,
}

/// `[heartbeat]`
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// A ping is sent this long after the last.
    pub interval: Duration,
    /// The connection is closed when nothing was received for this long after a ping.
    pub timeout: Duration,
}

/// `[history]`: what a room's log keeps. What is beyond any of the three is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages.
    pub messages: usize,
    /// Bytes of messages.
    pub bytes: usize,
    /// Age.
    pub age: Duration,
}

/// `[inbox]`: what waits for a user. When as much waits as may, nothing more is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxSettings {
    /// Messages.
    pub messages: usize,
    /// Bytes of messages.
    pub bytes: usize,
    /// Age.
    pub age: Duration,
}

/// `[presence]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceSettings {
    /// How long the members behind a broken trunk or link are kept.
    pub grace: Duration,
    /// Above this number of members no `joined` or `left` is sent.
    pub announce_up_to: usize,
}

/// `[drain]`: a shard that is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainSettings {
    /// How long it waits at most until others have what it has.
    pub timeout: Duration,
}

/// `[health]`: how shards whose log is JetStream's find out that one of them is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// How often a shard says that it is alive.
    pub interval: Duration,
    /// After how long of silence it is taken for dead.
    pub timeout: Duration,
}

/// `[socketio]`: how Socket.IO clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketIo {
    /// Whether they are served at all.
    pub enabled: bool,
    /// Where, with a slash at both ends.
    pub path: String,
    /// `pingInterval`: a ping is sent this long after the last pong.
    pub ping_interval: Duration,
    /// `pingTimeout`: how long its pong may take.
    pub ping_timeout: Duration,
    /// `connectTimeout`: how long a client may take to connect to a namespace.
    pub connect_timeout: Duration,
    /// `upgradeTimeout`: how long the change from polling to a WebSocket may take.
    pub upgrade_timeout: Duration,
    /// `maxHttpBufferSize`: the largest message or request body, in bytes.
    pub max_http_buffer_size: usize,
    /// Whether HTTP long-polling is served; without it only WebSockets are.
    pub polling: bool,
    /// The namespaces that clients may connect to.
    pub namespaces: Vec<Pattern>,
    /// Whether the default rules hold for events that no `[[event]]` names.
    pub default_events: bool,
    /// `connectionStateRecovery`: how long after its disconnection a client may recover; none if
    /// it can't.
    pub recovery: Option<Duration>,
    /// The file that is served as `socket.io.js`; none redirects to the library's own place.
    pub client: Option<PathBuf>,
}

/// `[application]`: the HTTP endpoint that rules with `do = "call"` ask.
#[derive(Clone, PartialEq, Eq)]
pub struct Application {
    /// `http://` or `https://`; none if no rule calls.
    pub url: Option<String>,
    /// What requests are signed with; none leaves them unsigned.
    pub secret: Option<String>,
    /// How long all tries of one call may take together.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("url", &self.url).finish_non_exhaustive()
    }
}

/// `[api]`: the HTTP and gRPC interface for servers of the application.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Api {
    /// The keys of which a caller gives one; with none the interface is off.
    pub keys: Vec<String>,
    /// Where the gRPC service listens; none if it is not served.
    pub grpc: Option<SocketAddr>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("keys", &self.keys.len()).field("grpc", &self.grpc).finish()
    }
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A level, or a filter such as `info,trunkline_router=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics: SocketAddr::from(([127, 0, 0, 1], 9080)),
            workers: 0,
            echo: false,
            allowed_origins: AllowedOrigins::Same,
            trusted_proxies: Vec::new(),
            hold: Duration::from_secs(30),
            close_rate: 1000,
            handover: None,
            tls: None,
        }
    }
}

impl Default for Moves {
    fn default() -> Self {
        Self { sessions: 2000 }
    }
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self { flush_delay: Duration::ZERO }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 * 1024,
            rooms_per_session: 256,
            publish_rate: 500,
            publish_burst: 2000,
            out_queue: 256 * 1024,
            connections_per_worker: 15_000,
            memory: 1024 * 1024 * 1024,
            header: 16 * 1024,
            header_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { messages: 1000, bytes: 1024 * 1024, age: Duration::from_secs(24 * 3600) }
    }
}

impl Default for InboxSettings {
    fn default() -> Self {
        Self { messages: 1000, bytes: 4 * 1024 * 1024, age: Duration::from_secs(7 * 24 * 3600) }
    }
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), announce_up_to: 200 }
    }
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60) }
    }
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { interval: Duration::from_millis(300), timeout: Duration::from_millis(1500) }
    }
}

impl Default for SocketIo {
    /// The values of the reference server.
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/socket.io/".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(45),
            upgrade_timeout: Duration::from_secs(10),
            max_http_buffer_size: 1_000_000,
            polling: true,
            namespaces: vec![Pattern("/".to_owned())],
            default_events: true,
            recovery: Some(Duration::from_secs(120)),
            client: None,
        }
    }
}

impl Default for Application {
    fn default() -> Self {
        Self { url: None, secret: None, timeout: Duration::from_secs(5), retries: 2 }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}
