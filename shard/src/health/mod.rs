//! With a log that all shards share: a shard says again and again that it is alive, and watches the
//! others. One that is found dead is away from then on, and others take over what it had. It is
//! the log's fence that keeps two from writing; this decides who tries.

mod judge;
mod lease;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};
use trunkline_config::settings::{HealthSettings, Settings};
use trunkline_config::{Shard, ShardStatus};
use trunkline_core::ShardIndex;
use trunkline_log::{BucketError, HealthBucket, HealthEntry, HealthError, Vital};
use trunkline_proto::net::Connector;
use trunkline_proto::watch;

use self::judge::Judge;
pub(crate) use self::lease::{Lease, Word};
use crate::event::Event;
use crate::streams::Streams;

/// How long the servers may take for one word.
const WORD: Duration = Duration::from_secs(1);
/// A word that took longer than this beyond its time was held up by this process, not by servers.
const STALL: Duration = Duration::from_millis(200);
/// How often it is looked who is dead, and whether those without a link refuse connections.
const LOOK: Duration = Duration::from_millis(100);

/// A shard's health, as it is said and watched.
pub(crate) struct Health {
    streams: Arc<Streams>,
    connector: Arc<dyn Connector>,
    settings: HealthSettings,
    bucket: HealthBucket,
    words: watch::Sender<Word>,
}

impl Health {
    /// Connects, if the settings have it.
    ///
    /// # Errors
    /// [`BucketError`]
    pub(crate) async fn open(
        settings: &Settings,
        streams: &Arc<Streams>,
        connector: &Arc<dyn Connector>,
    ) -> Result<Option<Self>, BucketError> {
        let Some(name) = &settings.store.jetstream.map_bucket else { return Ok(None) };
        let bucket = HealthBucket::open(&settings.store.jetstream, name).await?;
        Ok(Some(Self {
            streams: Arc::clone(streams),
            connector: Arc::clone(connector),
            settings: settings.health,
            bucket,
            words: watch::Sender::new(Word::Unsaid),
        }))
    }

    /// What the driver asks before it serves anything.
    pub(crate) fn lease(&self) -> Lease {
        Lease::new(self.words.subscribe(), self.settings)
    }

    /// What became of the last word.
    pub(crate) fn words(&self) -> watch::Receiver<Word> {
        self.words.subscribe()
    }

    /// Says that this shard is alive, and watches the others, until it is dropped.
    pub(crate) async fn run(self) {
        tokio::join!(self.speak(), self.listen());
    }

    async fn speak(&self) {
        let (mut beat, mut revision) = (0, None);
        let mut ticks = every(self.settings.interval);
        loop {
            ticks.tick().await;
            beat += 1;
            let vital = Vital {
                incarnation: self.streams.incarnation,
                beat,
                status: self.own_status(),
                dead: None,
            };
            let said = Instant::now();
            match timeout(WORD, self.bucket.write(&vital, revision)).await {
                Ok(Ok(kept)) => {
                    revision = Some(kept);
                    self.words.send_replace(Word::Kept(said));
                }
                Ok(Err(HealthError::Moved)) => {
                    if let Some(found) = self.read_own().await {
                        revision = found;
                    }
                    // Nothing may be served between hearing of it and saying the next word.
                    ticks.reset_immediately();
                }
                Ok(Err(HealthError::Servers(error))) => {
                    debug!(error, "cannot say that this shard is alive");
                    self.words.send_replace(Word::Unsaid);
                }
                // This process was stopped, and what it said may well have been kept.
                Err(_) if said.elapsed() > WORD + STALL => ticks.reset_immediately(),
                Err(_) => {
                    self.words.send_replace(Word::Unsaid);
                }
            }
        }
    }

    /// Another entry stands there than this shard's last. The revision that it has, or that there
    /// is none, if that can be known.
    async fn read_own(&self) -> Option<Option<u64>> {
        match timeout(WORD, self.bucket.read(&self.streams.id)).await {
            Ok(Ok(Some(entry))) => {
                let Vital { incarnation, status, dead, .. } = &entry.vital;
                self.streams.cluster.learn(status);
                // A process before this one is of no more interest.
                if let Some(by) = dead.as_ref().filter(|_| *incarnation == self.streams.incarnation)
                {
                    warn!(by, "this shard was found dead; it gives up what it has and serves anew");
                }
                Some(Some(entry.revision))
            }
            Ok(Ok(None)) => Some(None),
            Ok(Err(_)) | Err(_) => {
                self.words.send_replace(Word::Unsaid);
                sleep(self.settings.interval).await;
                None
            }
        }
    }

    fn own_status(&self) -> ShardStatus {
        let shard = self.streams.id.clone();
        let known = self.streams.cluster.outlook().statuses.of(&shard);
        known.unwrap_or(ShardStatus { shard, stamp_ms: 0, away: false })
    }

    async fn listen(&self) {
        let (me, incarnation) = (self.streams.id.clone(), self.streams.incarnation);
        let mut judge = Judge::new(me, incarnation, self.settings);
        let entries =
            unfold(self.bucket.watch(), async |mut watch| Some((watch.next().await, watch)));
        let mut entries = Box::pin(entries);
        let mut looks = every(LOOK);
        loop {
            tokio::select! {
                Some(entry) = entries.next() => {
                    let vital = entry.vital.clone();
                    if judge.saw(entry, Instant::now()) {
                        self.hear(&vital).await;
                    }
                }
                _ = looks.tick() => self.look(&mut judge).await,
            }
        }
    }

    /// Tries those without a link, and says of those who are dead that they are.
    async fn look(&self, judge: &mut Judge) {
        let view = self.streams.cluster.outlook().view;
        for (number, shard) in view.shards() {
            let peer = ShardIndex(number);
            let is_linked = self.streams.linked.borrow().contains(&peer);
            if peer != self.streams.me && !view.is_away(number) {
                let refused = !is_linked && self.refuses(shard).await;
                judge.tried(&shard.id, refused, Instant::now());
            }
        }
        for entry in judge.dead(Instant::now()) {
            self.bury(entry).await;
        }
    }

    /// Whether nobody listens at a shard's address.
    async fn refuses(&self, shard: &Shard) -> bool {
        let Ok(endpoint) = self.streams.security.endpoint(&shard.grpc) else { return false };
        match timeout(LOOK, self.connector.connect(endpoint)).await {
            Ok(Err(error)) => is_refusal(&error),
            Ok(Ok(_)) | Err(_) => false,
        }
    }

    async fn bury(&self, entry: HealthEntry) {
        let HealthEntry { vital: Vital { incarnation, beat, status, .. }, revision, .. } = entry;
        let ShardStatus { shard, stamp_ms, .. } = status;
        let stamp_ms = self.streams.now_ms().max(stamp_ms.saturating_add(1));
        let status = ShardStatus { shard, stamp_ms, away: true };
        let dead = Some(self.streams.id.clone());
        let vital = Vital { incarnation, beat, status, dead };
        // There may be none yet.
        let after = (revision > 0).then_some(revision);
        // If it isn't kept, it is alive, or another was first, or the servers are away. What comes of it
        // is seen, by this shard as by all.
        if let Ok(Ok(_)) = timeout(WORD, self.bucket.write(&vital, after)).await {
            info!(shard = vital.status.shard, "found dead; others take over what it had");
        }
    }

    /// Takes what an entry says that has been written since the last one of its shard.
    async fn hear(&self, vital: &Vital) {
        let Vital { status, dead, .. } = vital;
        self.streams.cluster.learn(status);
        let outlook = self.streams.cluster.outlook();
        // It may have been heard by another way already; or it is old, and the shard serves again.
        let is_so = outlook.statuses.of(&status.shard).as_ref() == Some(status);
        let peer = outlook.directory.number_of(&status.shard).map(ShardIndex);
        if let Some(peer) = peer.filter(|peer| *peer != self.streams.me)
            && dead.is_some()
            && is_so
        {
            self.streams.tell(Event::PeerDead { peer }).await;
        }
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| {
        let io = error.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    })
}
