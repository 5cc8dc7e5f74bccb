//! Clients that poll, whose shard others tell of before there is a trunk to it.

use trunkline_config::ShardKey;
use trunkline_proto::trunk::{PollAnswer, PollRequest, down, poll_request::What, up};

use crate::harness::{Answered, HASH_KEY, Pair, Raw, Request, TrunkEnd, answer, item};

/// A request of a session that belongs to the first shard when both serve.
async fn asked(pair: &Pair) -> Raw {
    let user = pair.users_of(0).next().expect("a user");
    let digest = pair.map.digest(&ShardKey::User(&user));
    let mut session = [9; 24];
    session[..8].copy_from_slice(&digest.0.to_be_bytes());
    let sid = HASH_KEY.seal(&session);
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    Request::post(path, "4hello").send(pair.router.local_addr()).await
}

/// The number of the next request at a shard.
async fn heard(trunk: &mut TrunkEnd) -> u64 {
    match item(trunk).await {
        up::Item::Poll(PollRequest { request, what: Some(What::Post(_)), .. }) => request,
        other => panic!("not a post: {other:?}"),
    }
}

async fn is_answered(trunk: &TrunkEnd, request: u64, asked: Raw) {
    trunk.batch(vec![answer(request, 200, "ok")]).await;
    assert_eq!(Answered::read(asked).await.body, "ok");
}

/// Nothing was done of the request: its session is where it belongs.
async fn sent_on(trunk: &TrunkEnd, request: u64) {
    let moved = PollAnswer { request, moved: Some(String::new()), ..PollAnswer::default() };
    trunk.batch(vec![down::Item::Poll(moved)]).await;
}

#[tokio::test]
async fn a_session_whose_shard_has_not_been_there_yet_is_found_where_it_was() {
    let mut pair = Pair::set().await;
    pair.lose(0).await;
    let asked = asked(&pair).await;
    let request = heard(&mut pair.trunks[1]).await;
    is_answered(&pair.trunks[1], request, asked).await;
}

#[tokio::test]
async fn a_session_is_found_at_its_shard_that_goes_away_while_the_next_is_not_there() {
    let mut pair = Pair::set().await;
    pair.lose(1).await;
    pair.learn("a", true);
    let asked = asked(&pair).await;
    let request = heard(&mut pair.trunks[0]).await;
    is_answered(&pair.trunks[0], request, asked).await;
}

#[tokio::test]
async fn a_request_waits_for_the_trunk_to_the_shard_that_serves_again() {
    let mut pair = Pair::set().await;
    pair.learn("a", true);
    pair.lose(0).await;
    let asked = asked(&pair).await;
    let request = heard(&mut pair.trunks[1]).await;
    pair.learn("a", false);
    sent_on(&pair.trunks[1], request).await;
    // It may be there all the same.
    let request = heard(&mut pair.trunks[1]).await;
    sent_on(&pair.trunks[1], request).await;
    pair.regain(0).await;
    let request = heard(&mut pair.trunks[0]).await;
    is_answered(&pair.trunks[0], request, asked).await;
}

#[tokio::test]
async fn a_request_whose_shard_cannot_be_reached_goes_to_the_one_that_has_it_next() {
    let mut pair = Pair::set().await;
    pair.lose(0).await;
    let asked = asked(&pair).await;
    let request = heard(&mut pair.trunks[1]).await;
    sent_on(&pair.trunks[1], request).await;
    pair.learn("a", true);
    let request = heard(&mut pair.trunks[1]).await;
    is_answered(&pair.trunks[1], request, asked).await;
}
