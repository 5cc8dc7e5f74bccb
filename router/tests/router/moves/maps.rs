//! Maps that bring shards, take them away, and give them other addresses.

use super::{after, pair};
use crate::harness::{FakeShard, Pair, attach, live, map_of, moved, soon};

#[tokio::test]
async fn a_shard_that_a_map_brings_is_dialled_and_gets_what_is_its_own() {
    let mut pair = Pair::set().await;
    let mut c = FakeShard::start().await;
    let [a, b] = &pair.shards;
    let map = map_of(2, &[("a", a), ("b", b), ("c", &c)]);
    let moves = |user: &String| map.owner(&trunkline_config::ShardKey::User(user)) == 2;
    let users: Vec<String> = pair.users_of(0).filter(moves).take(3).collect();
    let stays = pair.users_of(0).find(|user| !moves(user)).expect("a user");
    let (mut bob, bobs) = pair.client(0, &stays).await;
    let mut clients = Vec::new();
    for user in &users {
        clients.push(pair.client(0, user).await);
    }
    pair.cluster.take_map(map).expect("newer");
    let mut third = c.trunk().await;
    assert_eq!(third.hello.map.map(|map| map.version), Some(2));
    for (client, number) in &mut clients {
        assert_eq!(moved(&mut pair.trunks[0]).await, *number);
        assert_eq!(attach(&mut third).await.connection, after(*number));
        third.batch(vec![live(after(*number), "welcome")]).await;
        assert_eq!(client.hear().await, "welcome");
    }
    pair.is_ready().await;
    pair.counts("trunkline_trunk_up{shard=\"c\"}", 1).await;
    bob.say("still here").await;
    assert_eq!(pair.trunks[0].message().await.0, bobs);
}

#[tokio::test]
async fn the_trunk_to_a_shard_that_is_in_no_map_ends_when_nobody_is_left_on_it() {
    let (mut pair, _alice, number) = pair().await;
    let user = pair.users_of(0).nth(1).expect("a user");
    let (mut bob, bobs) = pair.bare(0, &user).await;
    pair.cluster.take_map(map_of(2, &[("b", &pair.shards[1])])).expect("newer");
    assert_eq!(moved(&mut pair.trunks[0]).await, number);
    assert_eq!(attach(&mut pair.trunks[1]).await.connection, after(number));
    pair.is_ready().await;
    pair.trunks[0].batch(vec![live(bobs, "you may stay")]).await;
    assert_eq!(bob.hear().await, "you may stay");
    bob.close().await;
    assert_eq!(pair.trunks[0].detach().await, bobs);
    assert!(pair.trunks[0].ended().await);
}

#[tokio::test]
async fn a_shard_that_comes_back_into_the_map_is_dialled_again() {
    let (mut pair, _alice, number) = pair().await;
    pair.cluster.take_map(map_of(2, &[("b", &pair.shards[1])])).expect("newer");
    assert_eq!(moved(&mut pair.trunks[0]).await, number);
    attach(&mut pair.trunks[1]).await;
    assert!(pair.trunks[0].ended().await);
    pair.trunks[0].hang_up();
    let [a, b] = &pair.shards;
    pair.cluster.take_map(map_of(3, &[("b", b), ("a", a)])).expect("newer");
    pair.trunks[0] = pair.shards[0].trunk().await;
    assert_eq!(moved(&mut pair.trunks[1]).await, after(number));
    assert_eq!(attach(&mut pair.trunks[0]).await.connection, after(after(number)));
}

#[tokio::test]
async fn a_shard_with_another_address_is_dialled_there_and_its_clients_notice_nothing() {
    let (mut pair, mut alice, number) = pair().await;
    let mut elsewhere = FakeShard::start().await;
    let map = map_of(2, &[("a", &elsewhere), ("b", &pair.shards[1])]);
    pair.cluster.take_map(map).expect("newer");
    assert!(pair.trunks[0].ended().await);
    let mut trunk = elsewhere.trunk().await;
    assert_eq!(attach(&mut trunk).await.connection, number);
    trunk.batch(vec![live(number, "at home")]).await;
    assert_eq!(alice.hear().await, "at home");
}

#[tokio::test]
async fn a_shard_that_is_away_is_not_missed() {
    let mut pair = Pair::set().await;
    pair.lose(0).await;
    let mut ready = pair.router.readiness();
    soon("unreadiness", ready.wait_for(|ready| !ready)).await.expect("the router runs");
    pair.learn("a", true);
    pair.is_ready().await;
}
