//! The wire between routers and shards, and between shards: what tonic makes of the `.proto`
//! files, and the one queue that all three kinds of stream send from.

pub mod credential;
pub mod name;
pub mod outbox;
pub mod token;
pub mod transport;

/// The trunk: router ↔ shard.
#[allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic)]
#[allow(
    clippy::semicolon_if_nothing_returned,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
pub mod trunk {
    tonic::include_proto!("trunkline.trunk.v1");
}

/// The link: shard ↔ shard.
#[allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic)]
#[allow(
    clippy::semicolon_if_nothing_returned,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
pub mod peer {
    tonic::include_proto!("trunkline.peer.v1");
}
