//! How long a batch of a shard takes to reach every socket of a group: encoding, queueing, one
//! write per socket, and the clients' reading, which is the same for every version of the rest.

#[allow(dead_code, unused_imports)] // the tests use all of it
#[path = "../tests/router/harness/mod.rs"]
mod harness;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use harness::{Raw, Stage, fan, join};
use tokio::io::AsyncReadExt;
use trunkline_proto::trunk::FrameKind;

const GROUP: u64 = 7;
const MEMBERS: usize = 50;
const FRAMES: usize = 20;

fn fan_out(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (stage, mut members) = runtime.block_on(async {
        let mut stage = Stage::set().await;
        let mut members = Vec::new();
        for _ in 0..MEMBERS {
            let (member, number) = stage.raw("").await;
            stage.trunk.batch(vec![join(GROUP, number)]).await;
            members.push(member);
        }
        (stage, members)
    });
    let text = "x".repeat(200);
    let batch = vec![fan(GROUP, &text, FrameKind::Live, 0); FRAMES];
    // Two bytes of header and two of length.
    let bytes = FRAMES * (text.len() + 4);

    let mut group = criterion.benchmark_group("fan_out");
    group.throughput(Throughput::Elements((MEMBERS * FRAMES) as u64));
    group.bench_function("20 frames to 50 members", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                stage.trunk.batch(batch.clone()).await;
                join_all(members.iter_mut().map(|member| skip(member, bytes))).await;
            });
        });
    });
    group.finish();
}

async fn skip(member: &mut Raw, bytes: usize) {
    let mut buffer = vec![0; bytes];
    member.split().0.read_exact(&mut buffer).await.expect("as many bytes");
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
