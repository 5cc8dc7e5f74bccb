//! What a delivery costs a router, the part of its commonest work that grows with the clients: the
//! scenario is counted by `tests/cost/check`.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use trunkline_config::Statuses;
use trunkline_proto::outbox::outbox;
use trunkline_proto::transport::STREAM_BOUNDS;
use trunkline_proto::trunk::{
    Attach, Down, DownBatch, Fan, Frame, FrameKind, GroupChange, Part, down,
};

#[path = "../../../tests/cost/repeat.rs"]
mod repeat;

use repeat::repeat;

use super::testing::trunk;
use crate::connection::testing::connection_over;
use crate::connection::{Connection, run};
use crate::net::Socket;

const MEMBERS: u64 = 50;
const GROUP: u64 = 7;
const LENGTH: usize = 200;
const POSITION: &[u8] = b"as long as an epoch and more";

/// A socket that takes every write at once and never has anything to read.
#[derive(Clone, Default)]
struct Sink {
    writes: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Sink {
    fn take(&self, length: usize) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Ok(length))
    }
}

impl AsyncRead for Sink {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Socket for Sink {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.take(slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// From a batch's bytes to the write of each socket, which the kernel would see next.
#[test]
fn a_message_to_fifty_connections() {
    let trunk = trunk();
    let (outbox, _batches) = outbox(STREAM_BOUNDS);
    trunk.come_up(outbox, Statuses::default());
    let sink = Sink::default();
    let mut tasks = Vec::new();
    for number in 1..=MEMBERS {
        let connection = connection_over(number, Box::new(sink.clone()));
        trunk
            .attach(&connection, Attach { user: "alice".to_owned(), ..Attach::default() })
            .expect("the trunk is up");
        let uplink = Rc::<Connection>::clone(&connection);
        tasks.push(run(connection, uplink, &[], LENGTH, ()));
    }
    // Each task has its first turn, after which it is its connection's waker.
    let mut tasks = pin!(join_all(tasks));
    assert!(tasks.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());

    let position = Bytes::from_static(POSITION);
    let join = |connection| {
        let position = position.clone();
        down::Item::Group(GroupChange { group: GROUP, connection, member: true, position })
    };
    assert!(trunk.apply((1..=MEMBERS).map(join).map(item).collect()));
    let batch = Bytes::from(DownBatch { items: vec![item(fan())] }.encode_to_vec());
    let mut messages = 0;
    repeat(|| {
        messages += 1;
        let batch = DownBatch::decode(batch.clone()).expect("a batch");
        assert!(trunk.apply(batch.items));
    });
    let deliveries = messages * usize::try_from(MEMBERS).expect("few");
    assert_eq!(sink.writes.load(Ordering::Relaxed), deliveries, "one write for each");
    // Two bytes of header and two of length.
    assert_eq!(sink.bytes.load(Ordering::Relaxed), deliveries * (LENGTH + 4));
}

fn item(item: down::Item) -> Down {
    Down { item: Some(item) }
}

fn fan() -> down::Item {
    let part = Part { payload: vec![b'x'; LENGTH].into(), binary: false };
    let frame = Frame { parts: vec![part], kind: FrameKind::Live.into() };
    let position = Bytes::from_static(POSITION);
    down::Item::Fan(Fan { group: GROUP, frame: Some(frame), except: 0, position })
}
