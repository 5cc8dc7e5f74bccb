//! What a delivery costs a router, the part of its commonest work that grows with the clients: the
//! scenario is counted by `tests/cost/check`.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message as _;
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
use crate::connection::testing::{Sink, connection_over};
use crate::connection::{Connection, run};

const MEMBERS: u64 = 50;
const GROUP: u64 = 7;
const LENGTH: usize = 200;
const POSITION: &[u8] = b"as long as an epoch and more";

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
    assert_eq!(sink.writes(), deliveries, "one write for each");
    // Two bytes of header and two of length.
    assert_eq!(sink.bytes(), deliveries * (LENGTH + 4));
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
