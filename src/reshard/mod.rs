//! `trunkline reshard`: going over to another shard map while clients are connected.

mod apply;
mod ask;
mod place;
mod plan;
mod progress;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use trunkline_config::{ShardMap, Statuses, parse_duration};
use trunkline_proto::cluster::Cluster;

use self::place::InUse;
use crate::configuration::ClusterFiles;

/// Show what another shard map would move, or go over to it under live connections
#[derive(Args, Debug)]
pub(crate) struct ReshardArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what another map would move, from where to where, and about how long it takes
    Plan(PlanArgs),
    /// Put another map in force, and show what has yet to move until nothing has. It may be
    /// stopped, for the cluster goes on by itself; the same command then shows what is left
    Apply(ApplyArgs),
}

#[derive(Args, Debug)]
struct PlanArgs {
    #[command(flatten)]
    files: ClusterFiles,
    /// The map to go over to
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ApplyArgs {
    #[command(flatten)]
    files: ClusterFiles,
    /// The map to go over to
    file: PathBuf,
    /// The map that was in use before, to go on watching the shards that only it has
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Where a router serves its metrics, once for each router [default: router.metrics of the
    /// settings]
    #[arg(long = "router", value_name = "ADDRESS")]
    routers: Vec<String>,
    /// Give up watching when nothing has moved for so long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    patience: Duration,
}

/// Does it.
///
/// # Errors
/// If the files are wrong, the map can't be gone over to, or the move is stuck.
pub(crate) async fn run(args: ReshardArgs) -> anyhow::Result<()> {
    match args.action {
        Action::Plan(args) => {
            let (in_use, new) = read(&args.files, &args.file).await?;
            if has(&in_use, &new)? {
                bail!(
                    "the cluster has map {} already, so that nothing would move; if it is to be another, count its version up",
                    new.id()
                );
            }
            plan::run(&in_use, &new, args.json).await
        }
        Action::Apply(args) => {
            let (in_use, new) = read(&args.files, &args.file).await?;
            apply::run(&args, &in_use, &new).await
        }
    }
}

/// The map in use, and the one to go over to, as the cluster's processes would read it.
async fn read(files: &ClusterFiles, file: &Path) -> anyhow::Result<(InUse, Arc<ShardMap>)> {
    let in_use = place::read(files).await?;
    let files = ClusterFiles { shard_map: Some(file.to_owned()), ..files.clone() };
    Ok((in_use, Arc::new(files.load_once()?.map)))
}

/// Whether the cluster has a map already, if it is one that can be gone over to.
fn has(in_use: &InUse, new: &Arc<ShardMap>) -> anyhow::Result<bool> {
    // As a process of the cluster judges it.
    let cluster = Cluster::new(Arc::clone(&in_use.map), Statuses::default());
    cluster.take_map(Arc::clone(new))?;
    Ok(in_use.map.id() == new.id())
}
