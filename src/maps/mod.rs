//! Where the shard map comes from while a process runs: its file, or a bucket on NATS servers.

mod bucket;
mod file;
mod version;
mod watch;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use trunkline_config::settings::Settings;
use trunkline_config::{Loaded, ShardMap};
use trunkline_proto::cluster::Cluster;

pub(crate) use self::bucket::{as_file, open as open_bucket};
use self::file::MapFile;
pub(crate) use self::version::{VERSION, show_version};
use crate::process::{ProcessArgs, load_files};

/// The map that the bucket of the settings has, in place of the file's, if it has one.
///
/// # Errors
/// If the servers can't be reached, or what they have is no map.
pub(crate) fn of_bucket(args: &ProcessArgs, settings: &Settings) -> anyhow::Result<Option<Loaded>> {
    let Some(name) = bucket_of(args, settings) else { return Ok(None) };
    let runtime = trunkline_proto::runtime::gathering(Duration::ZERO)?;
    runtime.block_on(bucket::fetch(args, settings, name))
}

/// Has the cluster go over to each newer map that is found, for as long as the runtime lives.
pub(crate) fn follow(args: &ProcessArgs, settings: &Arc<Settings>, cluster: &Cluster) {
    let (args, settings, cluster) = (args.clone(), Arc::clone(settings), cluster.clone());
    tokio::task::spawn_local(async move {
        match bucket_of(&args, &settings) {
            Some(name) => bucket::follow(&args, &settings, name, &cluster).await,
            None => {
                let path = &settings.shard_map;
                let mut file = MapFile::new(path.clone()).await;
                loop {
                    file.changed().await;
                    take(&cluster, &path.display(), load_files(&args).map(|loaded| loaded.map));
                }
            }
        }
    });
}

/// The bucket's name. A map on the command line is in place of any other.
fn bucket_of<'a>(args: &ProcessArgs, settings: &'a Settings) -> Option<&'a str> {
    let name = settings.store.jetstream.map_bucket.as_deref();
    name.filter(|_| args.shard_map.is_none())
}

/// Goes over to a map that was found, if it is another one than the one in use. What is wrong with
/// it is logged, and the one in use stays in use.
fn take(cluster: &Cluster, place: &dyn Display, found: anyhow::Result<ShardMap>) {
    let refused = match found.map(Arc::new) {
        Ok(map) => {
            let (before, id) = (cluster.outlook().view.id().map, map.id());
            match cluster.take_map(map) {
                Ok(()) if id == before => return,
                Ok(()) => return tracing::info!(%place, map = %id, "the shard map has changed"),
                Err(refused) => refused.to_string(),
            }
        }
        Err(error) => format!("{error:#}"),
    };
    tracing::warn!(%place, error = refused, "the shard map in use stays in use");
}
