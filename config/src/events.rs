//! Rules for the events of Socket.IO clients: what a server's handlers would do, declared.
//!
//! A rule names an event and an action. Where an action needs a value, it is a literal or made
//! from what the event carries ([`Reference`]). Several rules of one event are carried out in
//! their order. They are read from TOML by [`crate::load`]; carrying them out is the core's.

use std::time::Duration;

/// Event names that a client can't emit, because its library uses them itself.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The event under which a rule is carried out when a client has connected to a namespace.
pub const CONNECT: &str = "connect";
/// The event under which a rule is carried out when a client has left a namespace.
pub const DISCONNECT: &str = "disconnect";

/// A name, or a prefix followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// Matches everything.
    #[must_use]
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether it names `name`.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == self.0,
        }
    }
}

/// All rules.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRules {
    /// The application's own, in the order of the file.
    pub own: Vec<EventRule>,
    /// Those that hold where none of its own names the event in that namespace.
    pub fallback: Vec<EventRule>,
}

/// What is done when a client emits an event, connects or disconnects.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRule {
    /// The event's name, 1 to 256 bytes; [`CONNECT`] and [`DISCONNECT`] are not emitted.
    pub name: String,
    /// The namespaces in which it holds.
    pub namespace: Pattern,
    /// What is done.
    pub action: EventAction,
    /// Whether this action's outcome is the event's acknowledgement; without one, the first
    /// action that has an outcome gives it.
    pub ack: Option<bool>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum EventAction {
    /// The sender becomes a member of a room.
    Join {
        /// The room.
        room: Text,
    },
    /// The sender leaves a room.
    Leave {
        /// The room.
        room: Text,
    },
    /// A message to a room.
    Publish {
        /// The room.
        room: Text,
        /// What is said.
        message: Message,
    },
    /// A message to everyone in the namespace.
    Broadcast {
        /// What is said.
        message: Message,
    },
    /// A message to a user or a session.
    Private {
        /// A user's name, or a session's ID.
        to: Text,
        /// What is said.
        message: Message,
    },
    /// An answer to the sender alone.
    Reply {
        /// The event's name; none for the acknowledgement.
        emit: Option<String>,
        /// Its arguments.
        args: Args,
    },
    /// What a room has kept, as the acknowledgement.
    History {
        /// The room.
        room: Text,
        /// An object with `after`, `before` and `limit`, each optional, as in the protocol.
        query: Option<Reference>,
    },
    /// Who is in a room, as the acknowledgement.
    Presence {
        /// The room.
        room: Text,
    },
    /// The application is asked over HTTP, and its answer says how to go on.
    Call {
        /// Where; none for `application.url`.
        url: Option<String>,
        /// How long all tries may take together; none for `application.timeout`.
        timeout: Option<Duration>,
        /// Tries after the first; none for `application.retries`.
        retries: Option<u32>,
    },
}

/// What is said, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The event's name for those who receive it; none for the one that came.
    pub emit: Option<String>,
    /// Its arguments.
    pub args: Args,
    /// The idempotency key, if any.
    pub key: Option<Text>,
    /// Not kept, and dropped first.
    pub ephemeral: bool,
    /// Whether the sender gets it too.
    pub echo: bool,
}

/// A message's arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Args {
    /// Those that came, without the first if that names the room or the receiver.
    Rest,
    /// These. [`Template::Arguments`] stands for as many as came.
    Listed(Vec<Template>),
}

/// How a JSON value is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// A string that may have references in it.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// `true` or `false`.
    Flag(bool),
    /// What is referred to, as it came; `null` if it isn't there.
    Reference(Reference),
    /// All arguments: as an element of a list, that many elements. It stands nowhere else than in
    /// a list of arguments or of values.
    Arguments,
    /// An array.
    List(Vec<Template>),
    /// An object, in the order of the file.
    Table(Vec<(String, Template)>),
}

/// A text made of pieces: `"$0"`, `"team-${0.id}"`, `"lobby"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Vec<Piece>);

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Literal(String),
    /// The string or number that is referred to.
    Reference(Reference),
}

/// Something that an event carries: `$0`, `$0.recipientId`, `$user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where it begins.
    pub root: Root,
    /// The fields (or, of arrays, the indices) to follow from there.
    pub path: Vec<String>,
}

/// Where a reference begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$0`, `$1`, …: an argument of the event.
    Argument(usize),
    /// `$user`: who speaks.
    User,
    /// `$session`: the ID of the sender's session (`socket.id`).
    Session,
    /// `$namespace`
    Namespace,
    /// `$event`: the event's name.
    Event,
    /// `$auth`: what the client gave to `auth` when it connected; for [`CONNECT`] only.
    Auth,
    /// `$reason`: why it has gone; for [`DISCONNECT`] only.
    Reason,
}

impl Text {
    /// The text that is this reference alone.
    #[must_use]
    pub fn reference(root: Root) -> Self {
        Self(vec![Piece::Reference(Reference { root, path: Vec::new() })])
    }

    /// The text itself, if it refers to nothing.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        let literal = |piece: &Piece| match piece {
            Piece::Literal(text) => Some(text.clone()),
            Piece::Reference(_) => None,
        };
        self.0.iter().map(literal).collect()
    }

    /// Whether it is the first argument and nothing else.
    #[must_use]
    pub fn is_first_argument(&self) -> bool {
        match &self.0[..] {
            [Piece::Reference(Reference { root, path })] => {
                *root == Root::Argument(0) && path.is_empty()
            }
            _ => false,
        }
    }
}

impl Default for EventRules {
    /// No rule but the default ones.
    fn default() -> Self {
        Self { own: Vec::new(), fallback: default_rules() }
    }
}

impl EventRules {
    /// The rules of an event in a namespace, in order.
    #[must_use]
    pub fn of(&self, namespace: &str, event: &str) -> Vec<&EventRule> {
        let holds = |rule: &&EventRule| rule.name == event && rule.namespace.names(namespace);
        let own: Vec<&EventRule> = self.own.iter().filter(holds).collect();
        if own.is_empty() { self.fallback.iter().filter(holds).collect() } else { own }
    }
}

/// The rules that hold where no other names their event: `join`, `leave`, `message`, `typing`,
/// `private`, `history`, `presence`.
fn default_rules() -> Vec<EventRule> {
    let first = || Text::reference(Root::Argument(0));
    let message =
        |ephemeral, echo| Message { emit: None, args: Args::Rest, key: None, ephemeral, echo };
    let query = Some(Reference { root: Root::Argument(1), path: Vec::new() });
    let rule = |name: &str, action| EventRule {
        name: name.to_owned(),
        namespace: Pattern::any(),
        action,
        ack: None,
    };
    vec![
        rule("join", EventAction::Join { room: first() }),
        rule("leave", EventAction::Leave { room: first() }),
        rule("message", EventAction::Publish { room: first(), message: message(false, true) }),
        rule("typing", EventAction::Publish { room: first(), message: message(true, false) }),
        rule("private", EventAction::Private { to: first(), message: message(false, true) }),
        rule("history", EventAction::History { room: first(), query }),
        rule("presence", EventAction::Presence { room: first() }),
    ]
}
