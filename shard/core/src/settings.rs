//! What a core is told once, at its start.

use std::time::Duration;

use trunkline_config::settings::{Retention, Settings};

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
        }
    }
}

impl Default for CoreSettings {
    fn default() -> Self {
        Self::new(&Settings::default())
    }
}
