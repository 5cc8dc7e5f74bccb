//! Writing a connection's queue to its socket: all that waits in one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::queue::SLICES;
use super::{Connection, Pause, Phase, State};

impl Connection {
    /// Writes what the socket takes now. Called by whoever has queued something; what the socket
    /// doesn't take is left to the connection's task, whose waker the socket is given.
    pub(crate) fn flush(&self) {
        self.touched.set(false);
        let mut state = self.state.borrow_mut();
        // Before its first turn the task has no waker; that turn begins with a write.
        let Some(task) = state.task.take() else { return };
        let written = self.poll_write(&mut state, &mut Context::from_waker(&task));
        state.task = Some(task);
        match written {
            Poll::Ready(Err(_)) => {
                state.phase = Phase::Gone;
                state.wake();
            }
            // The task has the rest of a close to do.
            Poll::Ready(Ok(())) if state.phase == Phase::Closing => state.wake(),
            _ => state.resume(),
        }
    }

    /// Writes until the queue and the socket's own buffers are empty or the socket is full.
    pub(super) fn poll_write(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let State { socket, queue, unflushed, pause, .. } = state;
        let Some(socket) = socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while !queue.is_empty() {
            let socket = Pin::new(&mut *socket);
            // Mostly one frame waits, and the kernel takes one piece with less ado than a list.
            let written = match queue.only() {
                Some(frame) => ready!(socket.poll_write(cx, frame))?,
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let count = queue.slices(&mut slices);
                    ready!(socket.poll_write_vectored(cx, &slices[..count]))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            queue.advance(written);
            *unflushed = true;
            if *pause == Pause::Queue {
                // Its pongs can't be read now, but who takes bytes is there.
                self.hear();
            }
        }
        if *unflushed {
            ready!(Pin::new(socket).poll_flush(cx))?;
            *unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    use bytes::Bytes;

    use super::super::testing::{Sink, upgraded};
    use super::*;
    use crate::connection::run;
    use crate::frame;

    #[test]
    fn the_answer_to_the_upgrade_leaves_with_the_first_frame() {
        let sink = Sink::default();
        let connection = upgraded(1, Box::new(sink.clone()), Bytes::from_static(b"101"));
        let open = frame::reply(b"open", false);
        assert_eq!(connection.push(&open), Ok(true));
        let uplink = Rc::<Connection>::clone(&connection);
        let mut task = pin!(run(connection, uplink, &[], 100, ()));
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!((sink.writes(), sink.bytes()), (1, 3 + open.bytes.len()));
    }
}
