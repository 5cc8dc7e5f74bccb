//! A shard of two that says whether it serves, beside a driver that the test plays.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::yield_now;
use trunkline_config::{ShardStatus, Statuses};

use super::*;
use crate::testing::map;

const MINUTE: Duration = Duration::from_secs(60);

struct Play {
    cluster: Cluster,
    serving: Serving,
    signs: Signs,
}

fn play(ids: &[&str], fenced: bool) -> Play {
    let cluster = Cluster::new(map(1, ids), Statuses::default());
    let signs = Signs::new(cluster.outlook().view.id());
    signs.linked.send_replace([ShardIndex(1)].into());
    let clock: Clock = Arc::new(|| 1000);
    let serving = Serving::begin(cluster.clone(), "a".to_owned(), clock, &signs, fenced);
    Play { cluster, serving, signs }
}

/// What is left by the present view.
fn left(cluster: &Cluster, topics: usize, settled: bool) -> Remaining {
    let view = cluster.outlook().view.id();
    Remaining { view, is_placed: true, serves: false, topics, connections: 0, settled }
}

impl Play {
    fn away(&self) -> bool {
        self.cluster.outlook().view.is_away(0)
    }

    fn is_found_dead(&self) {
        let dead = ShardStatus { shard: "a".to_owned(), stamp_ms: 5000, away: true };
        assert!(self.cluster.learn(&dead));
    }

    fn has_left(&self, topics: usize) {
        self.signs.remaining.send_replace(left(&self.cluster, topics, topics == 0));
    }
}

async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}

#[tokio::test]
async fn what_others_take_a_shard_for_is_corrected_by_the_shard() {
    let play = play(&["a", "b"], false);
    let insisting = tokio::spawn(play.serving.clone().insist(None));
    settle().await;
    play.is_found_dead();
    settle().await;
    assert!(!play.away());
    assert_eq!(play.cluster.outlook().statuses.of("a").unwrap().stamp_ms, 5001);
    insisting.abort();
}

#[tokio::test]
async fn who_was_asked_to_end_goes_whoever_asks_it_to_serve() {
    let play = play(&["a", "b"], false);
    assert_eq!((play.serving.want(false), play.serving.want(true)), (Ok(()), Ok(())));
    assert!(!play.away());
    play.has_left(3);
    let mut ending = std::pin::pin!(play.serving.drain(MINUTE));
    assert!(ending.as_mut().now_or_never().is_none());
    assert_eq!(play.serving.want(true), Err(Ending));
    assert!(play.away());
    play.has_left(0);
    ending.await;
}

#[tokio::test]
async fn who_was_found_dead_behind_a_fence_serves_again_with_nothing_and_when_it_is_heard() {
    let play = play(&["a", "b"], true);
    let (word, words) = watch::channel(Word::Unsaid);
    let insisting = tokio::spawn(play.serving.clone().insist(Some(words)));
    play.is_found_dead();
    word.send_replace(Word::Kept(Instant::now()));
    settle().await;
    assert!(play.away(), "the driver has not heard of it");
    play.has_left(3);
    settle().await;
    assert!(play.away(), "three topics are left");
    word.send_replace(Word::Unsaid);
    play.has_left(0);
    settle().await;
    assert!(play.away(), "nobody hears it");
    word.send_replace(Word::Kept(Instant::now()));
    settle().await;
    assert!(!play.away());
    insisting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_nothing_is_left_by_the_view_without_the_shard() {
    let play = play(&["a", "b"], false);
    play.has_left(0);
    let drain = play.serving.drain(MINUTE);
    tokio::pin!(drain);
    assert_eq!(drain.as_mut().now_or_never(), None, "that was by another view");
    assert!(play.away());
    play.has_left(2);
    assert_eq!(drain.as_mut().now_or_never(), None);
    play.has_left(0);
    drain.await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_its_time_is_over() {
    let play = play(&["a", "b"], false);
    play.has_left(2);
    let begun = Instant::now();
    play.serving.drain(MINUTE).await;
    assert_eq!(begun.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_nobody_is_there_any_more_and_not_when_a_link_breaks() {
    let play = play(&["a", "b"], false);
    play.has_left(2);
    let begun = Instant::now();
    let breaks = async {
        tokio::time::sleep(ALONE * 2).await;
        for linked in [BTreeSet::new(), [ShardIndex(1)].into(), BTreeSet::new()] {
            play.signs.linked.send_replace(linked);
            tokio::time::sleep(ALONE / 2).await;
        }
    };
    tokio::join!(play.serving.drain(MINUTE), breaks);
    assert_eq!(begun.elapsed(), ALONE * 4);
}

#[tokio::test]
async fn the_last_shard_that_serves_is_not_drained() {
    let alone = play(&["a"], false);
    assert_eq!(alone.serving.drain(MINUTE).now_or_never(), Some(()));
    let left_behind = play(&["a", "b"], false);
    left_behind.cluster.say("b", true, 1);
    assert_eq!(left_behind.serving.draining(), Draining::Alone);
    assert_eq!(left_behind.serving.drain(MINUTE).now_or_never(), Some(()));
    let unlinked = play(&["a", "b"], false);
    unlinked.signs.linked.send_replace(BTreeSet::new());
    assert_eq!(unlinked.serving.drain(MINUTE).now_or_never(), Some(()));
    assert!(!unlinked.away());
}
