//! The queue behind every outgoing stream: whatever is ready leaves as one batch, nothing waits.
//!
//! A channel of items would cost a wake-up and a lock per item, and a batch would have to be
//! gathered on the other side. Here a sender appends to a vector and the stream takes the whole
//! vector when the transport asks for the next message, so batches grow by themselves exactly
//! when the transport is the slower side.
//!
//! Some items nobody waits for: an acknowledgement that only bounds a queue, or that a session has
//! left a topic. A batch of nothing else is held back for [`HOLD`], so that it leaves with something that
//! can't wait; every batch costs both sides a wake-up and a system call. The order stays.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

/// How long items that can wait are held back at most. Nobody notices it, and a busy stream
/// has something to send much sooner. Of 200 arrivals a second at three shards, most of what 5 ms
/// held back left by itself all the same.
pub const HOLD: Duration = Duration::from_millis(20);

/// Whether somebody waits for an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// Nobody does: it may be held back for [`HOLD`].
    #[default]
    Later,
    /// It leaves at once, and everything that was queued before it too.
    Now,
}

/// The bounds of an outbox.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes that may wait; a push beyond it finds the outbox [`Full`].
    pub capacity: usize,
    /// Bytes after which a batch is closed and the rest waits for the next. One item may exceed it.
    pub batch: usize,
}

/// The outbox has no room: its reader has stayed behind. The item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream's queue is full")]
pub struct Full;

#[derive(Debug)]
struct State<T> {
    items: Vec<(T, usize)>,
    bytes: usize,
    /// What the most urgent of the items needs.
    haste: Haste,
    closed: bool,
    reader: Option<Waker>,
    /// Who waits for room, by the address of their waker's data: a task that is polled again
    /// while it waits must be found among thousands.
    drained: BTreeMap<usize, Waker>,
}

#[derive(Debug)]
struct Shared<T> {
    bounds: Bounds,
    state: Mutex<State<T>>,
}

impl<T> Shared<T> {
    // A panic while the lock is held leaves a vector and a number that are still consistent.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending side.
#[derive(Debug)]
pub struct Outbox<T> {
    shared: Arc<Shared<T>>,
}

/// Nobody can push any more: the stream ends after what is queued. Otherwise a request whose
/// sender gave up would keep its connection open for ever.
impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The stream of batches. Dropping it closes the outbox.
#[derive(Debug)]
pub struct Batches<T> {
    shared: Arc<Shared<T>>,
    /// When what is held back leaves; kept for the next time.
    hold: Option<Pin<Box<Sleep>>>,
    /// Something is held back, and the time is running.
    holding: bool,
}

/// An outbox and the stream that empties it.
#[must_use]
pub fn outbox<T>(bounds: Bounds) -> (Outbox<T>, Batches<T>) {
    let state = State {
        items: Vec::new(),
        bytes: 0,
        haste: Haste::Later,
        closed: false,
        reader: None,
        drained: BTreeMap::new(),
    };
    let shared = Arc::new(Shared { bounds, state: Mutex::new(state) });
    (Outbox { shared: Arc::clone(&shared) }, Batches { shared, hold: None, holding: false })
}

impl<T> Outbox<T> {
    /// Appends an item of about `size` bytes that leaves at once.
    ///
    /// # Errors
    /// [`Full`] when more than the capacity waits, or when the stream is gone.
    pub fn push(&self, item: T, size: usize) -> Result<(), Full> {
        self.push_all([(item, size)], Haste::Now)
    }

    /// Appends many items under one lock.
    ///
    /// # Errors
    /// [`Full`] when an item found no room; those before it were taken.
    pub fn push_all(
        &self,
        items: impl IntoIterator<Item = (T, usize)>,
        haste: Haste,
    ) -> Result<(), Full> {
        let mut state = self.shared.lock();
        state.haste = state.haste.max(haste);
        for (item, size) in items {
            if state.closed || state.bytes >= self.shared.bounds.capacity {
                wake(state);
                return Err(Full);
            }
            state.bytes += size;
            state.items.push((item, size));
        }
        wake(state);
        Ok(())
    }

    /// Whether at most half of the capacity waits, in a stream that has not ended.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = self.shared.lock();
        !state.closed && state.bytes <= self.shared.bounds.capacity / 2
    }

    /// Ready when at most half of the capacity waits: who produces pauses until then.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.closed || state.bytes <= self.shared.bounds.capacity / 2 {
            return Poll::Ready(());
        }
        state.drained.insert(cx.waker().data().addr(), cx.waker().clone());
        Poll::Pending
    }

    /// Ends the stream after what is queued.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        wake(state);
    }

    /// Ends the stream now and lets go of what is queued.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
        wake(state);
    }

    /// Whether the stream has ended or its reader is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }
}

fn wake<T>(mut state: MutexGuard<'_, State<T>>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

impl<T> Stream for Batches<T> {
    type Item = Vec<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<T>>> {
        let Self { shared, hold, holding } = &mut *self;
        let mut state = shared.lock();
        if state.items.is_empty() {
            if state.closed {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // What would fill a batch is worth one.
        if state.haste == Haste::Later && !state.closed && state.bytes < shared.bounds.batch {
            let hold = hold.get_or_insert_with(|| Box::pin(sleep(HOLD)));
            if !std::mem::replace(holding, true) {
                hold.as_mut().reset(Instant::now() + HOLD);
            }
            if hold.as_mut().poll(cx).is_pending() {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        *holding = false;
        let mut size = 0;
        let mut count = 0;
        for (_, item) in &state.items {
            if count > 0 && size + item > shared.bounds.batch {
                break;
            }
            size += item;
            count += 1;
        }
        state.bytes -= size;
        let rest = state.items.split_off(count);
        let batch = std::mem::replace(&mut state.items, rest);
        if state.items.is_empty() {
            state.haste = Haste::Later;
        }
        let drained = if state.bytes <= shared.bounds.capacity / 2 {
            std::mem::take(&mut state.drained)
        } else {
            BTreeMap::new()
        };
        drop(state);
        for waker in drained.into_values() {
            waker.wake();
        }
        Poll::Ready(Some(batch.into_iter().map(|(item, _)| item).collect()))
    }
}

impl<T> Drop for Batches<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
        let drained = std::mem::take(&mut state.drained);
        drop(state);
        for waker in drained.into_values() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    const BOUNDS: Bounds = Bounds { capacity: 100, batch: 30 };

    #[test]
    fn everything_that_is_ready_leaves_as_one_batch() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push(1, 10).expect("room");
        outbox.push(2, 10).expect("room");
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![1, 2])));
        assert_eq!(batches.next().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_leaves_with_the_next_that_can_not_or_after_the_hold() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push_all([(1, 1)], Haste::Later).expect("room");
        assert_eq!(batches.next().now_or_never(), None);
        outbox.push_all([(2, 1)], Haste::Later).expect("room");
        assert_eq!(batches.next().now_or_never(), None);
        outbox.push(3, 1).expect("room");
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![1, 2, 3])));
        for number in 4..6 {
            let pushed = Instant::now();
            outbox.push_all([(number, 1)], Haste::Later).expect("room");
            assert_eq!(batches.next().await, Some(vec![number]));
            assert_eq!(pushed.elapsed(), HOLD);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_back_by_what_comes_after_it() {
        let (outbox, mut batches) = outbox(BOUNDS);
        let pushed = Instant::now();
        outbox.push_all([(1, 1)], Haste::Later).expect("room");
        assert_eq!(batches.next().now_or_never(), None);
        tokio::time::advance(HOLD - Duration::from_millis(1)).await;
        outbox.push_all([(2, 1)], Haste::Later).expect("room");
        assert_eq!(batches.next().await, Some(vec![1, 2]));
        assert_eq!(pushed.elapsed(), HOLD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_batch_and_a_closed_outbox_hold_nothing_back() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push_all([(1, 30), (2, 1)], Haste::Later).expect("room");
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![1])));
        assert_eq!(batches.next().now_or_never(), None);
        outbox.close();
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![2])));
    }

    #[test]
    fn a_batch_ends_at_its_bound_and_keeps_the_order() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push_all((0..5).map(|n| (n, 15)), Haste::Now).expect("room");
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![0, 1])));
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![2, 3])));
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![4])));
    }

    #[test]
    fn a_full_outbox_takes_nothing_more() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push(1, 100).expect("room");
        assert_eq!(outbox.push(2, 1), Err(Full));
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![1])));
        assert_eq!(outbox.push(2, 1), Ok(()));
    }

    #[test]
    fn who_waits_for_room_is_woken_by_the_batch_that_makes_it() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push(1, 60).expect("room");
        let room = std::future::poll_fn(|cx| outbox.poll_room(cx));
        futures_util::pin_mut!(room);
        assert_eq!(room.as_mut().now_or_never(), None);
        let _ = batches.next().now_or_never();
        assert_eq!(room.now_or_never(), Some(()));
    }

    #[test]
    fn a_dropped_stream_closes_the_outbox() {
        let (outbox, batches) = outbox(BOUNDS);
        outbox.push(1, 1).expect("room");
        drop(batches);
        assert!(outbox.is_closed());
        assert_eq!(outbox.push(2, 1), Err(Full));
    }

    #[test]
    fn dropping_the_sending_side_ends_the_stream_after_what_is_queued() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push(1, 1).expect("room");
        drop(outbox);
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![1])));
        assert_eq!(batches.next().now_or_never(), Some(None));
    }

    #[test]
    fn cutting_lets_go_of_what_is_queued() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push(1, 1).expect("room");
        outbox.cut();
        assert_eq!(batches.next().now_or_never(), Some(None));
    }

    #[test]
    fn closing_lets_what_is_queued_leave_first() {
        let (outbox, mut batches) = outbox(BOUNDS);
        outbox.push(1, 1).expect("room");
        outbox.close();
        assert_eq!(batches.next().now_or_never(), Some(Some(vec![1])));
        assert_eq!(batches.next().now_or_never(), Some(None));
    }
}
