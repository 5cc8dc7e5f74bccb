//! The topics of a run, what is kept of them, and records for them.

use std::sync::Arc;
use std::time::Duration;

use trunkline_config::settings::Retention;
use trunkline_core::{Arguments, Body, Namespace, Record, RoomId, SessionId, Topic, UserId};
use trunkline_log::LogSettings;

use crate::model::{AGE_MS, KEPT, WINDOW_MS};

pub(super) fn settings() -> LogSettings {
    let messages = usize::try_from(KEPT).unwrap();
    let age = Duration::from_millis(AGE_MS);
    let bounds = Retention { messages, bytes: usize::MAX, age };
    LogSettings { rooms: bounds, inboxes: bounds, window: Duration::from_millis(WINDOW_MS) }
}

pub(super) fn topics() -> [Topic; 4] {
    let room = |name| Topic::Room(Namespace::parse("/").unwrap(), RoomId::parse(name).unwrap());
    let inbox = |name| Topic::Inbox(UserId::parse(name).unwrap());
    [room("a"), room("b"), inbox("a"), inbox("b")]
}

/// A record that is like no other; every third has a key.
pub(super) fn record(offset: u64, time_ms: u64, unique: u64, size: usize) -> Record {
    let text = format!("\"{unique}-{offset}-{}\"", "x".repeat(size));
    Record {
        offset,
        time_ms,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([7; 24]),
        sequence: unique,
        key: offset.is_multiple_of(3).then(|| Arc::from(format!("key-{unique}"))),
        echo: true,
        body: Body {
            event: Arc::from("say"),
            arguments: Arguments::new(&text, 1),
            attachments: Vec::new(),
        },
    }
}
