//! A client's connection, as its home sees it: where it is, which of its messages are settled,
//! and for which sessions it speaks. A native client's is one; a Socket.IO client has one in each
//! namespace.

use crate::checkpoint::{KeptSession, KeptSocket};
use crate::core::Io;
use crate::dedupe;
use crate::dialect::socketio::Assembly;
use crate::input::Identity;
use crate::name::Namespace;
use crate::session_id::SessionId;
use crate::small_map::SmallMap;
use crate::topic::Topic;
use crate::{ConnectionId, TrunkId};

/// Where a connection is.
pub(super) type At = (TrunkId, ConnectionId);

/// A client's connection.
#[derive(Debug)]
pub(super) struct Line {
    /// `None` after its trunk broke.
    pub(super) at: Option<At>,
    pub(super) speaks: Speaks,
    /// How often it was attached before.
    pub(super) attachment: u32,
    settling: Settling,
    /// Rooms that a session is to go on in once a message is settled.
    awaiting: Vec<(SessionId, Topic, u64)>,
    /// Messages up to this one may have been sent again.
    again_upto: u64,
}

/// For whom a connection speaks.
#[derive(Debug)]
pub(super) enum Speaks {
    /// For the session of the same ID.
    Native,
    /// For one session in each namespace that it has connected to.
    SocketIo(Box<Multiplex>),
}

/// A Socket.IO client's connection.
#[derive(Debug)]
pub(super) struct Multiplex {
    /// Who speaks, unless the client says otherwise when it connects to a namespace.
    pub(super) identity: Identity,
    pub(super) authenticated: bool,
    pub(super) guest: bool,
    pub(super) assembly: Assembly,
    pub(super) sockets: SmallMap<Namespace, SessionId>,
    /// Sessions that are gone on with when the message by which they connected has come again.
    pub(super) awaited: Vec<SessionId>,
    /// Sessions that the client has left by messages that are not settled.
    pub(super) ended: Vec<(KeptSocket, KeptSession)>,
    /// How often it has connected to a namespace.
    pub(super) connects: u32,
    /// The attachment that its router's first stands for: it may have polled before.
    pub(super) attached_before: u32,
}

impl Line {
    pub(super) fn new(at: At, speaks: Speaks, attachment: u32) -> Self {
        let settling = Settling::default();
        let awaiting = Vec::new();
        Self { at: Some(at), speaks, attachment, settling, awaiting, again_upto: 0 }
    }

    /// A connection that goes on: all its messages up to this one are settled. The router's count
    /// began after `origin`.
    pub(super) fn resumed(
        at: At,
        speaks: Speaks,
        attachment: u32,
        origin: u64,
        settled: u64,
    ) -> Self {
        let settling = Settling::from(origin, settled);
        let again_upto = settled + dedupe::WINDOW as u64;
        Self { settling, again_upto, ..Self::new(at, speaks, attachment) }
    }

    pub(super) fn multiplex(&mut self) -> Option<&mut Multiplex> {
        match &mut self.speaks {
            Speaks::SocketIo(multiplex) => Some(multiplex),
            Speaks::Native => None,
        }
    }

    /// The sessions that it speaks for. `id` is the one that the router has attached.
    pub(super) fn sessions(&self, id: SessionId) -> Vec<SessionId> {
        match &self.speaks {
            Speaks::Native => vec![id],
            Speaks::SocketIo(multiplex) => {
                multiplex.sockets.values().chain(&multiplex.awaited).copied().collect()
            }
        }
    }

    /// Messages up to this one may have been heard before.
    pub(super) fn again_upto(&self) -> u64 {
        self.again_upto
    }

    /// The message that the router's 0 stands for.
    pub(super) fn origin(&self) -> u64 {
        self.settling.origin
    }

    /// Up to here everything is settled.
    pub(super) fn settled(&self) -> u64 {
        self.settling.settled
    }

    /// Whether its router could say again all that is not settled.
    pub(super) fn is_known_to_its_router(&self) -> bool {
        self.settling.settled >= self.settling.origin
    }

    /// The newest message's sequence.
    pub(super) fn seen(&self) -> u64 {
        self.settling.seen
    }

    /// Takes note of a message. Gives its sequence; none if it came before.
    pub(super) fn begin(&mut self, sequence: u64) -> Option<u64> {
        self.settling.begin(sequence)
    }

    /// The message waits for one thing more.
    pub(super) fn hold(&mut self, sequence: u64) {
        self.settling.hold(sequence);
    }

    /// One of the things that a message waits for is done. Tells the router when it was the last,
    /// and all messages before are settled too.
    pub(super) fn settle(&mut self, io: &mut Io, sequence: u64) {
        if let (Some(sequence), Some((trunk, connection))) =
            (self.settling.settle(sequence), self.at)
        {
            io.acknowledge((trunk, connection), sequence);
        }
    }

    /// Whether a message has come and is settled, though others before it may not be.
    pub(super) fn is_settled(&self, sequence: u64) -> bool {
        let Settling { seen, outstanding, .. } = &self.settling;
        sequence <= *seen && !outstanding.contains_key(&sequence)
    }

    /// A session goes on in a room when a message is settled.
    pub(super) fn await_settled(&mut self, session: SessionId, room: &Topic, sequence: u64) {
        self.awaiting.retain(|(of, awaiting, _)| *of != session || awaiting != room);
        self.awaiting.push((session, room.clone(), sequence));
    }

    /// Takes out the rooms that nothing is in the way of any more.
    pub(super) fn take_settled(&mut self) -> Vec<(SessionId, Topic)> {
        if self.awaiting.is_empty() {
            return Vec::new();
        }
        let awaiting = std::mem::take(&mut self.awaiting);
        let (settled, awaiting): (Vec<_>, Vec<_>) =
            awaiting.into_iter().partition(|(_, _, sequence)| self.is_settled(*sequence));
        self.awaiting = awaiting;
        settled.into_iter().map(|(session, room, _)| (session, room)).collect()
    }

    /// The client has changed its connection, and begins to count anew.
    pub(super) fn move_to(&mut self, at: At) {
        self.at = Some(at);
        self.settling.begin_anew();
        let attachment = self.attachment;
        if let Some(multiplex) = self.multiplex() {
            multiplex.attached_before = attachment;
        }
    }
}

/// Which of a connection's messages are settled: answered, stored or forwarded. A sequence here
/// goes on where the connection changes; the router's begins again.
#[derive(Debug, Default)]
struct Settling {
    seen: u64,
    settled: u64,
    /// What each message still waits for, counted.
    outstanding: SmallMap<u64, u32>,
    /// The sequence that the router's 0 stands for.
    origin: u64,
}

impl Settling {
    fn from(origin: u64, settled: u64) -> Self {
        Self { seen: settled, settled, origin, ..Self::default() }
    }

    fn begin(&mut self, sequence: u64) -> Option<u64> {
        let sequence = self.origin + sequence;
        if sequence <= self.seen {
            return None;
        }
        self.seen = sequence;
        self.outstanding.insert(sequence, 1);
        Some(sequence)
    }

    fn hold(&mut self, sequence: u64) {
        if let Some(count) = self.outstanding.get_mut(&sequence) {
            *count += 1;
        }
    }

    /// Gives what to acknowledge, in the router's count.
    fn settle(&mut self, sequence: u64) -> Option<u64> {
        if let Some(count) = self.outstanding.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                self.outstanding.remove(&sequence);
            }
        }
        let settled = match self.outstanding.first() {
            Some((oldest, _)) => oldest - 1,
            None => self.seen,
        };
        if settled <= self.settled {
            return None;
        }
        self.settled = settled;
        settled.checked_sub(self.origin).filter(|sequence| *sequence > 0)
    }

    fn begin_anew(&mut self) {
        self.origin = self.seen;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_settled_when_all_that_it_waits_for_is_done_and_all_before_it_are() {
        let mut settling = Settling::default();
        assert_eq!(settling.begin(1), Some(1));
        assert_eq!(settling.begin(2), Some(2));
        assert_eq!(settling.begin(2), None);
        settling.hold(1);
        assert_eq!(settling.settle(2), None);
        assert_eq!(settling.settle(1), None);
        assert_eq!(settling.settle(1), Some(2));
    }

    #[test]
    fn what_was_settled_elsewhere_is_not_begun_again() {
        let mut settling = Settling::from(0, 7);
        assert_eq!(settling.begin(7), None);
        assert_eq!(settling.begin(8), Some(8));
        assert_eq!(settling.settle(8), Some(8));
        // The same, by a connection that began to count when the other had said five.
        let mut settling = Settling::from(5, 7);
        assert_eq!(settling.begin(2), None);
        assert_eq!(settling.begin(3), Some(8));
        assert_eq!(settling.settle(8), Some(3));
    }

    #[test]
    fn sequences_go_on_where_the_connection_changes_and_are_acknowledged_in_its_count() {
        let mut settling = Settling::default();
        settling.begin(1);
        settling.begin(2);
        settling.settle(1);
        settling.begin_anew();
        assert_eq!(settling.begin(1), Some(3));
        assert_eq!(settling.settle(2), None, "the new connection knows nothing of it");
        assert_eq!(settling.settle(3), Some(1));
    }
}
