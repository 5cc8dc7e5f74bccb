//! Settings, the shard map, and placement: what every process of a cluster agrees on.
//!
//! Reading and checking the TOML files happens here; nothing else in this crate does I/O, so the
//! pure core may use the shard map and the placement.

pub mod key;
pub mod placement;
pub mod settings;
pub mod shard_map;

pub use key::{Digest, HashKey, ShardKey};
pub use placement::Placement;
pub use settings::Settings;
pub use shard_map::{MapId, Shard, ShardMap};
