//! What the two directions of a trunk cost a shard: scenarios that `tests/cost/check` counts.

use std::hint::black_box;

use bytes::Bytes;
use prost::Message as _;
use trunkline_core::{Dialect, Frame, FrameKind, GroupId, Output, Part, TrunkId};
use trunkline_proto::trunk::{ClientMessage, DownBatch, Up, UpBatch, up};

use super::{Sorted, decode_up, encode_down, sort_up};
use crate::repeat::repeat;

const TRUNK: TrunkId = TrunkId(1);
/// Items of a batch.
const ITEMS: u64 = 20;
const TEXT: Bytes = Bytes::from_static(&[b'x'; 200]);

#[test]
fn twenty_messages_from_a_router() {
    let message = |connection| {
        let message =
            ClientMessage { connection, sequence: 1, payload: TEXT, ..Default::default() };
        Up { item: Some(up::Item::Message(message)) }
    };
    let batch = Bytes::from(UpBatch { items: (1..=ITEMS).map(message).collect() }.encode_to_vec());
    repeat(|| {
        for item in UpBatch::decode(batch.clone()).expect("a batch").items {
            let Ok(Sorted::Core(item)) = sort_up(TRUNK, item) else { panic!("it is for the core") };
            black_box(decode_up(TRUNK, item).expect("a message"));
        }
    });
}

#[test]
fn twenty_fans_to_a_router() {
    let fan = |group| {
        let parts = vec![Part::text(TEXT)];
        let frame = Frame { kind: FrameKind::Live, dialect: Dialect::SocketIo, parts };
        let position = Some(Bytes::from_static(b"a position of thirty bytes or so"));
        Output::Fan { trunk: TRUNK, group: GroupId(group), frame, except: None, position }
    };
    repeat(|| {
        let item = |output| encode_down(output).expect("it is for a router").1.0;
        let items = (1..=ITEMS).map(fan).map(item).collect();
        black_box(DownBatch { items }.encode_to_vec());
    });
}
