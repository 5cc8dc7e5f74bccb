//! One client's WebSocket after the upgrade.
//!
//! A connection is shared, on one thread, between its own task (`task`), which reads, and the
//! trunk's reader, which queues frames and writes them at once: a delivery costs no switch of
//! tasks. Only when the socket is full does the task take over, woken by the socket: both write
//! with the task's waker. It knows neither rooms nor tokens.

mod again;
mod boundary;
pub(crate) mod close;
pub(crate) mod echo;
pub(crate) mod heartbeat;
pub(crate) mod queue;
mod read;
pub(crate) mod roster;
mod task;
#[cfg(test)]
pub(crate) mod testing;
mod write;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;
use trunkline_proto::kept::Kept;
use trunkline_proto::out_queue::{Bounds, NoRoom};
use trunkline_proto::trunk::Dialect;

use crate::frame::{self, Encoded};
use crate::metrics::Metrics;
use crate::net::Socket;
use crate::trunk::Tie;
use close::CloseReason;
use queue::OutQueue;
use read::Readers;
pub(crate) use task::run;

/// How many messages of a client may be unsettled at its shard before reading pauses.
const UNSETTLED: u64 = 64;

/// A message of a client.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) connection: u64,
    /// Counted from 1 with no gap.
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
    pub(crate) binary: bool,
}

/// What became of a message.
pub(crate) enum Taken {
    /// Passed on; an acknowledgement will come, and until then this is kept.
    Passed { payload: Bytes, binary: bool },
    /// Done with, and it did not count.
    Noted,
    /// Done with, and this is the answer.
    Answered(Encoded),
    /// It ends the connection.
    Refused(CloseReason),
}

/// Where the messages of a connection go.
pub(crate) trait Uplink {
    /// Ready when another message would be taken; wakes the task otherwise.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Takes one message.
    fn take(&self, message: Incoming) -> Taken;
    /// The connection is closing or its socket is gone: nothing more goes up or down. Called
    /// once.
    fn gone(&self, connection: u64);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A Close is queued or sent, ours or the echo of the client's: nothing more is taken.
    Closing,
    Gone,
}

/// Why nothing is read at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    No,
    /// The client reads too slowly.
    Queue,
    /// The shard is behind.
    Uplink,
}

struct State {
    socket: Option<Box<dyn Socket>>,
    phase: Phase,
    pause: Pause,
    queue: OutQueue,
    /// Bytes may be inside the socket's own buffers (TLS has some).
    unflushed: bool,
    /// The last sequence that was passed on, and the last that the shard has settled.
    passed: u64,
    settled: u64,
    kept: Kept,
    /// Bytes of unsettled messages beyond which nothing more is read.
    unsettled_most: u32,
    task: Option<Waker>,
}

/// What all connections of a worker have in common.
pub(crate) struct Shared {
    metrics: Rc<Metrics>,
    readers: Readers,
}

impl Shared {
    pub(crate) fn new(metrics: Rc<Metrics>) -> Self {
        Self { metrics, readers: Readers::default() }
    }
}

pub(crate) struct Connection {
    pub(crate) number: u64,
    state: RefCell<State>,
    pub(crate) dialect: Dialect,
    /// When something was last received; of a Socket.IO client, a pong.
    heard: Cell<Instant>,
    /// Set while a batch has something for this connection that is not yet written.
    touched: Cell<bool>,
    /// A session speaks by it, and it is not one to which a polling session may change.
    speaks: Cell<bool>,
    /// To the trunk that carries it.
    pub(crate) tie: Tie,
    shared: Rc<Shared>,
}

/// With one message more, the unsettled ones take what may wait for the client, or twice the largest
/// message if that is more.
fn unsettled_most(bounds: Bounds, message: usize) -> u32 {
    let most = bounds.messages.max(2 * message) - message;
    u32::try_from(most).unwrap_or(u32::MAX)
}

impl Connection {
    /// `message` is the largest message.
    fn new(
        number: u64,
        dialect: Dialect,
        socket: Box<dyn Socket>,
        queue: OutQueue,
        message: usize,
        shared: Rc<Shared>,
    ) -> Self {
        let unsettled_most = unsettled_most(queue.bounds(), message);
        let state = State {
            socket: Some(socket),
            phase: Phase::Open,
            pause: Pause::No,
            queue,
            unflushed: false,
            passed: 0,
            settled: 0,
            kept: Kept::default(),
            unsettled_most,
            task: None,
        };
        Self {
            number,
            dialect,
            state: RefCell::new(state),
            heard: Cell::new(Instant::now()),
            touched: Cell::new(false),
            speaks: Cell::new(false),
            tie: Tie::default(),
            shared,
        }
    }

    /// Queues a frame; [`Connection::flush`] writes it. False when the connection is closing
    /// and takes nothing more.
    ///
    /// # Errors
    /// [`NoRoom`] when the frame was dropped. But for an ephemeral one the connection closes
    /// with 1013: it may come back and recover.
    pub(crate) fn push(&self, frame: &Encoded) -> Result<bool, NoRoom> {
        let mut outcome = self.queue(frame);
        if outcome.is_err_and(|why| !why.is_harmless()) {
            // What has piled up on the way comes in one batch, and of one who reads well the socket
            // may have room for it.
            self.flush();
            outcome = self.queue(frame);
        }
        if outcome.is_err_and(|why| !why.is_harmless()) {
            let mut state = self.state.borrow_mut();
            state.queue.discard_unstarted();
            self.close_state(&mut state, &CloseReason::SLOW);
        }
        outcome
    }

    fn queue(&self, frame: &Encoded) -> Result<bool, NoRoom> {
        let mut state = self.state.borrow_mut();
        if state.phase != Phase::Open {
            return Ok(false);
        }
        state.queue.push(frame).map(|()| true)
    }

    /// It is there.
    pub(crate) fn hear(&self) {
        self.heard.set(Instant::now());
    }

    /// Marks the connection; true the first time until [`Connection::flush`].
    pub(crate) fn touch(&self) -> bool {
        !self.touched.replace(true)
    }

    /// Everything up to `sequence` is settled at the shard.
    pub(crate) fn settle(&self, sequence: u64) {
        let mut state = self.state.borrow_mut();
        let sequence = sequence.min(state.passed);
        if let Some(count) = sequence.checked_sub(state.settled) {
            state.kept.settle(count);
            state.settled = sequence;
        }
        state.resume();
    }

    /// Closes the WebSocket after what is queued.
    pub(crate) fn close(&self, reason: &CloseReason) {
        self.close_state(&mut self.state.borrow_mut(), reason);
    }

    /// Closes the WebSocket after the frame that is under way.
    pub(crate) fn close_now(&self, reason: &CloseReason) {
        let mut state = self.state.borrow_mut();
        if state.phase == Phase::Open {
            state.queue.discard_unstarted();
            self.close_state(&mut state, reason);
        }
    }

    fn close_state(&self, state: &mut State, reason: &CloseReason) {
        if state.phase == Phase::Open {
            state.queue.push_control(frame::close(reason.code, &reason.text));
            state.phase = Phase::Closing;
            state.wake();
            self.shared.metrics.closed(reason.code);
        }
    }
}

impl State {
    fn is_unsettled(&self) -> bool {
        self.passed - self.settled > UNSETTLED || self.kept.bytes() > self.unsettled_most as usize
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Wakes the task if what it paused for is over.
    fn resume(&mut self) {
        let over = match self.pause {
            Pause::No => false,
            Pause::Queue => !self.queue.is_crowded(),
            Pause::Uplink => !self.is_unsettled(),
        };
        if over {
            self.wake();
        }
    }
}
