//! `trunkline shard`: a shard's process.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use prometheus::Registry;
use trunkline_config::Loaded;
use trunkline_config::store::StoreKind;
use trunkline_shard::{Shard, ShardOptions};

use crate::on_gathering_runtime;
use crate::ops::Ops;
use crate::process::{self, End, ProcessArgs, serve_until};

/// Run a shard: it owns the rooms and inboxes whose keys hash to it
#[derive(Args, Debug)]
pub(crate) struct ShardArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Which shard of the map this is
    #[arg(long)]
    id: String,
    /// Where to keep its messages, in a file of its own, in place of the folder that the settings
    /// name
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// If the files are wrong, don't know the shard, or a port is taken.
pub(crate) fn run(args: ShardArgs) -> anyhow::Result<()> {
    let loaded = process::load(&args.process)?;
    on_gathering_runtime(loaded.settings.runtime.flush_delay, serve(args, loaded))?.conclude()
}

async fn serve(args: ShardArgs, loaded: Loaded) -> anyhow::Result<End> {
    let Loaded { settings, map } = loaded;
    let kind = settings.store.kind;
    if args.data.is_some() && matches!(kind, Some(StoreKind::Memory | StoreKind::JetStream)) {
        bail!(
            "--data is where an embedded store is, and store.kind is another; leave one of them out"
        );
    }
    let ending = process::begin(&args.process, &settings)?;
    let Some(own) = map.shards().iter().find(|shard| shard.id == args.id) else {
        let ids: Vec<&str> = map.shards().iter().map(|shard| shard.id.as_str()).collect();
        bail!("the shard map has no shard {}; give --id one of {}", args.id, ids.join(", "));
    };
    let registry = Registry::new();
    let ops = Ops::bind(&own.metrics).await?;
    let settings = Arc::new(settings);
    let end = process::end(&args.process, ending, &settings, map.id());
    let shard = Shard::start(ShardOptions {
        settings: Arc::clone(&settings),
        map: Arc::new(map),
        id: args.id.clone(),
        data: args.data.clone(),
        registry: registry.clone(),
    })
    .await
    .context("cannot start the shard")?;
    let ready_line = format!("ready {}", args.id);
    let end = serve_until(end, ops, registry, shard.readiness(), &ready_line).await;
    shard.shutdown().await;
    Ok(end)
}
