//! Many are attached again, in order, as fast as the shard reads; and one that reads nothing.

use trunkline_proto::trunk::{Send, down, up};

use super::{client, raw};
use crate::harness::{Raw, Stage, checkpoint, frame, live, soon};

/// Clients that are held.
async fn held(stage: &mut Stage, count: u64) -> Vec<(Raw, u64)> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(raw(stage).await);
    }
    stage.lose_shard(count).await;
    clients
}

/// Each says the same, and the router has heard it.
async fn say(stage: &Stage, clients: &mut [(Raw, u64)], says: &[Vec<u8>]) {
    for (raw, _) in &mut *clients {
        for payload in says {
            raw.write(&frame(0x81, payload)).await;
        }
    }
    let heard = clients.len() * says.len();
    stage.counts("trunkline_messages_in_total{dialect=\"native\"}", heard as u64).await;
}

#[tokio::test]
async fn many_held_connections_are_attached_in_order() {
    let mut stage = Stage::set().await;
    let mut clients = held(&mut stage, 300).await;
    say(&stage, &mut clients, &[b"a".to_vec(), b"b".to_vec()]).await;
    stage.regain_shard().await;
    for (_, number) in &clients {
        assert_eq!(stage.trunk.attach().await.connection, *number);
        assert_eq!(stage.trunk.message().await, (*number, 1, "a".to_owned()));
        assert_eq!(stage.trunk.message().await, (*number, 2, "b".to_owned()));
    }
    stage.counts("trunkline_held", 0).await;
    assert_eq!(stage.metric("trunkline_reattached_total"), 300);
}

#[tokio::test]
async fn more_than_fits_the_trunk_waits_for_room_and_none_is_lost() {
    let mut stage = Stage::set().await;
    // 32 MiB, of which the trunk takes half and what is on the way.
    let large = vec![b'x'; 64 * 1024];
    let mut clients = held(&mut stage, 128).await;
    say(&stage, &mut clients, &vec![large; 4]).await;
    stage.regain_shard().await;
    assert_eq!(stage.trunk.attach().await.connection, 1);
    assert!(stage.metric("trunkline_held") > 0);
    // Who comes meanwhile is attached among them.
    let (mut bob, mut b) = (Raw::upgrade(stage.address(), "/ws").await, 0);
    let mut next = (1, 1);
    while next != (128, 5) {
        match stage.trunk.next().await {
            up::Item::Attach(attach) if attach.checkpoint.is_empty() => b = attach.connection,
            up::Item::Attach(attach) => {
                assert_eq!((attach.connection, 5), (next.0 + 1, next.1));
                next = (attach.connection, 1);
            }
            up::Item::Message(message) => {
                assert_eq!((message.connection, message.sequence), next);
                next.1 += 1;
            }
            other => panic!("neither: {other:?}"),
        }
    }
    if b == 0 {
        b = stage.trunk.attach().await.connection;
    }
    stage.trunk.batch(vec![live(b, "hi"), live(128, "hi")]).await;
    assert_eq!(bob.read().await, (0x81, b"hi".to_vec()));
    stage.counts("trunkline_held", 0).await;
    assert_eq!(stage.metric("trunkline_reattached_total"), 128);
}

#[tokio::test]
async fn a_trunk_that_is_cut_because_its_shard_reads_nothing_is_one_that_broke() {
    let mut stage = Stage::set().await;
    let (mut alice, number) = client(&mut stage).await;
    stage.trunk.batch(vec![checkpoint(number, "newest")]).await;
    // Receipts that nobody reads fill the trunk.
    let nothing = down::Item::Send(Send { receipt: 1, ..Send::default() });
    let receipts = || vec![nothing.clone(); 50_000];
    let flood = async {
        // Ten times as many as it takes.
        for _ in 0..200 {
            if !stage.trunk.try_batch(receipts()).await {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut trunk = tokio::select! {
        trunk = stage.shard.trunk_at_last() => trunk,
        () = flood => panic!("it was not cut"),
    };
    let attach = trunk.attach().await;
    assert_eq!((attach.connection, &attach.checkpoint[..]), (number, &b"newest"[..]));
    trunk.batch(vec![live(number, "here")]).await;
    assert_eq!(soon("the next", alice.hear()).await, "here");
}
