//! A connection's own task: it reads, continues writes that the socket did not take at once,
//! and ends the WebSocket.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use trunkline_proto::kept::Kept;
use trunkline_proto::trunk::Dialect;

use super::close::CloseReason;
use super::read::{Event, Reading};
use super::{Connection, Incoming, Pause, Phase, State, Taken, Uplink};

/// How long the end of a WebSocket may take, from queueing the Close to the client's FIN.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Frames that are read before other connections get a turn.
const FRAMES_PER_TURN: usize = 32;

/// Serves a connection until its socket is gone; `place` is dropped then. `early` is what came
/// right behind the upgrade request, `message` the largest message.
///
/// This is what a connection is for most of its life, so it is written as a struct: an `async`
/// block would keep room for what it was begun with besides.
pub(crate) fn run<P: Unpin>(
    connection: Rc<Connection>,
    uplink: Rc<dyn Uplink>,
    early: &[u8],
    message: usize,
    place: P,
) -> impl Future<Output = ()> + use<P> {
    let reading = Some(Reading::new(early, message));
    Task { connection, uplink: Some(uplink), reading, ending: None, _place: place }
}

struct Task<P> {
    connection: Rc<Connection>,
    /// None once the shard was told that the client is gone: when closing begins, not when it
    /// ends, since nothing passes any more and others should not see a ghost meanwhile.
    uplink: Option<Rc<dyn Uplink>>,
    /// None once nothing is understood any more: memory is given back early.
    reading: Option<Reading>,
    ending: Option<Box<Ending>>,
    /// Held for as long as the task is there.
    _place: P,
}

/// The end of a WebSocket: our half is closed after the Close, and what the client still sends
/// is read and dropped, because closing a socket with unread input resets it, and the reset can
/// overtake the Close (RFC 6455 §7.1.1).
struct Ending {
    deadline: Pin<Box<Sleep>>,
    half_closed: bool,
    client_done: bool,
}

impl<P: Unpin> Future for Task<P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { connection, uplink, reading, ending, .. } = self.get_mut();
        let mut state = connection.state.borrow_mut();
        if !state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        for _ in 0..FRAMES_PER_TURN {
            if state.phase != Phase::Open
                && let Some(uplink) = uplink.take()
            {
                uplink.gone(connection.alias());
                state.kept = Kept::default();
            }
            if state.phase == Phase::Gone {
                state.socket = None;
                return Poll::Ready(());
            }
            if let Poll::Ready(Err(_)) = connection.poll_write(&mut state, cx) {
                state.phase = Phase::Gone;
                continue;
            }
            let turn = match (state.phase, reading.as_mut(), uplink.as_deref()) {
                (Phase::Open, Some(reading), Some(uplink)) => {
                    connection.poll_read(&mut state, reading, uplink, cx)
                }
                _ => {
                    *reading = None;
                    ending.get_or_insert_with(Box::default).poll(&mut state, cx)
                }
            };
            if turn.is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Connection {
    /// Reads one frame, if reading is not paused.
    fn poll_read(
        &self,
        state: &mut State,
        reading: &mut Reading,
        uplink: &dyn Uplink,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        state.pause = if state.queue.is_crowded() {
            Pause::Queue
        } else if state.is_unsettled() || uplink.poll_room(cx).is_pending() {
            Pause::Uplink
        } else {
            Pause::No
        };
        if state.pause != Pause::No {
            return Poll::Pending;
        }
        let (event, heard) = reading.poll(state, &self.shared.readers, cx);
        if heard && self.dialect == Dialect::Native {
            self.hear();
        }
        match event {
            Event::Pending => return Poll::Pending,
            Event::Message { payload, binary } => self.pass(state, uplink, payload, binary),
            Event::Control => {}
            Event::Closed(code) => {
                state.phase = Phase::Closing;
                self.shared.metrics.closed(code);
            }
            Event::Broken(reason) => {
                state.queue.discard_unstarted();
                self.close_state(state, &reason);
            }
            Event::Lost => state.phase = Phase::Gone,
        }
        Poll::Ready(())
    }

    fn pass(&self, state: &mut State, uplink: &dyn Uplink, payload: Bytes, binary: bool) {
        let sequence = state.passed + 1;
        let message = Incoming { connection: self.alias(), sequence, payload, binary };
        match uplink.take(message) {
            Taken::Passed { payload, binary } => {
                state.passed = sequence;
                state.kept.keep(payload, binary);
            }
            Taken::Noted => {}
            Taken::Answered(frame) => {
                if state.queue.push(&frame).is_err() {
                    state.queue.discard_unstarted();
                    self.close_state(state, &CloseReason::SLOW);
                }
            }
            Taken::Refused(reason) => self.close_state(state, &reason),
        }
    }
}

impl Default for Ending {
    fn default() -> Self {
        Self { deadline: Box::pin(sleep(CLOSE_TIMEOUT)), half_closed: false, client_done: false }
    }
}

impl Ending {
    fn poll(&mut self, state: &mut State, cx: &mut Context<'_>) -> Poll<()> {
        let done = self.deadline.as_mut().poll(cx).is_ready()
            || self.poll_exchange(state, cx).is_err()
            || (self.half_closed && self.client_done);
        if !done {
            return Poll::Pending;
        }
        state.phase = Phase::Gone;
        Poll::Ready(())
    }

    fn poll_exchange(&mut self, state: &mut State, cx: &mut Context<'_>) -> std::io::Result<()> {
        let written = state.queue.is_empty() && !state.unflushed;
        let Some(socket) = &mut state.socket else { return Ok(()) };
        if written
            && !self.half_closed
            && let Poll::Ready(outcome) = Pin::new(&mut *socket).poll_shutdown(cx)
        {
            outcome?;
            self.half_closed = true;
        }
        let mut scratch = [0; 1024];
        while !self.client_done {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *socket).poll_read(cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(outcome) => {
                    outcome?;
                    self.client_done = buffer.filled().is_empty();
                }
            }
        }
        Ok(())
    }
}
