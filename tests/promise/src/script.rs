//! One disruption after the other.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::PromiseError;
use crate::cluster::Cluster;
use crate::history::Span;
use crate::kind::Kind;
use crate::network::Network;
use crate::process::run;

/// How long clients talk before it counts how long they wait: rooms are opened, and their files grow.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long a shard stays dead while another takes over.
const DEAD: Duration = Duration::from_secs(8);
/// How long a shard stays drained.
const DRAINED: Duration = Duration::from_secs(1);
/// How long the network is cut, in turn: shorter than any process notices, and longer. Longer than
/// `presence.grace` beyond that, and people are said to have left.
const CUTS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(8)];
/// How many shards a map has.
const FEWEST: usize = 3;
const MOST: usize = 6;

/// What is to be done, and when it is to end.
pub(crate) struct Script<'a> {
    /// In this order, over and over.
    pub(crate) kinds: Vec<Kind>,
    /// How long nothing is done first.
    pub(crate) quiet: Duration,
    /// How long nothing is done after each.
    pub(crate) settle: Duration,
    /// Nothing begins after this, but what has not been done once.
    pub(crate) until: Instant,
    pub(crate) chance: StdRng,
    pub(crate) origin: Instant,
    pub(crate) tell: &'a dyn Fn(&str),
}

impl Script<'_> {
    /// Does it all, and says when what was done.
    ///
    /// # Errors
    /// If the cluster doesn't do what it is told to.
    pub(crate) async fn play(&mut self, cluster: &mut Cluster) -> Result<Vec<Span>, PromiseError> {
        sleep(WARM_UP).await;
        let mut spans = vec![Span { kind: Kind::Quiet, from: self.now() }];
        sleep(self.quiet).await;
        for round in 0.. {
            for &kind in &self.kinds.clone() {
                if round > 0 && Instant::now() >= self.until {
                    return Ok(spans);
                }
                let nth = spans.iter().filter(|span| span.kind == kind).count();
                spans.push(Span { kind, from: self.now() });
                self.disturb(cluster, kind, nth).await?;
                cluster.settle().await?;
                sleep(self.settle).await;
            }
        }
        Ok(spans)
    }

    /// Does it, for the `nth` time.
    async fn disturb(
        &mut self,
        cluster: &mut Cluster,
        kind: Kind,
        nth: usize,
    ) -> Result<(), PromiseError> {
        let ids = cluster.ids();
        let id = &ids[self.chance.random_range(0..ids.len())];
        let seconds = self.origin.elapsed().as_secs();
        (self.tell)(&format!("{seconds:>4} s  {}: {id} of {}", kind.name(), ids.join(" ")));
        match kind {
            Kind::Quiet => {}
            Kind::Restart => {
                cluster.end_shard(id).await?;
                cluster.start_shard(id).await?;
            }
            Kind::Kill => {
                cluster.kill_shard(id).await?;
                cluster.start_shard(id).await?;
            }
            Kind::Dead => {
                cluster.kill_shard(id).await?;
                sleep(DEAD).await;
                cluster.start_shard(id).await?;
            }
            Kind::Drain => {
                cluster.tell_shard("drain", id).await?;
                sleep(DRAINED).await;
                cluster.tell_shard("resume", id).await?;
            }
            Kind::Add if ids.len() < MOST => cluster.add_shard().await?,
            Kind::Remove if ids.len() > FEWEST => cluster.remove_shard(id).await?,
            Kind::Add | Kind::Remove => {}
            Kind::Partition => {
                run(&Network::passes(false)).await?;
                sleep(CUTS[nth % CUTS.len()]).await;
                run(&Network::passes(true)).await?;
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
