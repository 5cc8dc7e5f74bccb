//! The loop around the core: events in, outputs out, one after the other in one task.
//!
//! Whatever is ready is taken before anything is sent, so that a busy shard works in batches and
//! an idle one answers at once. The driver waits for nobody: a trunk or link whose queue is full
//! is cut.

mod application;
mod polling;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};
use trunkline_config::{Directory, ViewId};
use trunkline_core::{Core, Input, Mono, Now, Output, PeerMessage, ShardIndex, TrunkId};
use trunkline_proto::cluster::{Cluster, Outlook};
use trunkline_proto::outbox::{Full, Haste, Outbox};
use trunkline_proto::token::TokenVerifier;
use trunkline_proto::{peer, trunk};

use crate::application::Application;
use crate::engine::{Engine, is_polling};
use crate::event::{Event, LinkId};
use crate::health::Lease;
use crate::metrics::Metrics;
use crate::remaining::Remaining;
use crate::seal::CheckpointSeal;
use crate::wire::{
    Sorted, decode_peer, decode_up, encode_answer, encode_down, encode_peer, identity, peer_size,
    sort_up,
};
use trunkline_log::TopicLog;
use trunkline_proto::net::Clock;

/// Events that are taken before outputs are sent.
const BATCH: usize = 64;
/// From one tick to the next, at least. Each request has a deadline, which is looked at when its
/// time has come even if the answer came long before: a busy shard would wake for each of them.
const GRAIN: Duration = Duration::from_millis(20);
/// How often the log lets go of what is old and nobody asks for.
const SWEEP: Duration = Duration::from_secs(60);

/// The core, its log, and the streams.
pub(crate) struct Driver {
    pub(crate) core: Core,
    /// The clients that poll.
    pub(crate) engine: Engine,
    pub(crate) log: Box<dyn TopicLog>,
    pub(crate) application: Application,
    pub(crate) verifier: Option<TokenVerifier>,
    pub(crate) seal: CheckpointSeal,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
    pub(crate) metrics: Metrics,
    pub(crate) cluster: Cluster,
    /// The cluster as the core knows it, and where it is seen to change.
    pub(crate) outlook: Outlook,
    pub(crate) outlooks: watch::Receiver<Outlook>,
    pub(crate) me: ShardIndex,
    /// Of whom the core says that they may have what is this shard's, and by which view.
    pub(crate) owed: (ViewId, BTreeSet<ShardIndex>),
    pub(crate) trunks: BTreeMap<TrunkId, Outbox<trunk::Down>>,
    pub(crate) links: BTreeMap<ShardIndex, Link>,
    pub(crate) signs: Signs,
    /// Whether what the shard has is still its own, where another may have taken it over.
    pub(crate) lease: Option<Lease>,
}

/// What others can see of the driver.
pub(crate) struct Signs {
    /// Whose links are up.
    pub(crate) linked: watch::Sender<BTreeSet<ShardIndex>>,
    /// Whether routers are let in at once.
    pub(crate) admit: watch::Sender<bool>,
    /// Whether the shard takes part in all that it should.
    pub(crate) ready: watch::Sender<bool>,
    /// What is left of a shard that doesn't serve.
    pub(crate) remaining: watch::Sender<Remaining>,
}

impl Signs {
    /// Those of a shard that has not begun, and has nothing left to give away.
    pub(crate) fn new(view: ViewId) -> Self {
        let remaining = Remaining {
            view,
            is_placed: true,
            serves: true,
            topics: 0,
            connections: 0,
            settled: false,
        };
        Self {
            linked: watch::Sender::default(),
            admit: watch::Sender::new(false),
            ready: watch::Sender::new(false),
            remaining: watch::Sender::new(remaining),
        }
    }
}

/// A link that is up.
pub(crate) struct Link {
    id: LinkId,
    outbox: Outbox<peer::PeerItem>,
}

/// Why the driver has something to do.
enum Woken {
    Outlook,
    Sweep,
    Tick,
    Input(Input),
    Event(Event),
}

/// Outputs on their way, gathered per stream.
#[derive(Default)]
struct Gathered {
    trunks: BTreeMap<TrunkId, Load<trunk::Down>>,
    links: BTreeMap<ShardIndex, Load<peer::PeerItem>>,
}

/// What one stream is to carry.
struct Load<T> {
    items: Vec<(T, usize)>,
    /// What the most urgent of them needs.
    haste: Haste,
}

impl<T> Default for Load<T> {
    fn default() -> Self {
        Self { items: Vec::new(), haste: Haste::Later }
    }
}

impl<T> Load<T> {
    fn add(&mut self, item: T, size: usize, haste: Haste) {
        self.items.push((item, size));
        self.haste = self.haste.max(haste);
    }

    fn push_to(self, outbox: &Outbox<T>) -> Result<(), Full> {
        outbox.push_all(self.items, self.haste)
    }
}

/// What became of a batch of outputs.
#[derive(PartialEq, Eq)]
enum Sent {
    All,
    /// A stream had no room and was cut.
    CutSome,
}

impl Driver {
    /// Runs until every sender of events is gone.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut sweep = every(SWEEP);
        let mut ticked = self.started;
        self.show_peers();
        self.show_links();
        loop {
            let timeouts = [self.core.poll_timeout(), self.engine.poll_timeout()];
            let timeout = timeouts.into_iter().flatten().min();
            let timeout = timeout.map(|Mono(since)| (self.started + since).max(ticked + GRAIN));
            let sleep = async {
                match timeout {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // In the order in which they are rare, so that none starves and the same inputs are
            // taken in the same order.
            let woken = tokio::select! {
                biased;
                Ok(()) = self.outlooks.changed() => Woken::Outlook,
                _ = sweep.tick() => Woken::Sweep,
                () = sleep => Woken::Tick,
                (ticket, answer) = self.application.answered() => {
                    Woken::Input(Input::Called { ticket, answer })
                }
                (ticket, outcome) = poll_fn(|cx| self.log.poll_outcome(cx)) => {
                    Woken::Input(Input::Log { ticket, outcome })
                }
                event = events.recv() => match event {
                    Some(event) => Woken::Event(event),
                    None => return,
                },
            };
            if let Some(lease) = &mut self.lease {
                lease.settle().await;
            }
            self.look();
            match woken {
                Woken::Outlook => self.take_outlook(),
                Woken::Sweep => self.log.sweep((self.clock)()),
                Woken::Tick => {
                    ticked = Instant::now();
                    self.tick_engine();
                    self.handle(Input::Tick);
                }
                Woken::Input(input) => self.handle(input),
                Woken::Event(event) => self.take(event),
            }
            for _ in 1..BATCH {
                match events.try_recv() {
                    Ok(event) => self.take(event),
                    Err(_) => break,
                }
            }
            self.take_answers();
            self.take_outcomes();
            self.send();
        }
    }

    /// Takes what the log has done by now: a store in memory has done all of it.
    fn take_outcomes(&mut self) {
        // The loop asks again before it sleeps, and is woken then.
        let mut nobody = Context::from_waker(Waker::noop());
        while let Poll::Ready((ticket, outcome)) = self.log.poll_outcome(&mut nobody) {
            self.handle(Input::Log { ticket, outcome });
        }
    }

    fn now(&self) -> Now {
        Now { mono: Mono(self.started.elapsed()), wall_ms: (self.clock)() }
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.core.handle(input, now);
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::TrunkUp { trunk, outbox, restarted, told } => {
                self.look();
                let news = self.outlook.statuses.news_since(&told);
                if views::tell_trunk(&outbox, &news).is_err() {
                    return outbox.cut();
                }
                self.trunks.insert(trunk, outbox);
                self.metrics.trunks.inc();
                self.handle(Input::TrunkUp { trunk, restarted });
            }
            Event::TrunkBatch { trunk, items } => self.take_trunk_batch(trunk, items),
            Event::TrunkDown { trunk } => self.trunk_down(trunk),
            Event::LinkUp { peer, link, outbox, restarted, told } => {
                self.look();
                self.link_down(peer);
                let news = self.outlook.statuses.news_since(&told);
                if views::tell_link(&outbox, &news).is_err() {
                    return outbox.cut();
                }
                info!(peer = self.name(peer), "link is up");
                self.links.insert(peer, Link { id: link, outbox });
                self.links_changed(peer, 1);
                self.handle(Input::LinkUp { peer, restarted });
            }
            Event::LinkBatch { peer, link, items } => self.take_link_batch(peer, link, items),
            Event::PeerDead { peer } => {
                self.look();
                self.link_down(peer);
            }
            Event::LinkDown { peer, link } => {
                if self.links.get(&peer).is_some_and(|current| current.id == link) {
                    self.link_down(peer);
                }
            }
        }
    }

    fn take_trunk_batch(&mut self, trunk: TrunkId, items: Vec<trunk::Up>) {
        for item in items {
            // A trunk that was cut may still have batches on their way here.
            if !self.trunks.contains_key(&trunk) {
                return;
            }
            let taken = sort_up(trunk, item).and_then(|item| {
                match item {
                    Sorted::Engine(said) => self.hear_engine(said),
                    Sorted::Status(said) => self.hear_of_shard(said),
                    Sorted::Call(call) => self.take_call(trunk, call),
                    Sorted::Core(item) => {
                        let input = self.seal.check(decode_up(trunk, item)?);
                        self.handle(input);
                    }
                }
                Ok(())
            });
            match taken {
                Ok(()) => {}
                Err(error) => {
                    warn!(trunk = trunk.0, %error, "cutting a trunk");
                    self.trunk_down(trunk);
                }
            }
        }
    }

    fn take_link_batch(&mut self, peer: ShardIndex, link: LinkId, items: Vec<peer::PeerItem>) {
        for item in items {
            if self.links.get(&peer).is_none_or(|current| current.id != link) {
                return;
            }
            if let Some(peer::peer_item::Item::Status(said)) = item.item {
                self.hear_of_shard(said);
                continue;
            }
            match decode_peer(item, &self.outlook.directory) {
                Ok(message) => self.handle(Input::Peer { peer, message }),
                Err(error) => {
                    warn!(peer = self.name(peer), %error, "cutting a link");
                    self.link_down(peer);
                }
            }
        }
    }

    fn trunk_down(&mut self, trunk: TrunkId) {
        if let Some(outbox) = self.trunks.remove(&trunk) {
            outbox.cut();
            self.metrics.trunks.dec();
            self.engine.trunk_down(trunk);
            self.inform_core();
            self.handle(Input::TrunkDown { trunk });
        }
    }

    fn trunk_is_full(&mut self, trunk: TrunkId) {
        warn!(trunk = trunk.0, "cutting a trunk that reads too slowly");
        self.metrics.dropped.with_label_values(&["trunk", "full"]).inc();
        self.trunk_down(trunk);
    }

    fn link_is_full(&mut self, peer: ShardIndex) {
        warn!(peer = self.name(peer), "cutting a link that reads too slowly");
        self.metrics.dropped.with_label_values(&["link", "full"]).inc();
        self.link_down(peer);
    }

    fn link_down(&mut self, peer: ShardIndex) {
        if let Some(Link { outbox, .. }) = self.links.remove(&peer) {
            warn!(peer = self.name(peer), "link is down");
            outbox.cut();
            self.links_changed(peer, 0);
            self.show_peers();
            self.handle(Input::LinkDown { peer });
        }
    }

    fn links_changed(&self, peer: ShardIndex, up: i64) {
        self.metrics.link_up.with_label_values(&[self.name(peer)]).set(up);
        self.show_links();
    }

    fn name(&self, peer: ShardIndex) -> &str {
        self.outlook.name(peer.0)
    }

    /// Sends all there is to send. A stream that is cut on the way gives the core something to
    /// say to others.
    fn send(&mut self) {
        while self.send_batch() == Sent::CutSome {}
    }

    /// Carries out the core's outputs until there are none, then hands each stream its share.
    fn send_batch(&mut self) -> Sent {
        let mut sent = Sent::All;
        let mut gathered = Gathered::default();
        while let Some(output) = self.next_output(&mut gathered.trunks) {
            self.carry_out(&mut gathered, output);
        }
        // Before anything leaves: who reads the metrics after an answer finds it counted.
        let gauges = self.core.gauges();
        self.metrics.set_gauges(gauges);
        self.show_remaining(&gauges);
        let Gathered { trunks, links } = gathered;
        for (trunk, load) in trunks {
            let full = self.trunks.get(&trunk).is_some_and(|it| load.push_to(it).is_err());
            if full {
                self.trunk_is_full(trunk);
                sent = Sent::CutSome;
            }
        }
        for (peer, load) in links {
            self.metrics
                .link_messages
                .with_label_values(&[self.name(peer)])
                .inc_by(load.items.len() as u64);
            let full = self.links.get(&peer).is_some_and(|it| load.push_to(&it.outbox).is_err());
            if full {
                self.link_is_full(peer);
                sent = Sent::CutSome;
            }
        }
        sent
    }

    fn carry_out(&mut self, gathered: &mut Gathered, output: Output) {
        match output {
            output if is_polling(&output) => self.carry_out_polling(output),
            Output::Peer { peer, message } => {
                gather_peer(gathered, &self.outlook.directory, peer, message);
            }
            Output::Owed { view, shards } => {
                self.owed = (view, shards);
                self.note();
            }
            Output::Log(request) => {
                self.log.submit(request, (self.clock)());
                self.take_outcomes();
            }
            Output::Verify { ticket, token } => {
                let verified = self
                    .verifier
                    .as_ref()
                    .and_then(|verifier| identity(verifier.verify(&token, (self.clock)()).ok()?));
                self.handle(Input::Verified { ticket, identity: verified });
            }
            Output::CutLink { peer, reason } => {
                warn!(peer = self.name(peer), reason, "cutting a link");
                self.link_down(peer);
            }
            Output::ApiAnswer { trunk, call, answer } => {
                let (item, size) = encode_answer(call, answer);
                gathered.trunks.entry(trunk).or_default().add(item, size, Haste::Now);
            }
            Output::Call(call) => self.call_application(call),
            Output::Unhandled => self.metrics.unhandled.inc(),
            Output::Published(latency) => {
                self.metrics.publish_seconds.observe(latency.as_secs_f64());
            }
            output @ Output::Acknowledge { .. } => gather_down(gathered, output, Haste::Later),
            Output::Checkpoint { trunk, connection, session, state } => {
                let state = self.seal.seal(&session, &state);
                let checkpoint = Output::Checkpoint { trunk, connection, session, state };
                gather_down(gathered, checkpoint, Haste::Now);
            }
            output @ (Output::Send { .. }
            | Output::Fan { .. }
            | Output::Group { .. }
            | Output::Close { .. }) => gather_down(gathered, output, Haste::Now),
        }
    }
}

fn gather_down(gathered: &mut Gathered, output: Output, haste: Haste) {
    if let Some((trunk, (item, size))) = encode_down(output) {
        gathered.trunks.entry(trunk).or_default().add(item, size, haste);
    }
}

fn gather_peer(
    gathered: &mut Gathered,
    directory: &Directory,
    peer: ShardIndex,
    message: PeerMessage,
) {
    let haste = haste_of(&message);
    let item = encode_peer(message, directory);
    let size = peer_size(&item);
    gathered.links.entry(peer).or_default().add(item, size, haste);
}

/// That somebody has left a topic is news for the others, who don't wait for it.
fn haste_of(message: &PeerMessage) -> Haste {
    match message {
        PeerMessage::Forget { .. } => Haste::Later,
        PeerMessage::Reply { request, .. } if !request.is_awaited() => Haste::Later,
        PeerMessage::Handed { handover, .. } if !handover.is_awaited() => Haste::Later,
        _ => Haste::Now,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests;
