//! The shard map in a key-value bucket.

use std::convert::Infallible;
use std::path::Path;

use trunkline_config::settings::Settings;
use trunkline_config::{Loaded, Problems, load_with_map};
use trunkline_log::{BucketError, MapBucket};
use trunkline_proto::cluster::Cluster;

use super::take;
use crate::configuration::temporary_folder;
use crate::process::ProcessArgs;

/// Opens the bucket.
pub(crate) async fn open(settings: &Settings, name: &str) -> Result<MapBucket, BucketError> {
    MapBucket::open(&settings.store.jetstream, name).await
}

/// The settings with the bucket's map, if it has one.
pub(super) async fn fetch(
    args: &ProcessArgs,
    settings: &Settings,
    name: &str,
) -> anyhow::Result<Option<Loaded>> {
    let stored = open(settings, name).await?.read().await?;
    stored.map(|stored| load_text(&args.config, &stored.text)).transpose()
}

/// Has the cluster go over to each newer map that stands in the bucket.
pub(super) async fn follow(
    args: &ProcessArgs,
    settings: &Settings,
    name: &str,
    cluster: &Cluster,
) -> Infallible {
    let mut bucket = loop {
        match open(settings, name).await {
            Ok(bucket) => break bucket,
            Err(error) => tracing::warn!(%error, "cannot watch the shard map; trying again"),
        }
    };
    loop {
        let found = load_text(&args.config, &bucket.next().await.text);
        take(cluster, &name, found.map(|loaded| loaded.map));
    }
}

/// Reads settings with a map that is a text.
fn load_text(config: &Path, text: &str) -> anyhow::Result<Loaded> {
    as_file(text, |file| load_with_map(config, file))
}

/// Reads a map's text by what reads files.
pub(crate) fn as_file<T>(
    text: &str,
    read: impl FnOnce(&Path) -> Result<T, Problems>,
) -> anyhow::Result<T> {
    let folder = temporary_folder()?;
    let file = folder.path().join("shards.toml");
    std::fs::write(&file, text)?;
    Ok(read(&file)?)
}
