//! What placing one key costs: its digest, its owner, and the order of all shards.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use trunkline_config::{HashKey, Shard, ShardKey, ShardMap};

fn map(shards: usize) -> ShardMap {
    let shard = |index: usize| Shard {
        id: format!("shard-{index}"),
        grpc: format!("127.0.0.1:{}", 7000 + index),
        metrics: format!("127.0.0.1:{}", 9000 + index),
        weight: 1.0,
    };
    ShardMap::new(1, HashKey([7; 16]), (0..shards).map(shard).collect())
}

fn placement(criterion: &mut Criterion) {
    let key = ShardKey::Room { namespace: "/", room: "lobby" };
    criterion.bench_function("digest", |bencher| {
        let hash_key = HashKey([7; 16]);
        bencher.iter(|| black_box(key).digest(black_box(&hash_key)));
    });
    let mut group = criterion.benchmark_group("shards");
    for shards in [3, 8, 64] {
        let map = map(shards);
        group.bench_with_input(BenchmarkId::new("owner", shards), &map, |bencher, map| {
            bencher.iter(|| map.owner(black_box(&key)));
        });
        group.bench_with_input(BenchmarkId::new("order", shards), &map, |bencher, map| {
            let digest = map.digest(&key);
            bencher.iter(|| map.placement().order(black_box(digest)).last());
        });
    }
    group.finish();
}

criterion_group!(benches, placement);
criterion_main!(benches);
