//! What waits for one client until it polls. The same bounds as those of a router's out-queue:
//! kept and ephemeral messages share one, answers to the client's own requests have another.

use std::collections::VecDeque;

use bytes::Bytes;
use trunkline_core::{Frame, FrameKind, Part};
use trunkline_proto::engine::binary_size;

/// The bounds of one out-queue, in bytes as they are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Kept and ephemeral messages.
    pub(super) messages: usize,
    /// Answers to the client's own requests.
    pub(super) replies: usize,
}

/// A frame that found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// It was dropped.
    Ephemeral,
    /// The client has to come back and recover.
    Live,
    /// The same; it asks faster than it listens.
    Reply,
}

/// How many frames found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) live: u64,
    pub(crate) ephemeral: u64,
    pub(crate) reply: u64,
}

impl Tally {
    pub(super) fn drop_one(&mut self, why: NoRoom) {
        match why {
            NoRoom::Live => self.live += 1,
            NoRoom::Ephemeral => self.ephemeral += 1,
            NoRoom::Reply => self.reply += 1,
        }
    }
}

struct Waiting {
    part: Part,
    size: usize,
    /// None for Engine.IO's own packets, of which there is at most a ping.
    kind: Option<FrameKind>,
}

pub(super) struct OutQueue {
    bounds: Bounds,
    parts: VecDeque<Waiting>,
    messages: usize,
    replies: usize,
}

impl OutQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, parts: VecDeque::new(), messages: 0, replies: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Queues a frame whole, or not at all. What is larger than its bound still fits where
    /// nothing else of its kind waits: it could never be sent otherwise.
    pub(super) fn push(&mut self, frame: &Frame) -> Result<(), NoRoom> {
        let size = frame.parts.iter().map(size).sum::<usize>();
        let fits = |used: usize, bound: usize| used == 0 || used + size <= bound;
        let Bounds { messages, replies } = self.bounds;
        match frame.kind {
            FrameKind::Live if !fits(self.messages, messages) => return Err(NoRoom::Live),
            FrameKind::Reply if !fits(self.replies, replies) => return Err(NoRoom::Reply),
            FrameKind::Ephemeral
                if self.messages > messages / 2 || self.messages + size > messages =>
            {
                return Err(NoRoom::Ephemeral);
            }
            _ => {}
        }
        for part in &frame.parts {
            self.append(part.clone(), Some(frame.kind));
        }
        Ok(())
    }

    /// Queues a packet of Engine.IO's own.
    pub(super) fn push_control(&mut self, text: &'static str) {
        self.append(Part::text(Bytes::from_static(text.as_bytes())), None);
    }

    /// How much the first part takes as it is sent.
    pub(super) fn first_size(&self) -> Option<usize> {
        self.parts.front().map(|waiting| waiting.size)
    }

    pub(super) fn pop(&mut self) -> Option<Part> {
        let Waiting { part, size, kind } = self.parts.pop_front()?;
        *self.used(kind) -= if kind.is_some() { size } else { 0 };
        Some(part)
    }

    fn append(&mut self, part: Part, kind: Option<FrameKind>) {
        let size = size(&part);
        *self.used(kind) += if kind.is_some() { size } else { 0 };
        self.parts.push_back(Waiting { part, size, kind });
    }

    fn used(&mut self, kind: Option<FrameKind>) -> &mut usize {
        match kind {
            Some(FrameKind::Reply) => &mut self.replies,
            Some(FrameKind::Live | FrameKind::Ephemeral) | None => &mut self.messages,
        }
    }
}

/// With the separator.
fn size(part: &Part) -> usize {
    let length = part.payload.len();
    1 + if part.binary { binary_size(length) } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::Dialect;

    fn frame(kind: FrameKind, size: usize) -> Frame {
        let parts = vec![Part::text(vec![b'x'; size - 1].into())];
        Frame { kind, dialect: Dialect::SocketIo, parts }
    }

    fn queue() -> OutQueue {
        OutQueue::new(Bounds { messages: 100, replies: 300 })
    }

    #[test]
    fn ephemeral_frames_are_dropped_beyond_half_and_kept_ones_beyond_the_bound() {
        let mut queue = queue();
        assert_eq!(queue.push(&frame(FrameKind::Ephemeral, 51)), Ok(()));
        assert_eq!(queue.push(&frame(FrameKind::Ephemeral, 2)), Err(NoRoom::Ephemeral));
        assert_eq!(queue.push(&frame(FrameKind::Live, 49)), Ok(()));
        assert_eq!(queue.push(&frame(FrameKind::Live, 2)), Err(NoRoom::Live));
        assert_eq!(queue.push(&frame(FrameKind::Reply, 300)), Ok(()));
        assert_eq!(queue.push(&frame(FrameKind::Reply, 2)), Err(NoRoom::Reply));
    }

    #[test]
    fn what_was_taken_makes_room() {
        let mut queue = queue();
        queue.push_control("2");
        queue.push(&frame(FrameKind::Live, 1000)).expect("nothing else waits");
        assert_eq!(queue.push(&frame(FrameKind::Live, 2)), Err(NoRoom::Live));
        assert_eq!(queue.first_size(), Some(2));
        while queue.pop().is_some() {}
        assert_eq!((queue.messages, queue.replies, queue.is_empty()), (0, 0, true));
        assert_eq!(queue.push(&frame(FrameKind::Live, 2)), Ok(()));
    }
}
