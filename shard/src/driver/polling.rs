//! The driver's side of the engine: what polling clients say goes to the core, and what the core
//! says to them to the engine.

use trunkline_config::View;
use trunkline_core::{Input, Output, ShardIndex};
use trunkline_proto::outbox::Haste;
use trunkline_proto::peer;

use super::Driver;
use super::sending::Gathered;
use crate::engine::{Engine, Known, Said};
use crate::wire::BadItem;

impl Driver {
    /// Takes what a router has said to the engine.
    pub(super) fn hear_engine(&mut self, said: Said) {
        if let Said::Control { trunk, payload, binary, .. } = &said
            && Engine::is_change(payload, *binary)
        {
            // What the core has said to the session while it polled goes before the change.
            let trunk = *trunk;
            self.send();
            if !self.trunks.contains_key(&trunk) {
                return;
            }
        }
        let now = self.now().mono;
        let core = &self.core;
        self.engine.hear(said, now, |session| core.is_connected(session));
        self.inform_core();
    }

    /// Takes what a shard has said of sessions that poll.
    pub(super) fn hear_of_sessions(
        &mut self,
        peer: ShardIndex,
        said: peer::Engine,
    ) -> Result<(), BadItem> {
        let now = self.now().mono;
        let heard = self.engine.hear_peer(peer, said, now);
        self.inform_core();
        heard
    }

    /// There is another view: sessions may belong elsewhere.
    pub(super) fn take_view(&mut self, view: View) {
        let now = self.now().mono;
        self.engine.view(view.clone(), now);
        self.handle(Input::View(view));
        self.inform_core();
    }

    pub(super) fn tick_engine(&mut self) {
        let now = self.now().mono;
        self.engine.tick(now);
        self.inform_core();
    }

    pub(super) fn carry_out_polling(&mut self, output: Output) {
        let now = self.now().mono;
        let private_ids = match &output {
            Output::Checkpoint { session, .. } => self.core.private_ids(session).collect(),
            _ => Vec::new(),
        };
        let known = Known { newest: self.core.newest_stamp(), private_ids };
        self.engine.carry_out(output, known, now);
        self.inform_core();
    }

    /// Tells the core what the engine has for it.
    pub(super) fn inform_core(&mut self) {
        while let Some(input) = self.engine.poll_input() {
            let input = self.seal.check(input);
            self.handle(input);
        }
    }

    /// The core's next output. What the engine has for routers goes before it: a connection that
    /// has changed gets what was queued for it before anything new.
    pub(super) fn next_output(&mut self, gathered: &mut Gathered) -> Option<Output> {
        self.gather_engine(gathered);
        let mut output = self.core.poll_output();
        if output.is_none() {
            self.engine.flush_touched();
            self.inform_core();
            // Sessions that have ended on the way give the core something to say to others.
            output = self.core.poll_output();
        }
        if output.is_none() {
            // The core has said all that it has to say to those who leave now.
            let now = self.now().mono;
            self.engine.depart(now);
            self.inform_core();
            output = self.core.poll_output();
        }
        self.gather_engine(gathered);
        if output.is_none() {
            // Whoever takes a session hears first that it has left.
            self.gather_crossing(gathered);
            self.count_engine();
        }
        output
    }

    fn gather_engine(&mut self, gathered: &mut Gathered) {
        for (trunk, (item, size)) in self.engine.take_items() {
            gathered.trunks.entry(trunk).or_default().add(item, size, Haste::Now);
        }
    }

    fn gather_crossing(&mut self, gathered: &mut Gathered) {
        for (peer, item, size) in self.engine.take_peer_items() {
            gathered.links.entry(peer).or_default().add(item, size, Haste::Now);
        }
    }

    fn count_engine(&mut self) {
        let polling = i64::try_from(self.engine.sessions()).unwrap_or(i64::MAX);
        self.metrics.polling.set(polling);
        let tally = self.engine.take_tally();
        let dropped = &self.metrics.dropped;
        let frames =
            [("full", tally.live), ("ephemeral", tally.ephemeral), ("replies", tally.reply)];
        for (why, count) in frames.into_iter().filter(|(_, count)| *count > 0) {
            dropped.with_label_values(&["polling", why]).inc_by(count);
        }
    }
}
