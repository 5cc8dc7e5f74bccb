//! What may wait for one client, wherever it waits: in a router for its socket to take it, or in a
//! shard for its next poll. How it waits differs; what finds room does not.

use trunkline_config::Settings;

/// The least that answers may take.
const REPLIES_LEAST: usize = 4 * 1024 * 1024;

/// The bounds of one out-queue, in bytes as they are sent.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Kept and ephemeral messages.
    pub messages: usize,
    /// Answers to the client's own requests.
    pub replies: usize,
}

/// What an out-queue holds, in the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Kept and ephemeral messages.
    pub messages: usize,
    /// Answers to the client's own requests.
    pub replies: usize,
}

/// What wants to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A kept message.
    Live,
    /// A message that is not kept.
    Ephemeral,
    /// An answer to the client's own request.
    Reply,
}

/// Something found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom(pub Class);

impl NoRoom {
    /// Whether it may be dropped. If not, the client has to come back and recover.
    #[must_use]
    pub fn is_harmless(self) -> bool {
        self.0 == Class::Ephemeral
    }
}

impl Bounds {
    /// Those of every client, by the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            messages: limits.out_queue,
            replies: REPLIES_LEAST.max(2 * (settings.history.bytes + limits.message)),
        }
    }

    /// Whether there is room for `size` bytes more. A kept message or an answer larger than its
    /// bound still fits where nothing else of its kind waits: it could never be sent otherwise.
    ///
    /// # Errors
    /// [`NoRoom`] if there is none.
    #[inline] // once per delivery
    pub fn admit(&self, used: Used, class: Class, size: usize) -> Result<(), NoRoom> {
        let fits = |used: usize, bound: usize| used == 0 || used + size <= bound;
        let has_room = match class {
            Class::Live => fits(used.messages, self.messages),
            Class::Reply => fits(used.replies, self.replies),
            Class::Ephemeral => {
                used.messages <= self.messages / 2 && used.messages + size <= self.messages
            }
        };
        if has_room { Ok(()) } else { Err(NoRoom(class)) }
    }
}
