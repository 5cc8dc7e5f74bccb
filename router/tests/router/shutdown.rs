//! A router that goes away says so to both sides.

use futures_util::future::join_all;
use trunkline_proto::trunk::poll_request::What;
use trunkline_proto::trunk::{PollRelease, up};

use crate::harness::{Answered, HASH_KEY, Raw, Request, Stage, answer, live, soon};

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

#[tokio::test]
async fn a_router_that_drains_closes_its_clients_with_1012_the_oldest_first() {
    let mut stage = Stage::set_with(|settings| settings.router.close_rate = 100).await;
    let (mut alice, a) = stage.client("user=alice").await;
    let (mut bob, b) = stage.client("user=bob").await;
    let (mut carol, c) = stage.client("user=carol").await;
    let (address, ready) = (stage.address(), stage.router.readiness());
    let Stage { mut router, mut trunk, .. } = stage;
    let clients = async {
        assert_eq!(alice.close_code().await, 1012);
        // It has said so before, and takes nobody else.
        assert!(!*ready.borrow());
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        assert_eq!((bob.close_code().await, carol.close_code().await), (1012, 1012));
    };
    let shard = async {
        for number in [a, b, c] {
            assert_eq!(trunk.detach().await, number);
        }
        assert!(trunk.ended().await);
        drop(trunk);
    };
    soon("the drain", async { tokio::join!(clients, shard, router.drain()) }).await;
    router.shutdown().await;
}

#[tokio::test]
async fn a_client_that_polls_is_answered_before_the_router_ends_and_goes_on_elsewhere() {
    let mut stage = Stage::set().await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let opening = Request::get(path).send(stage.address()).await;
    let open = stage.trunk.poll().await;
    let sid = HASH_KEY.seal(open.session[..].try_into().expect("an ID"));
    stage.trunk.batch(vec![answer(open.request, 200, "0{}")]).await;
    assert_eq!(Answered::read(opening).await.status, 200);
    let polling = Request::get(format!("{path}&sid={sid}")).send(stage.address()).await;
    let poll = stage.trunk.poll().await;
    assert!(matches!(poll.what, Some(What::Poll(_))));
    let Stage { mut router, mut trunk, .. } = stage;
    let shard = async {
        let release = up::Item::PollRelease(PollRelease { request: poll.request });
        assert_eq!(trunk.next().await, release);
        trunk.batch(vec![answer(poll.request, 200, "6")]).await;
        assert!(trunk.ended().await);
        drop(trunk);
    };
    let (answered, ..) =
        soon("the drain", async { tokio::join!(Answered::read(polling), shard, router.drain()) })
            .await;
    assert_eq!((answered.status, answered.body.as_str()), (200, "6"));
}

#[tokio::test]
async fn a_drain_can_be_given_up_for_an_end_at_once() {
    let mut stage = Stage::set_with(|settings| settings.router.close_rate = 1).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(stage.client("").await);
    }
    let Stage { mut router, .. } = stage;
    let (mut first, _) = clients.remove(0);
    tokio::select! {
        code = first.close_code() => assert_eq!(code, 1012),
        () = router.drain() => panic!("that was too fast"),
    }
    let closed = clients.iter_mut().map(|(client, _)| client.close_code());
    let (codes, ()) =
        soon("the end", async { tokio::join!(join_all(closed), router.shutdown()) }).await;
    assert_eq!(codes, [1012; 99]);
}
