//! Settings, the shard map, and placement: what every process of a cluster agrees on.
//!
//! Reading and checking the TOML files happens here; nothing else in this crate does I/O, so the
//! pure core may use the shard map and the placement.

pub mod events;
pub mod key;
pub mod name;
pub mod placement;
pub mod problem;
mod read;
pub mod seal;
pub mod settings;
pub mod shard_map;
pub mod store;
mod value;
pub mod view;

pub use key::{Digest, HashKey, ShardKey};
pub use placement::Placement;
pub use problem::{Problem, Problems};
pub use read::{Either, Loaded, load, load_either, load_map, load_with_map, render_map};
pub use settings::Settings;
pub use shard_map::{MapId, Shard, ShardMap};
pub use value::parse_duration;
pub use view::{Directory, ShardStatus, Statuses, View, ViewId};
