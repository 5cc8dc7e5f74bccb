//! What was acknowledged as stored stays stored, whatever dies.

mod held;
mod held_sockets;
pub(crate) mod jetstream;
pub(crate) mod kills;
mod ledger;
/// The store's own tests have the same servers, and use all of it.
#[allow(dead_code)]
#[path = "../../../shard/log/tests/conformance/jetstream/nats.rs"]
pub(crate) mod nats;
mod people;
mod plug;
