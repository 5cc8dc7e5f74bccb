//! Shards are killed again and again while people publish and read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::people::{Company, history, inbox, publish, read};
use crate::harness::{Cluster, Setup, eventually};

const PUBLISHERS: usize = 6;
const READERS: usize = 3;
/// Acknowledgements from one death to the next, so that each meets shards at work.
const BETWEEN: usize = 25;

pub(crate) const EMBEDDED: &str = "[store]\nkind = \"embedded\"\ndata = \"data\"\n";
/// All that is published stays, so that it can be looked at in the end.
pub(crate) const KEEP_ALL: &str = "[history]\nmessages = 1000000\nbytes = \"32MiB\"\n[inbox]\nmessages = 100000\nbytes = \"32MiB\"";

/// A room and an absent user on each shard.
fn company(cluster: &Cluster) -> Company {
    let shards = ["a", "b", "c"];
    Company {
        ledger: Arc::default(),
        rooms: Arc::new(shards.iter().map(|shard| cluster.room_on(shard)).collect()),
        absent: Arc::new(shards.iter().map(|shard| cluster.user_on(shard, 7)).collect()),
        is_over: Arc::default(),
    }
}

/// People come, `kill` is called so many times, and everything is looked at in the end. Gives who
/// had to come back, and why.
pub(crate) async fn survive(
    cluster: &mut Cluster,
    kills: usize,
    mut kill: impl AsyncFnMut(&mut Cluster, usize),
) -> Vec<String> {
    let company = company(cluster);
    let mut publishers = JoinSet::new();
    let mut readers = JoinSet::new();
    for number in 0..PUBLISHERS {
        let shard = ["a", "b", "c"][number % 3];
        let user = cluster.user_on(shard, number);
        publishers.spawn(publish(company.clone(), cluster.options().user(&user), user));
    }
    for number in 0..READERS {
        let options = cluster.options().user(format!("reader-{number}"));
        readers.spawn(read(company.clone(), options, number));
    }
    let acknowledgements = || company.ledger.lock().unwrap().acknowledgements();
    for number in 0..kills {
        let enough = acknowledgements() + BETWEEN;
        eventually("people are answered", async || {
            // Who has panicked has found something.
            for people in [&mut publishers, &mut readers] {
                if let Some(ended) = people.try_join_next() {
                    ended.unwrap();
                }
            }
            acknowledgements() >= enough
        })
        .await;
        kill(cluster, number).await;
    }
    company.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = publishers.join_next().await {
        ended.unwrap();
    }
    eventually("readers have seen everything", async || {
        company.ledger.lock().unwrap().is_complete(READERS, &company.rooms)
    })
    .await;
    readers.abort_all();
    while let Some(ended) = readers.join_next().await {
        assert!(ended.unwrap_err().is_cancelled(), "a reader found something wrong");
    }

    let mut histories = BTreeMap::new();
    for room in company.rooms.iter() {
        histories.insert(room.clone(), history(&cluster.options().user("historian"), room).await);
    }
    let ledger = std::mem::take(&mut *company.ledger.lock().unwrap());
    ledger.check(&histories);
    for user in company.absent.iter() {
        ledger.check_inbox(user, &inbox(&cluster.options().user(user)).await);
    }
    ledger.returns
}

/// Kills one shard after the other, by chance, and starts it again.
async fn kill_shards(cluster: &mut Cluster, kills: usize, seed: u64) -> Vec<String> {
    let mut chance = StdRng::seed_from_u64(seed);
    survive(cluster, kills, async |cluster, _| {
        let shard = ["a", "b", "c"][chance.random_range(0..3)];
        cluster.kill_shard(shard).await;
        cluster.start_shard(shard).await;
        cluster.all_trunks_are_up().await;
    })
    .await
}

#[tokio::test]
async fn nothing_is_lost_and_nobody_leaves_when_shards_are_killed_fifty_times() {
    let mut cluster = Setup::new().section(EMBEDDED).section(KEEP_ALL).start().await;
    let returns = kill_shards(&mut cluster, 50, 50).await;
    assert_eq!(returns, [""; 0], "clients stay connected");
}

#[tokio::test]
async fn nothing_is_lost_when_clients_have_to_come_back() {
    let setup = Setup::new().router("hold = \"0ms\"").section(EMBEDDED).section(KEEP_ALL);
    let mut cluster = setup.start().await;
    assert!(
        !kill_shards(&mut cluster, 12, 12).await.is_empty(),
        "somebody was there when a shard died"
    );
}
