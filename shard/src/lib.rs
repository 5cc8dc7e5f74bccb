//! The shell around a shard's pure core: gRPC items become inputs, outputs become gRPC items.
//!
//! Everything runs in one thread: a shard is one state machine, and to use more cores one runs
//! more shards. The shell decides nothing about rooms or messages; what it adds is streams, time,
//! the store, and bounds.

mod application;
mod control;
mod driver;
mod engine;
mod event;
mod health;
mod hello;
mod link;
mod metrics;
mod net;
mod note;
mod remaining;
#[cfg(test)]
#[path = "../../tests/cost/repeat.rs"]
mod repeat;
mod seal;
mod serving;
mod start;
mod store;
mod streams;
#[cfg(test)]
mod testing;
mod trunk;
mod wire;

pub use application::{ApplicationError, SecretError};
pub use net::{Ground, Incoming};
pub use start::{Shard, ShardOptions, StartError};
pub use store::StoreError;
