//! What waits to be written to one socket.
//!
//! Kept and ephemeral messages share one bound, answers to the client's own requests have their
//! own, and control frames have none: there are at most as many as frames were read, and
//! reading pauses while much is waiting. The queue does no I/O.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use trunkline_proto::out_queue::{Bounds, NoRoom, Used};

use crate::frame::{Encoded, Kind};

/// How many frames leave in one write.
pub(crate) const SLICES: usize = 64;

#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    /// The bytes that count against `kind`'s bound until the frame has left whole.
    size: usize,
    kind: Kind,
}

#[derive(Debug)]
pub(crate) struct OutQueue {
    bounds: Bounds,
    /// Most often only one frame waits, and that takes no memory of its own.
    first: Option<Waiting>,
    /// Those behind it.
    rest: VecDeque<Waiting>,
    /// The first frame has left in part: it must be finished whatever happens.
    begun: bool,
    used: Used,
    control: usize,
}

impl OutQueue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let (first, rest) = (None, VecDeque::new());
        Self { bounds, first, rest, begun: false, used: Used::default(), control: 0 }
    }

    /// One that begins with the answer that made its socket a WebSocket. Nothing but that can be said
    /// first, so it counts as begun.
    pub(crate) fn after(answer: Bytes, bounds: Bounds) -> Self {
        let mut queue = Self::new(bounds);
        if !answer.is_empty() {
            queue.push_control(answer);
            queue.begun = true;
        }
        queue
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether so much waits that nothing more should be read from this client.
    pub(crate) fn is_crowded(&self) -> bool {
        self.used.messages + self.used.replies + self.control > self.bounds.messages / 2
    }

    /// Queues a frame by the rules of its kind.
    pub(crate) fn push(&mut self, frame: &Encoded) -> Result<(), NoRoom> {
        if let Some(class) = frame.kind.class() {
            self.bounds.admit(self.used, class, frame.bytes.len())?;
        }
        self.append(frame.bytes.clone(), frame.kind);
        Ok(())
    }

    pub(crate) fn push_control(&mut self, bytes: Bytes) {
        self.append(bytes, Kind::Control);
    }

    /// Drops every frame that has not begun to leave.
    pub(crate) fn discard_unstarted(&mut self) {
        while let Some(frame) = self.rest.pop_back() {
            *self.used(frame.kind) -= frame.size;
        }
        if let Some(frame) = self.first.take_if(|_| !self.begun) {
            *self.used(frame.kind) -= frame.size;
        }
    }

    /// The bytes of the frame that waits, if it is the only one.
    pub(crate) fn only(&self) -> Option<&[u8]> {
        self.first.as_ref().filter(|_| self.rest.is_empty()).map(|frame| &*frame.bytes)
    }

    /// The bytes to write next, as many frames as one write takes.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(self.first.iter().chain(&self.rest)) {
            *slice = IoSlice::new(&frame.bytes);
            count += 1;
        }
        count
    }

    /// Notes that `written` bytes have left.
    pub(crate) fn advance(&mut self, mut written: usize) {
        while let Some(first) = &mut self.first {
            let length = first.bytes.len();
            if written < length {
                first.bytes.advance(written);
                self.begun |= written > 0;
                return;
            }
            written -= length;
            let (kind, size) = (first.kind, first.size);
            self.first = self.rest.pop_front();
            self.begun = false;
            *self.used(kind) -= size;
        }
    }

    /// Gives back the memory of a queue that was once long.
    pub(crate) fn shrink(&mut self) {
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
    }

    fn append(&mut self, bytes: Bytes, kind: Kind) {
        let size = bytes.len();
        *self.used(kind) += size;
        let frame = Waiting { bytes, size, kind };
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push_back(frame);
            if self.rest.len() > 1 && trunkline_planted::is("swap two frames") {
                let last = self.rest.len() - 1;
                self.rest.swap(last - 1, last);
            }
        }
    }

    fn used(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Live | Kind::Ephemeral => &mut self.used.messages,
            Kind::Reply => &mut self.used.replies,
            Kind::Control => &mut self.control,
        }
    }
}

#[cfg(test)]
mod tests {
    use trunkline_proto::out_queue::Class;

    use super::*;

    const BOUNDS: Bounds = Bounds { messages: 100, replies: 300 };

    fn frame(kind: Kind, size: usize) -> Encoded {
        Encoded { bytes: vec![b'x'; size].into(), kind, messages: 1 }
    }

    fn waiting(queue: &OutQueue) -> Vec<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = queue.slices(&mut slices);
        slices[..count].iter().map(|slice| slice.len()).collect()
    }

    #[test]
    fn ephemeral_frames_are_dropped_beyond_half_and_live_ones_refused_at_the_end() {
        let mut queue = OutQueue::new(BOUNDS);
        assert_eq!(queue.push(&frame(Kind::Ephemeral, 51)), Ok(()));
        assert_eq!(queue.push(&frame(Kind::Ephemeral, 1)), Err(NoRoom(Class::Ephemeral)));
        assert_eq!(queue.push(&frame(Kind::Live, 49)), Ok(()));
        assert_eq!(queue.push(&frame(Kind::Live, 1)), Err(NoRoom(Class::Live)));
    }

    #[test]
    fn replies_have_a_bound_of_their_own() {
        let mut queue = OutQueue::new(BOUNDS);
        assert_eq!(queue.push(&frame(Kind::Live, 100)), Ok(()));
        assert_eq!(queue.push(&frame(Kind::Reply, 300)), Ok(()));
        assert_eq!(queue.push(&frame(Kind::Reply, 1)), Err(NoRoom(Class::Reply)));
    }

    #[test]
    fn a_frame_larger_than_the_bound_still_fits_an_empty_queue() {
        let mut queue = OutQueue::new(BOUNDS);
        assert_eq!(queue.push(&frame(Kind::Live, 101)), Ok(()));
        assert_eq!(queue.push(&frame(Kind::Reply, 301)), Ok(()));
    }

    #[test]
    fn room_comes_back_when_frames_have_left_whole() {
        let mut queue = OutQueue::new(BOUNDS);
        queue.push(&frame(Kind::Live, 60)).expect("room");
        queue.push(&frame(Kind::Live, 40)).expect("room");
        queue.advance(59);
        assert_eq!(queue.push(&frame(Kind::Live, 1)), Err(NoRoom(Class::Live)));
        assert!(queue.is_crowded());
        queue.advance(2);
        assert_eq!(waiting(&queue), [39]);
        assert!(!queue.is_crowded());
        assert_eq!(queue.push(&frame(Kind::Live, 60)), Ok(()));
    }

    #[test]
    fn discarding_spares_the_frame_that_is_under_way() {
        let mut queue = OutQueue::new(BOUNDS);
        queue.push(&frame(Kind::Live, 10)).expect("room");
        queue.push(&frame(Kind::Live, 10)).expect("room");
        queue.advance(4);
        queue.discard_unstarted();
        assert_eq!(waiting(&queue), [6]);
        queue.advance(6);
        queue.push_control(Bytes::from_static(b"close"));
        queue.discard_unstarted();
        assert!(queue.is_empty());
        assert!(!queue.is_crowded());
    }

    #[test]
    fn the_answer_to_the_upgrade_leaves_first_whatever_is_discarded() {
        let mut queue = OutQueue::after(Bytes::from_static(b"101"), BOUNDS);
        queue.push(&frame(Kind::Live, 10)).expect("room");
        queue.discard_unstarted();
        queue.push_control(Bytes::from_static(b"close"));
        assert_eq!(waiting(&queue), [3, 5]);
        assert!(OutQueue::after(Bytes::new(), BOUNDS).is_empty());
    }

    #[test]
    fn control_frames_are_always_taken_but_crowd_the_queue() {
        let mut queue = OutQueue::new(BOUNDS);
        queue.push(&frame(Kind::Live, 100)).expect("room");
        queue.advance(100);
        for _ in 0..6 {
            assert!(!queue.is_crowded());
            queue.push_control(Bytes::from_static(b"0123456789"));
        }
        assert!(queue.is_crowded());
        queue.push_control(Bytes::from_static(b"and one more"));
        assert_eq!(waiting(&queue).len(), 7);
    }

    #[test]
    fn one_write_takes_many_frames_but_not_all() {
        let mut queue = OutQueue::new(BOUNDS);
        for _ in 0..SLICES + 1 {
            queue.push(&frame(Kind::Live, 1)).expect("room");
        }
        assert_eq!(waiting(&queue).len(), SLICES);
        queue.advance(SLICES);
        assert_eq!(waiting(&queue), [1]);
    }
}
