//! What a batch costs on its way over a trunk: written by the shard, read by the router.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use trunkline_proto::trunk::{Down, DownBatch, Fan, Frame, FrameKind, Part, Send, down};

fn frame() -> Frame {
    let payload = Bytes::from(vec![b'x'; 160]);
    let parts = vec![Part { payload, binary: false }];
    Frame { parts, kind: FrameKind::Live.into() }
}

/// A hundred messages for groups.
fn fans() -> DownBatch {
    let fan = |group| {
        let fan = Fan { group, frame: Some(frame()), except: 0, position: Bytes::new() };
        Down { item: Some(down::Item::Fan(fan)) }
    };
    DownBatch { items: (0..100).map(fan).collect() }
}

/// One message for a thousand connections by number.
fn send() -> DownBatch {
    let send = Send {
        connections: (1..=1000).collect(),
        frame: Some(frame()),
        receipt: 1,
        ..Send::default()
    };
    DownBatch { items: vec![Down { item: Some(down::Item::Send(send)) }] }
}

fn batches(criterion: &mut Criterion) {
    for (name, batch) in [("100 fans", fans()), ("a send to 1000", send())] {
        let bytes = Bytes::from(batch.encode_to_vec());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("write", |bencher| {
            bencher.iter(|| black_box(&batch).encode_to_vec());
        });
        group.bench_function("read", |bencher| {
            bencher.iter(|| DownBatch::decode(black_box(bytes.clone())).is_ok());
        });
        group.finish();
    }
}

criterion_group!(benches, batches);
criterion_main!(benches);
