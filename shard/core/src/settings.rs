//! What a core is told once, at its start.

use std::sync::Arc;
use std::time::Duration;

use trunkline_config::events::{EventRules, Pattern};
use trunkline_config::settings::{Auth, Retention, Settings};
use trunkline_config::store::Store;

/// How far what a log keeps is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogReach {
    /// It ends with the process.
    Process,
    /// It is the shard's, whose next process has it.
    Shard,
    /// All shards have the same log, which lets only a topic's newest owner write.
    Cluster,
}

impl From<&Store<'_>> for LogReach {
    fn from(store: &Store<'_>) -> Self {
        match store {
            Store::Memory => Self::Process,
            Store::Embedded(_) => Self::Shard,
            Store::JetStream(_) => Self::Cluster,
        }
    }
}

/// The part of the settings that a core needs.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// The largest message of a client, in bytes; told to clients.
    pub message: usize,
    /// The heartbeat's interval; told to clients.
    pub heartbeat: Duration,
    /// Rooms that one session may be in.
    pub rooms_per_session: usize,
    /// Publishes a second and session, sustained.
    pub publish_rate: u32,
    /// Publishes that a session may make at once.
    pub publish_burst: u32,
    /// What rooms keep.
    pub history: Retention,
    /// Messages that may wait in an inbox.
    pub inbox_messages: usize,
    /// Bytes of messages that may wait in an inbox.
    pub inbox_bytes: usize,
    /// How long they may wait.
    pub inbox_age: Duration,
    /// How long the members behind a broken trunk or link are kept.
    pub grace: Duration,
    /// Above this number of members no `joined` or `left` is sent.
    pub announce_up_to: usize,
    /// How long a peer may take to answer a request.
    pub request_timeout: Duration,
    /// How long a router may take to say whether a private message has reached an out-queue.
    pub handover_timeout: Duration,
    /// How long an idempotency key is remembered.
    pub key_window: Duration,
    /// Whether clients need a token.
    pub tokens: bool,
    /// Socket.IO: a packet with all its attachments, in bytes.
    pub packet: usize,
    /// Socket.IO: the namespaces that clients may connect to.
    pub namespaces: Vec<Pattern>,
    /// Socket.IO: how long a client may take to connect to a namespace.
    pub connect_timeout: Duration,
    /// Socket.IO: how long a client that has gone may come back to its session; none if it can't.
    pub recovery: Option<Duration>,
    /// Socket.IO: what events mean.
    pub events: Arc<EventRules>,
    /// How far what the log keeps is at hand.
    pub log: LogReach,
    /// Another number for each process, so that what it has told its clients is told from what
    /// others have.
    pub incarnation: u64,
}

impl CoreSettings {
    /// From the configuration.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            message: settings.limits.message,
            heartbeat: settings.heartbeat.interval,
            rooms_per_session: settings.limits.rooms_per_session,
            publish_rate: settings.limits.publish_rate,
            publish_burst: settings.limits.publish_burst,
            history: settings.history,
            inbox_messages: settings.inbox.messages,
            inbox_bytes: settings.inbox.bytes,
            inbox_age: settings.inbox.age,
            grace: settings.presence.grace,
            announce_up_to: settings.presence.announce_up_to,
            request_timeout: Duration::from_secs(10),
            handover_timeout: Duration::from_secs(5),
            key_window: Duration::from_secs(5 * 60),
            tokens: matches!(settings.auth, Auth::Jwt(_)),
            packet: settings.socketio.max_http_buffer_size,
            namespaces: settings.socketio.namespaces.clone(),
            connect_timeout: settings.socketio.connect_timeout,
            recovery: settings.socketio.recovery,
            events: Arc::new(settings.events.clone()),
            log: (&settings.store.choose(None)).into(),
            incarnation: 1,
        }
    }
}

impl Default for CoreSettings {
    fn default() -> Self {
        Self::new(&Settings::default())
    }
}
