//! What servers of the application ask, and what is asked of it.

use tracing::warn;
use trunkline_core::{Call, Input, TrunkId};
use trunkline_proto::trunk;

use super::Driver;
use crate::wire::{Asked, decode_api};

impl Driver {
    /// Takes a call that a router has passed on.
    pub(super) fn take_call(&mut self, trunk: TrunkId, call: trunk::ApiCall) {
        match decode_api(trunk, call) {
            Ok(Asked::Core(input)) => self.handle(input),
            Ok(Asked::Answered((item, size))) => {
                let Some(outbox) = self.trunks.get(&trunk) else { return };
                if outbox.push(item, size).is_err() {
                    warn!(trunk = trunk.0, "cutting a trunk that reads too slowly");
                    self.metrics.dropped.with_label_values(&["trunk", "full"]).inc();
                    self.trunk_down(trunk);
                }
            }
            Err(error) => {
                warn!(trunk = trunk.0, %error, "cutting a trunk");
                self.trunk_down(trunk);
            }
        }
    }

    /// Asks the application; a call that can't be begun has failed.
    pub(super) fn call_application(&mut self, call: Call) {
        if let Some((ticket, answer)) = self.application.call(call) {
            self.handle(Input::Called { ticket, answer });
        }
    }

    /// Tells the core what the application has answered meanwhile.
    pub(super) fn take_answers(&mut self) {
        while let Some((ticket, answer)) = self.application.try_answered() {
            self.handle(Input::Called { ticket, answer });
        }
    }
}
