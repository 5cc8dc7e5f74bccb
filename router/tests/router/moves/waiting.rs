//! Connections that can't move yet, and those that have no trunk meanwhile.

use std::time::Duration;

use trunkline_proto::trunk::up;

use super::{after, pair};
use crate::harness::{Pair, attach, checkpoint, item, live, moved};

#[tokio::test]
async fn one_without_a_checkpoint_stays_until_it_has_one() {
    let mut pair = Pair::set().await;
    let user = pair.users_of(0).next().expect("a user");
    let (mut alice, number) = pair.bare(0, &user).await;
    pair.learn("a", true);
    pair.counts("trunkline_moving_connections", 1).await;
    pair.trunks[0].batch(vec![live(number, "still yours")]).await;
    assert_eq!(alice.hear().await, "still yours");
    pair.trunks[0].batch(vec![checkpoint(number, "state")]).await;
    assert_eq!(moved(&mut pair.trunks[0]).await, number);
    assert_eq!(attach(&mut pair.trunks[1]).await.connection, after(number));
    pair.counts("trunkline_moving_connections", 0).await;
}

#[tokio::test]
async fn one_that_never_has_a_checkpoint_ends_with_its_trunk() {
    let mut pair = Pair::set().await;
    let user = pair.users_of(0).next().expect("a user");
    let (mut alice, _) = pair.bare(0, &user).await;
    pair.learn("a", true);
    pair.counts("trunkline_moving_connections", 1).await;
    pair.lose(0).await;
    assert_eq!(alice.close_code().await, 1012);
    pair.counts("trunkline_moving_connections", 0).await;
}

#[tokio::test]
async fn they_stay_until_the_trunk_to_their_new_shard_is_up() {
    let (mut pair, mut alice, number) = pair().await;
    pair.lose(1).await;
    pair.learn("a", true);
    pair.counts("trunkline_moving_connections", 1).await;
    alice.say("and now?").await;
    let said = item(&mut pair.trunks[0]).await;
    assert!(matches!(said, up::Item::Message(_)), "not a message: {said:?}");
    pair.regain(1).await;
    assert_eq!(moved(&mut pair.trunks[0]).await, number);
    assert_eq!(attach(&mut pair.trunks[1]).await.connection, after(number));
    assert_eq!(pair.trunks[1].message().await, (after(number), 1, "and now?".to_owned()));
}

#[tokio::test]
async fn those_without_a_trunk_are_held_for_their_new_shard() {
    let (mut pair, mut alice, number) = pair().await;
    pair.lose(1).await;
    pair.lose(0).await;
    pair.counts("trunkline_held", 1).await;
    pair.learn("a", true);
    alice.say("anybody?").await;
    pair.regain(1).await;
    assert_eq!(attach(&mut pair.trunks[1]).await.connection, number);
    assert_eq!(pair.trunks[1].message().await, (number, 1, "anybody?".to_owned()));
    pair.counts("trunkline_held", 0).await;
}

#[tokio::test]
async fn those_who_are_held_go_back_when_the_view_does() {
    let (mut pair, mut alice, number) = pair().await;
    pair.lose(1).await;
    pair.learn("a", true);
    pair.lose(0).await;
    pair.counts("trunkline_held", 1).await;
    pair.learn("a", false);
    pair.regain(0).await;
    assert_eq!(attach(&mut pair.trunks[0]).await.connection, number);
    pair.trunks[0].batch(vec![live(number, "back")]).await;
    assert_eq!(alice.hear().await, "back");
}

#[tokio::test]
async fn those_who_never_find_a_shard_are_closed_in_time() {
    let hold = Duration::from_millis(400);
    let mut pair = Pair::set_with(|settings| settings.router.hold = hold).await;
    let user = pair.users_of(0).next().expect("a user");
    let (mut alice, _) = pair.client(0, &user).await;
    pair.lose(1).await;
    pair.lose(0).await;
    pair.learn("a", true);
    assert_eq!(alice.close_code().await, 1012);
    pair.counts("trunkline_held", 0).await;
}
