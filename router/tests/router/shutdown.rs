//! A router that goes away says so to both sides.

use crate::harness::{Raw, Stage, live, soon};

#[tokio::test]
async fn clients_get_1012_and_shards_their_detaches() {
    let mut stage = Stage::set().await;
    let (mut alice, a) = stage.client("user=alice").await;
    stage.trunk.batch(vec![live(a, "hi")]).await;
    assert_eq!(alice.hear().await, "hi");
    let address = stage.address();
    let Stage { router, mut trunk, .. } = stage;
    let (code, detached, ()) = soon("the shutdown", async {
        let shard = async {
            let detached = trunk.detach().await;
            assert!(trunk.ended().await);
            drop(trunk);
            detached
        };
        tokio::join!(alice.close_code(), shard, router.shutdown())
    })
    .await;
    assert_eq!((code, detached), (1012, a));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_does_not_answer_does_not_hold_it_up() {
    let mut stage = Stage::set().await;
    let (_deaf, _) = stage.raw("").await;
    let _half = Raw::connect(stage.address()).await;
    soon("the shutdown", stage.router.shutdown()).await;
}
