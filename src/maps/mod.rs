//! Where the shard map comes from while a process runs: its file, or a bucket on NATS servers.

mod bucket;
mod file;

use std::fmt::Display;
use std::time::Duration;

use trunkline_config::settings::Settings;
use trunkline_config::{Loaded, MapId};

pub(crate) use self::bucket::{as_file, open as open_bucket};
use self::file::MapFile;
use crate::process::ProcessArgs;

/// The map that the bucket of the settings has, in place of the file's, if it has one.
///
/// # Errors
/// If the servers can't be reached, or what they have is no map.
pub(crate) fn of_bucket(args: &ProcessArgs, settings: &Settings) -> anyhow::Result<Option<Loaded>> {
    let Some(name) = bucket_of(args, settings) else { return Ok(None) };
    let runtime = trunkline_proto::runtime::gathering(Duration::ZERO)?;
    runtime.block_on(bucket::fetch(args, settings, name))
}

/// Waits for a map of a higher version than the one in use.
pub(crate) async fn newer(args: &ProcessArgs, settings: &Settings, map: MapId) -> MapId {
    match bucket_of(args, settings) {
        Some(name) => bucket::newer(args, settings, name, map).await,
        None => {
            let mut file = MapFile::new(settings.shard_map.clone(), map);
            file.newer(|| crate::process::load_files(args).map(|loaded| loaded.map.id())).await
        }
    }
}

/// The bucket's name. A map on the command line is in place of any other.
fn bucket_of<'a>(args: &ProcessArgs, settings: &'a Settings) -> Option<&'a str> {
    let name = settings.store.jetstream.map_bucket.as_deref();
    name.filter(|_| args.shard_map.is_none())
}

/// Whether what was found is another map than the one in use, by which to go on. What is wrong with
/// it is logged, and the one in use stays in use.
fn judge(current: MapId, place: &dyn Display, found: anyhow::Result<MapId>) -> Option<MapId> {
    match found {
        Ok(id) if id == current => None,
        Ok(id) if id.version > current.version => Some(id),
        Ok(other) => {
            tracing::warn!(%place, map = %current, %other,
                "there is another map, but not of a higher version; count it up");
            None
        }
        Err(error) => {
            tracing::warn!(%place, error = format!("{error:#}"), "the map in use stays in use");
            None
        }
    }
}
