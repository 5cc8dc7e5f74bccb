//! What ties a connection to the trunk that carries it. The trunk may change under it: when its key
//! belongs to another shard, it goes to that one's, and neither its client nor its task notices.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use trunkline_config::Digest;
use trunkline_proto::trunk::{ClientMessage, Dialect};

use super::Trunk;
use crate::connection::close::CloseReason;
use crate::connection::{Connection, Incoming, Taken, Uplink};

/// The digest by which a session's ID begins.
pub(crate) fn digest(session: &[u8]) -> Digest {
    // Every session's ID has one; what has none is placed anywhere.
    Digest(session.first_chunk().map_or(0, |digest| u64::from_be_bytes(*digest)))
}

/// A connection's trunk; none for one that was never attached.
#[derive(Default)]
pub(crate) struct Tie {
    /// Trunks have their connections, so that it can't be the other way round too.
    trunk: RefCell<Weak<Trunk>>,
    /// What places the connection.
    digest: Cell<u64>,
    /// How often it has been moved.
    moves: Cell<u32>,
    /// How often it has been attached again, after a move or to a trunk that had broken.
    attachments: Cell<u32>,
}

/// Above the bits of a worker's own numbers are those of how often a connection has been moved.
pub(super) const MOVES_SHIFT: u32 = 40;

impl Tie {
    pub(super) fn trunk(&self) -> Option<Rc<Trunk>> {
        self.trunk.borrow().upgrade()
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(self.digest.get())
    }

    pub(super) fn begin(&self, trunk: &Rc<Trunk>, session: &[u8]) {
        self.digest.set(digest(session).0);
        self.change(trunk);
    }

    /// It goes over to another trunk, which may be one that it has been on before: what that one still
    /// has on its way for it is not for it as it is now.
    pub(super) fn move_to(&self, trunk: &Rc<Trunk>) {
        self.moves.set(self.moves.get() + 1);
        self.change(trunk);
    }

    /// What shards tell its next attachment from earlier ones by.
    pub(crate) fn next_attachment(&self) -> u32 {
        self.attachments.get().saturating_add(1)
    }

    pub(super) fn attached_again(&self) {
        if !trunkline_planted::is("count no attachments") {
            self.attachments.set(self.next_attachment());
        }
    }

    pub(super) fn change(&self, trunk: &Rc<Trunk>) {
        *self.trunk.borrow_mut() = Rc::downgrade(trunk);
    }
}

impl Connection {
    /// By which number its shard knows it. Another one each time that it is moved.
    pub(crate) fn alias(&self) -> u64 {
        self.number + (u64::from(self.tie.moves.get()) << MOVES_SHIFT)
    }

    /// Passes a message of its client on by the trunk that it has now.
    pub(crate) fn pass_on(&self, message: ClientMessage, dialect: Dialect) -> Taken {
        match self.tie.trunk() {
            Some(trunk) => trunk.pass(message, dialect),
            None => Taken::Refused(CloseReason::RESTART),
        }
    }
}

/// A native client's messages go as they are.
impl Uplink for Connection {
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.tie.trunk().map_or(Poll::Ready(()), |trunk| trunk.poll_room(cx))
    }

    fn take(&self, message: Incoming) -> Taken {
        let Incoming { connection, sequence, payload, binary } = message;
        if binary {
            return Taken::Refused(CloseReason::NOT_TEXT);
        }
        let (control, answered) = (false, 0);
        let message = ClientMessage { connection, sequence, payload, binary, control, answered };
        self.pass_on(message, Dialect::Native)
    }

    fn gone(&self, connection: u64) {
        if let Some(trunk) = self.tie.trunk() {
            trunk.gone(connection);
        }
    }
}
