//! The loop around the core: events in, outputs out, one after the other in one task.
//!
//! Whatever is ready is taken before anything is sent, so that a busy shard works in batches and
//! an idle one answers at once. The driver waits for nobody: a trunk or link whose queue is full
//! is cut.

mod application;
mod polling;
mod seeking;
mod sending;
mod signs;
mod views;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};
use trunkline_config::MapId;
use trunkline_core::{Core, Input, Mono, Now, ShardIndex, TrunkId};
use trunkline_proto::cluster::{Cluster, Outlook};
use trunkline_proto::outbox::Outbox;
use trunkline_proto::token::TokenVerifier;
use trunkline_proto::{peer, trunk};

use crate::application::Application;
use crate::engine::Engine;
use crate::event::{Event, LinkId};
use crate::health::Lease;
use crate::metrics::Metrics;
use crate::seal::CheckpointSeal;
use crate::wire::{BadItem, Sorted, decode_peer, decode_up, sort_up};
pub(crate) use seeking::Seeks;
pub(crate) use signs::Signs;
use trunkline_log::TopicLog;
use trunkline_proto::net::Clock;
use trunkline_proto::watch;

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
    pub(crate) seeks: Seeks,
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
    /// The map without this shard by which nothing was left of it and all others knew.
    pub(crate) left: Option<MapId>,
    pub(crate) trunks: BTreeMap<TrunkId, Outbox<trunk::Down>>,
    pub(crate) links: BTreeMap<ShardIndex, Link>,
    pub(crate) signs: Signs,
    /// Whether what the shard has is still its own, where another may have taken it over.
    pub(crate) lease: Option<Lease>,
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

impl Driver {
    /// Runs until every sender of events is gone.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut sweep = every(SWEEP);
        let mut ticked = self.started;
        // One for all waits: most often only the time changes, and not to an earlier one.
        let mut sleep = pin!(tokio::time::sleep_until(ticked));
        self.show_peers();
        self.show_links();
        loop {
            let timeouts =
                [self.core.poll_timeout(), self.engine.poll_timeout(), self.seeks.next_deadline()];
            let timeout = timeouts.into_iter().flatten().min();
            let timeout = timeout.map(|Mono(since)| (self.started + since).max(ticked + GRAIN));
            if let Some(at) = timeout
                && at != sleep.deadline()
            {
                sleep.as_mut().reset(at);
            }
            // In the order in which they are rare, so that none starves and the same inputs are
            // taken in the same order.
            let woken = tokio::select! {
                biased;
                Ok(()) = self.outlooks.changed() => Woken::Outlook,
                _ = sweep.tick() => Woken::Sweep,
                () = &mut sleep, if timeout.is_some() => Woken::Tick,
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
                    self.give_up_seeks();
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
                self.seek_by(trunk);
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
                self.engine.link_up(peer);
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
                    Sorted::Found(found) => self.found(trunk, found)?,
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
            match self.take_link_item(peer, item) {
                Ok(()) => {}
                Err(error) => {
                    warn!(peer = self.name(peer), %error, "cutting a link");
                    self.link_down(peer);
                }
            }
        }
    }

    fn take_link_item(&mut self, peer: ShardIndex, item: peer::PeerItem) -> Result<(), BadItem> {
        match item.item {
            Some(peer::peer_item::Item::Status(said)) => self.hear_of_shard(said),
            Some(peer::peer_item::Item::Engine(said)) => self.hear_of_sessions(peer, said)?,
            _ => {
                let message = decode_peer(item, &self.outlook.directory)?;
                self.handle(Input::Peer { peer, message });
            }
        }
        Ok(())
    }

    fn trunk_down(&mut self, trunk: TrunkId) {
        if let Some(outbox) = self.trunks.remove(&trunk) {
            outbox.cut();
            self.metrics.trunks.dec();
            self.engine.trunk_down(trunk);
            self.inform_core();
            self.seek_without(trunk);
            self.handle(Input::TrunkDown { trunk });
        }
    }

    fn trunk_is_full(&mut self, trunk: TrunkId) {
        warn!(trunk = trunk.0, "cutting a trunk that reads too slowly");
        self.metrics.dropped.with_label_values(&["trunk", "full"]).inc();
        self.trunk_down(trunk);
    }

    fn link_is_full(&mut self, peer: ShardIndex) {
        if self.links.get(&peer).is_some_and(|link| link.outbox.is_closed()) {
            // Its end has been said already, and is seen when what waits in it has gone.
            return;
        }
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
            let now = self.now().mono;
            self.engine.link_down(peer, now);
            self.inform_core();
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
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests;
