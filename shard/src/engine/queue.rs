//! What waits for one client until it polls. The same bounds as those of a router's out-queue:
//! kept and ephemeral messages share one, answers to the client's own requests have another.

use std::collections::VecDeque;

use bytes::Bytes;
use trunkline_core::{Frame, FrameKind, Part};
use trunkline_proto::engine::binary_size;
use trunkline_proto::out_queue::{Bounds, Class, NoRoom, Used};

/// How many frames found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) live: u64,
    pub(crate) ephemeral: u64,
    pub(crate) reply: u64,
}

impl Tally {
    pub(super) fn drop_one(&mut self, why: NoRoom) {
        match why.0 {
            Class::Live => self.live += 1,
            Class::Ephemeral => self.ephemeral += 1,
            Class::Reply => self.reply += 1,
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
    used: Used,
}

impl OutQueue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, parts: VecDeque::new(), used: Used::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many parts wait.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Queues a frame whole, or not at all.
    pub(super) fn push(&mut self, frame: &Frame) -> Result<(), NoRoom> {
        let class = match frame.kind {
            FrameKind::Live => Class::Live,
            FrameKind::Ephemeral => Class::Ephemeral,
            FrameKind::Reply => Class::Reply,
        };
        self.bounds.admit(self.used, class, frame.parts.iter().map(size).sum())?;
        for part in &frame.parts {
            self.append(part.clone(), Some(frame.kind));
        }
        Ok(())
    }

    /// Queues a packet of Engine.IO's own.
    pub(super) fn push_control(&mut self, text: &'static str) {
        self.append(Part::text(Bytes::from_static(text.as_bytes())), None);
    }

    /// What waits, in order, each with what it is for the bounds.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Part, Option<FrameKind>)> {
        self.parts.iter().map(|waiting| (&waiting.part, waiting.kind))
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

    /// Queues what has found room before.
    pub(super) fn append(&mut self, part: Part, kind: Option<FrameKind>) {
        let size = size(&part);
        *self.used(kind) += if kind.is_some() { size } else { 0 };
        self.parts.push_back(Waiting { part, size, kind });
    }

    fn used(&mut self, kind: Option<FrameKind>) -> &mut usize {
        match kind {
            Some(FrameKind::Reply) => &mut self.used.replies,
            Some(FrameKind::Live | FrameKind::Ephemeral) | None => &mut self.used.messages,
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

    fn frame(kind: FrameKind, size: usize) -> Frame {
        let parts = vec![Part::text(vec![b'x'; size - 1].into())];
        Frame::socketio(kind, parts)
    }

    fn queue() -> OutQueue {
        OutQueue::new(Bounds { messages: 100, replies: 300 })
    }

    #[test]
    fn ephemeral_frames_are_dropped_beyond_half_and_kept_ones_beyond_the_bound() {
        let mut queue = queue();
        assert_eq!(queue.push(&frame(FrameKind::Ephemeral, 51)), Ok(()));
        assert_eq!(queue.push(&frame(FrameKind::Ephemeral, 2)), Err(NoRoom(Class::Ephemeral)));
        assert_eq!(queue.push(&frame(FrameKind::Live, 49)), Ok(()));
        assert_eq!(queue.push(&frame(FrameKind::Live, 2)), Err(NoRoom(Class::Live)));
        assert_eq!(queue.push(&frame(FrameKind::Reply, 300)), Ok(()));
        assert_eq!(queue.push(&frame(FrameKind::Reply, 2)), Err(NoRoom(Class::Reply)));
    }

    #[test]
    fn what_was_taken_makes_room() {
        let mut queue = queue();
        queue.push_control("2");
        queue.push(&frame(FrameKind::Live, 1000)).expect("nothing else waits");
        assert_eq!(queue.push(&frame(FrameKind::Live, 2)), Err(NoRoom(Class::Live)));
        assert_eq!(queue.first_size(), Some(2));
        while queue.pop().is_some() {}
        assert_eq!((queue.used.messages, queue.used.replies, queue.is_empty()), (0, 0, true));
        assert_eq!(queue.push(&frame(FrameKind::Live, 2)), Ok(()));
    }
}
