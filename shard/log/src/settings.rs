//! How much a log keeps.

use std::time::Duration;

use trunkline_config::settings::{InboxSettings, Retention, Settings};
use trunkline_core::{CoreSettings, Topic};

/// How much is kept of each topic, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// Of a room.
    pub rooms: Retention,
    /// Of an inbox. The core lets no more wait than the inbox's bytes; what goes here by its age
    /// or count alone has been handed over, or is too old.
    pub inboxes: Retention,
    /// How long it is remembered who published what, whether or not the message is still kept.
    pub window: Duration,
}

impl LogSettings {
    /// From the configuration.
    #[must_use]
    pub fn new(settings: &Settings, core: &CoreSettings) -> Self {
        let InboxSettings { messages, bytes: _, age } = settings.inbox;
        let inboxes = Retention { messages, bytes: usize::MAX, age };
        Self { rooms: settings.history, inboxes, window: core.key_window }
    }

    pub(crate) fn retention(&self, topic: &Topic) -> Retention {
        match topic {
            Topic::Room(..) => self.rooms,
            Topic::Inbox(_) => self.inboxes,
        }
    }

    /// Who published before this is not remembered.
    pub(crate) fn window_start(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_sub(millis(self.window))
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
