//! The driver's side of the engine: what polling clients say goes to the core, and what the core
//! says to them to the engine.

use std::collections::BTreeMap;

use trunkline_core::{Output, TrunkId};
use trunkline_proto::outbox::Haste;
use trunkline_proto::trunk;

use super::{Driver, Load};
use crate::engine::{Engine, Said};

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

    pub(super) fn tick_engine(&mut self) {
        let now = self.now().mono;
        self.engine.tick(now);
        self.inform_core();
    }

    pub(super) fn carry_out_polling(&mut self, output: Output) {
        let now = self.now().mono;
        self.engine.carry_out(output, now);
        self.inform_core();
    }

    /// Tells the core what the engine has for it.
    pub(super) fn inform_core(&mut self) {
        while let Some(input) = self.engine.poll_input() {
            self.handle(input);
        }
    }

    /// The core's next output. What the engine has for routers goes before it: a connection that
    /// has changed gets what was queued for it before anything new.
    pub(super) fn next_output(
        &mut self,
        trunks: &mut BTreeMap<TrunkId, Load<trunk::Down>>,
    ) -> Option<Output> {
        self.gather_engine(trunks);
        let output = self.core.poll_output();
        if output.is_none() {
            self.engine.flush_touched();
            self.inform_core();
            self.gather_engine(trunks);
            self.count_engine();
        }
        // Sessions that have ended on the way give the core something to say to others.
        output.or_else(|| self.core.poll_output())
    }

    fn gather_engine(&mut self, trunks: &mut BTreeMap<TrunkId, Load<trunk::Down>>) {
        for (trunk, (item, size)) in self.engine.take_items() {
            trunks.entry(trunk).or_default().add(item, size, Haste::Now);
        }
    }

    fn count_engine(&mut self) {
        let polling = i64::try_from(self.engine.len()).unwrap_or(i64::MAX);
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
