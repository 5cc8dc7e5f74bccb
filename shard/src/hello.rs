//! What the two ends of a stream must agree on before anything else is said.

use tonic::Status;
use trunkline_config::MapId;
use trunkline_proto::trunk;

/// The map's name on the wire.
pub(crate) fn encode_map(id: MapId) -> trunk::MapId {
    trunk::MapId { version: id.version, digest: id.digest }
}

/// Whether the other end has this end's map.
#[allow(clippy::result_large_err)] // tonic's own type, made once per stream
pub(crate) fn check_map(ours: MapId, theirs: Option<trunk::MapId>) -> Result<(), Status> {
    let Some(trunk::MapId { version, digest }) = theirs else {
        return Err(Status::invalid_argument("the hello names no shard map"));
    };
    let theirs = MapId { version, digest };
    if ours == theirs {
        return Ok(());
    }
    let advice = if ours.version == theirs.version {
        "the same version must have the same shards, weights and hash key; give the newer file a higher version"
    } else {
        "the process with the older one goes over to the newer when it finds it; give it the newer file if it doesn't"
    };
    Err(Status::failed_precondition(format!(
        "the shard maps differ: {ours} here, {theirs} there; {advice}"
    )))
}

/// Whether the other end means this shard.
#[allow(clippy::result_large_err)] // tonic's own type, made once per stream
pub(crate) fn check_shard(ours: &str, theirs: &str) -> Result<(), Status> {
    if ours == theirs {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "this is shard {ours}, not {theirs}; correct the grpc addresses in the shard map"
    )))
}

/// Whether a shard can have this ID.
#[allow(clippy::result_large_err)] // tonic's own type, made once per stream
pub(crate) fn check_id(id: &str) -> Result<(), Status> {
    if (1..=64).contains(&id.len()) {
        return Ok(());
    }
    Err(Status::invalid_argument("no shard has such an ID"))
}

/// Whether the other end knew an earlier process of this shard.
pub(crate) fn restarted(last_incarnation: u64, incarnation: u64) -> bool {
    last_incarnation != 0 && last_incarnation != incarnation
}
