//! `trunkline map`: the shard map that a cluster has in a bucket on NATS servers.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use trunkline_config::settings::Settings;
use trunkline_config::{Loaded, load_map};
use trunkline_log::{MapBucket, StoredMap};
use trunkline_proto::cluster::MapRefused;

use crate::configuration::ClusterFiles;
use crate::maps;
use crate::terminal::say;

/// Look at or replace the shard map that a cluster has in a bucket (store.jetstream.map_bucket)
#[derive(Args, Debug)]
pub(crate) struct MapArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put a map there, of a higher version than the one that is there: all processes take it at
    /// once
    Push {
        #[command(flatten)]
        files: ClusterFiles,
        /// The map
        file: PathBuf,
        /// Take one with another hash_key, too, which places everything anew: end all processes
        /// before, and start them with it
        #[arg(long)]
        rekey: bool,
    },
    /// Print the map that is there
    Show {
        #[command(flatten)]
        files: ClusterFiles,
    },
}

/// Does it.
///
/// # Errors
/// If the files are wrong, the servers can't be reached, or the map is not a newer one.
pub(crate) async fn run(args: MapArgs) -> anyhow::Result<()> {
    match args.action {
        Action::Push { files, file, rekey } => push(&files, file, rekey).await,
        Action::Show { files } => show(&files).await,
    }
}

/// Puts a map into the bucket of the settings.
///
/// # Errors
/// If the files are wrong, the servers can't be reached, or the map is not a newer one.
pub(crate) async fn push(files: &ClusterFiles, file: PathBuf, rekey: bool) -> anyhow::Result<()> {
    let map = load_map(&file)?;
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let Loaded { settings, map: of_file } = files.load_once()?;
    let (name, bucket) = bucket(&settings).await?;
    let before = bucket.read().await?;
    let mut in_use = of_file;
    if let Some(before) = &before {
        in_use = maps::as_file(&before.text, load_map)?;
        let there = in_use.id();
        if there == map.id() && before.text == text {
            say(format_args!("{name} has map {there} already"));
            return Ok(());
        }
        if there.version >= map.id().version {
            bail!(
                "{name} has map {there}, and {} is map {}; count its version up",
                file.display(),
                map.id()
            );
        }
    }
    if !rekey && in_use.hash_key() != map.hash_key() {
        bail!("{}, pushed with --rekey", MapRefused::HashKey(map.id()));
    }
    bucket.write(&text, before.map(|before| before.revision)).await?;
    say(format_args!("{name} has map {}", map.id()));
    Ok(())
}

async fn show(files: &ClusterFiles) -> anyhow::Result<()> {
    let settings = files.load_once()?.settings;
    let (name, bucket) = bucket(&settings).await?;
    match bucket.read().await? {
        Some(StoredMap { text, .. }) => say(text.trim_end()),
        None => bail!("{name} has no map yet; `trunkline map push FILE` puts one there"),
    }
    Ok(())
}

/// The bucket of the settings, and its name.
async fn bucket(settings: &Settings) -> anyhow::Result<(&str, MapBucket)> {
    let Some(name) = settings.store.jetstream.map_bucket.as_deref() else {
        bail!("the settings name no bucket; write store.jetstream.map_bucket = \"trunkline-map\"");
    };
    Ok((name, maps::open_bucket(settings, name).await?))
}
