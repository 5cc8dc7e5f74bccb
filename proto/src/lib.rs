//! The wire between routers and shards, and between shards: what tonic makes of the `.proto`
//! files, the one queue that all three kinds of stream send from, and what may wait for a client.

pub mod cluster;
pub mod credential;
pub mod engine;
pub mod kept;
pub mod net;
pub mod opaque;
pub mod out_queue;
pub mod outbox;
pub mod runtime;
pub mod token;
pub mod transport;
pub mod watch;

/// What tonic makes of the `.proto` files, nested as their packages are.
#[allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic)]
#[allow(
    clippy::semicolon_if_nothing_returned,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod generated {
    pub mod api {
        pub mod v1 {
            tonic::include_proto!("trunkline.api.v1");
        }
    }
    pub mod log {
        pub mod v1 {
            tonic::include_proto!("trunkline.log.v1");
        }
    }
    pub mod trunk {
        pub mod v1 {
            tonic::include_proto!("trunkline.trunk.v1");
        }
    }
    pub mod peer {
        pub mod v1 {
            tonic::include_proto!("trunkline.peer.v1");
        }
    }
}

/// What servers of an application ask.
pub use generated::api::v1 as api;
/// What a durable log keeps.
pub use generated::log::v1 as log;
/// The link: shard ↔ shard.
pub use generated::peer::v1 as peer;
/// The trunk: router ↔ shard.
pub use generated::trunk::v1 as trunk;
