//! Views that change under live connections: who is moved, with what, when, and who is not.

mod maps;
mod polling;
mod statuses;
mod waiting;

use trunkline_proto::trunk::{FrameKind, Receipt, up};

use crate::harness::{
    Client, Pair, Request, acknowledge, at, attach, checkpoint, close, fan, item, join, leave,
    live, map_of, moved, reply, send, status,
};

/// What a connection is called after it has moved once more.
fn after(number: u64) -> u64 {
    number + (1 << 40)
}

/// A pair of shards, and a client that belongs to the first.
async fn pair() -> (Pair, Client, u64) {
    let mut pair = Pair::set().await;
    let user = pair.users_of(0).next().expect("a user");
    let (client, number) = pair.client(0, &user).await;
    (pair, client, number)
}

#[tokio::test]
async fn a_connection_moves_with_what_it_has_had_and_what_is_not_settled() {
    let (mut pair, mut alice, number) = pair().await;
    let a = &mut pair.trunks[0];
    for text in ["one", "two", "three"] {
        alice.say(text).await;
        a.message().await;
    }
    a.batch(vec![
        at(join(7, number), 0, "7a"),
        at(join(8, number), 0, "8a"),
        at(fan(7, "to seven", FrameKind::Live, 0), 0, "7b"),
        leave(8, number),
        at(live(number, "slot"), 3, "3a"),
        acknowledge(number, 1),
        reply(number, "answer", 3),
    ])
    .await;
    for text in ["to seven", "slot", "answer"] {
        assert_eq!(alice.hear().await, text);
    }
    pair.learn("a", true);
    let [a, b] = &mut pair.trunks;
    assert_eq!(moved(a).await, number);
    let attached = attach(b).await;
    assert_eq!((attached.connection, &attached.checkpoint[..]), (after(number), &b"state"[..]));
    let number = attached.connection;
    assert_eq!((attached.positions, attached.settled), (vec!["7b".into()], 1));
    assert_eq!(attached.slots.iter().map(|slot| slot.slot).collect::<Vec<_>>(), [3]);
    let mut again = Vec::new();
    for _ in 0..2 {
        let message = b.said().await;
        again.push((message.sequence, message.answered));
    }
    assert_eq!(again, [(2, 0), (3, 1)]);
    // It is at home there now.
    alice.say("four").await;
    assert_eq!(b.message().await, (number, 4, "four".to_owned()));
    b.batch(vec![live(number, "hello")]).await;
    assert_eq!(alice.hear().await, "hello");
    pair.counts("trunkline_moving_connections", 0).await;
    let [_, b] = &mut pair.trunks;
    alice.close().await;
    assert_eq!(b.detach().await, number);
}

#[tokio::test]
async fn what_its_old_shard_says_afterwards_is_not_for_it_any_more() {
    let (mut pair, mut alice, number) = pair().await;
    alice.say("one").await;
    pair.trunks[0].message().await;
    pair.trunks[0].batch(vec![join(7, number)]).await;
    pair.learn("a", true);
    let [a, b] = &mut pair.trunks;
    assert_eq!(moved(a).await, number);
    let there = attach(b).await.connection;
    a.batch(vec![
        live(number, "old"),
        fan(7, "old", FrameKind::Live, 0),
        acknowledge(number, 1),
        checkpoint(number, "old"),
        close(number, 1008, "old"),
        send(&[number], "old", FrameKind::Live, 5),
    ])
    .await;
    // That nobody has had it the old shard is told.
    let receipt = Receipt { receipt: 5, passed: false };
    assert_eq!(item(a).await, up::Item::Receipt(receipt));
    assert_eq!(b.message().await, (there, 1, "one".to_owned()));
    b.batch(vec![live(there, "new")]).await;
    assert_eq!(alice.hear().await, "new");
    // What is neither settled nor new is given to the next, too.
    b.hang_up();
    *b = pair.shards[1].trunk().await;
    let attached = attach(b).await;
    assert_eq!((&attached.checkpoint[..], attached.settled), (&b"state"[..], 0));
}

#[tokio::test]
async fn all_of_a_shard_that_goes_away_move_in_order_and_nobody_else() {
    let mut pair = Pair::set().await;
    let mut clients = Vec::new();
    for user in pair.users_of(0).take(20) {
        clients.push(pair.client(0, &user).await);
    }
    let stays = pair.users_of(1).next().expect("a user");
    let (mut bob, b) = pair.client(1, &stays).await;
    pair.learn("a", true);
    for (_, number) in &mut clients {
        assert_eq!(moved(&mut pair.trunks[0]).await, *number);
        *number = after(*number);
        assert_eq!(attach(&mut pair.trunks[1]).await.connection, *number);
    }
    pair.trunks[1].batch(vec![live(b, "you stayed")]).await;
    assert_eq!(bob.hear().await, "you stayed");
    // New ones go there, too, and back when it serves again.
    let user = pair.users_of(0).nth(20).expect("a user");
    clients.push(pair.client(1, &user).await);
    pair.learn("a", false);
    clients.sort_by_key(|(_, number)| *number);
    for (_, number) in &clients {
        assert_eq!(moved(&mut pair.trunks[1]).await, *number);
        assert_eq!(attach(&mut pair.trunks[0]).await.connection, after(*number));
    }
    pair.counts("trunkline_moving_connections", 0).await;
}

#[tokio::test]
async fn they_move_no_faster_than_is_set() {
    let mut pair = Pair::set_with(|settings| settings.moves.sessions = 1).await;
    let users: Vec<String> = pair.users_of(0).take(4).collect();
    let mut clients = Vec::new();
    for user in &users {
        clients.push(pair.client(0, user).await);
    }
    pair.learn("a", true);
    clients[0].1 = after(moved(&mut pair.trunks[0]).await);
    // The others are let go of when their shard is gone.
    pair.counts("trunkline_moving_connections", 3).await;
    pair.lose(0).await;
    for (_, number) in &clients {
        assert_eq!(attach(&mut pair.trunks[1]).await.connection, *number);
    }
    pair.counts("trunkline_moving_connections", 0).await;
}

#[tokio::test]
async fn a_client_that_polls_is_asked_for_where_its_session_belongs_now() {
    let mut pair = Pair::set().await;
    let user = pair.users_of(0).next().expect("a user");
    pair.learn("a", true);
    let path = format!("/socket.io/?EIO=4&transport=polling&user={user}");
    let request = Request::get(&path).send(pair.router.local_addr());
    let _asking = request.await;
    let asked = item(&mut pair.trunks[1]).await;
    assert!(matches!(asked, up::Item::Poll(_)), "not a poll: {asked:?}");
}

#[tokio::test]
async fn nobody_moves_when_only_the_maps_version_changes() {
    let (mut pair, mut alice, number) = pair().await;
    let [a, b] = &pair.shards;
    pair.cluster.take_map(map_of(2, &[("b", b), ("a", a)])).expect("newer");
    alice.say("still here").await;
    assert_eq!(pair.trunks[0].message().await, (number, 1, "still here".to_owned()));
    // What comes next to the other is what it is told now.
    pair.learn("z", true);
    assert_eq!(status(&mut pair.trunks[1]).await.shard, "z");
}
