//! Where one is, kept over lost connections: who, in which room, and up to which messages.

use trunkline_client::{Client, Options, Position};

/// A message that may or may not have arrived when the connection was lost. Sending it again under
/// its key is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsent {
    pub(super) to: To,
    pub(super) text: String,
    pub(super) key: String,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Room(String),
    User(String),
}

#[derive(Debug)]
pub(super) struct Place {
    url: String,
    pub(super) user: Option<String>,
    token: Option<String>,
    pub(super) room: Option<String>,
    /// The last message seen of the room; none before it is joined.
    pub(super) position: Option<Position>,
    /// The last message seen of the inbox.
    pub(super) inbox: Option<Position>,
    pub(super) unsent: Option<Unsent>,
    keys: u64,
}

impl Place {
    pub(super) fn new(
        url: String,
        user: Option<String>,
        token: Option<String>,
        room: String,
    ) -> Self {
        let room = Some(room);
        Self { url, user, token, room, position: None, inbox: None, unsent: None, keys: 0 }
    }

    /// What to connect with, now.
    pub(super) fn options(&self) -> Options {
        let mut options = Options::new(&self.url);
        match (&self.token, &self.user) {
            (Some(token), _) => options = options.token(token),
            (None, Some(user)) => options = options.user(user),
            (None, None) => {}
        }
        if let Some(position) = &self.inbox {
            options = options.inbox(position.clone());
        }
        options
    }

    /// Notes the name that the server gave: a guest comes back under the same.
    pub(super) fn met(&mut self, client: &Client) {
        self.user = Some(client.user().to_owned());
    }

    /// A key for a new message: the session is no other's, and the number no other message's.
    pub(super) fn next_key(&mut self, session: &str) -> String {
        self.keys += 1;
        format!("{session}-{}", self.keys)
    }

    pub(super) fn is_me(&self, user: &str) -> bool {
        self.user.as_deref() == Some(user)
    }
}
