//! Carrying out what the core wants done, and handing each stream its share of it.

use std::collections::BTreeMap;

use tracing::warn;
use trunkline_config::Directory;
use trunkline_core::{Input, Output, PeerMessage, ShardIndex, TrunkId};
use trunkline_proto::outbox::{Full, Haste, Outbox};
use trunkline_proto::{peer, trunk};

use super::Driver;
use crate::engine::is_polling;
use crate::wire::{encode_answer, encode_down, encode_peer, identity, peer_size};

/// Outputs on their way, gathered per stream.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) trunks: BTreeMap<TrunkId, Load<trunk::Down>>,
    pub(super) links: BTreeMap<ShardIndex, Load<peer::PeerItem>>,
}

/// What one stream is to carry.
pub(super) struct Load<T> {
    pub(super) items: Vec<(T, usize)>,
    /// What the most urgent of them needs.
    haste: Haste,
}

impl<T> Default for Load<T> {
    fn default() -> Self {
        Self { items: Vec::new(), haste: Haste::Later }
    }
}

impl<T> Load<T> {
    pub(super) fn add(&mut self, item: T, size: usize, haste: Haste) {
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
    /// Sends all there is to send. A stream that is cut on the way gives the core something to
    /// say to others.
    pub(super) fn send(&mut self) {
        while self.send_batch() == Sent::CutSome {}
    }

    /// Carries out the core's outputs until there are none, then hands each stream its share.
    fn send_batch(&mut self) -> Sent {
        let mut sent = Sent::All;
        let mut gathered = Gathered::default();
        while let Some(output) = self.next_output(&mut gathered) {
            self.carry_out(&mut gathered, output);
        }
        // Before anything leaves: who reads the metrics after an answer finds it counted.
        let gauges = self.core.gauges();
        self.metrics.set_gauges(gauges);
        self.metrics.set_usage(self.log.usage());
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
        self.say_goodbye();
        sent
    }

    pub(super) fn carry_out(&mut self, gathered: &mut Gathered, output: Output) {
        match self.sealed(output) {
            output if is_polling(&output) => self.carry_out_polling(output),
            Output::Peer { peer, message } => {
                gather_peer(gathered, &self.outlook.directory, peer, message);
            }
            Output::Owed { view, shards } => self.note(view, &shards),
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
            Output::Seek { ticket, private_id } => self.seek(gathered, ticket, &private_id),
            Output::Call(call) => self.call_application(call),
            Output::Sought { recovered } => {
                let outcome = if recovered { "recovered" } else { "anew" };
                self.metrics.sought.with_label_values(&[outcome]).inc();
            }
            Output::Unhandled => self.metrics.unhandled.inc(),
            Output::Published(latency) => {
                self.metrics.publish_seconds.observe(latency.as_secs_f64());
            }
            output @ (Output::Acknowledge { .. }
            | Output::Checkpoint { .. }
            | Output::Send { .. }
            | Output::Fan { .. }
            | Output::Group { .. }
            | Output::Close { .. }) => gather_down(gathered, output),
        }
    }

    /// Who keeps a checkpoint can't change it; the engine keeps those of its sessions as routers do.
    fn sealed(&self, mut output: Output) -> Output {
        if let Output::Checkpoint { session, state, .. } = &mut output {
            *state = self.seal.seal(session, state);
        }
        output
    }
}

fn gather_down(gathered: &mut Gathered, output: Output) {
    let haste = haste_down(&output);
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

/// What a router takes note of, and no client waits for, is in time if it comes before what clients
/// hear next: and that it does, for it is before it in the queue.
pub(super) fn haste_down(output: &Output) -> Haste {
    match output {
        Output::Acknowledge { .. } | Output::Checkpoint { .. } | Output::Group { .. } => {
            Haste::Later
        }
        Output::Send { frame, .. } if frame.parts.is_empty() => Haste::Later,
        _ => Haste::Now,
    }
}

/// That somebody has left a topic is news for the others, who don't wait for it.
pub(super) fn haste_of(message: &PeerMessage) -> Haste {
    match message {
        PeerMessage::Forget { .. } => Haste::Later,
        PeerMessage::Reply { request, .. } if !request.is_awaited() => Haste::Later,
        PeerMessage::Handed { handover, .. } if !handover.is_awaited() => Haste::Later,
        _ => Haste::Now,
    }
}
