//! `trunkline shard`: a shard's process, and what is asked of one that runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use prometheus::Registry;
use trunkline_config::store::StoreKind;
use trunkline_config::{Loaded, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_shard::{Shard, ShardOptions};

use crate::control::{self, ControlArgs};
use crate::ending::Asked;
use crate::ops::Ops;
use crate::process::{self, ProcessArgs, serve_until};
use crate::{maps, on_gathering_runtime};

/// Run a shard: it owns the rooms and inboxes whose keys hash to it
#[derive(Args, Debug)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub(crate) struct ShardArgs {
    #[command(flatten)]
    process: Option<ProcessArgs>,
    /// Which shard of the map this is
    #[arg(long, required = true)]
    id: Option<String>,
    /// Where to keep its messages, in a file of its own, in place of the folder that the settings
    /// name
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have the other shards take over what a shard has, under live connections, and wait until it
    /// has nothing left. It goes on running, and serves again after `resume`
    Drain(ControlArgs),
    /// Have a shard serve again that was drained
    Resume(ControlArgs),
}

/// What a shard's process is told.
struct RunArgs {
    process: ProcessArgs,
    id: String,
    data: Option<PathBuf>,
}

/// Runs until the process is asked to end, or asks what is to be asked of one that runs.
///
/// # Errors
/// If the files are wrong, don't know the shard, or a port is taken; if the shard that is asked
/// can't be reached, or refuses.
pub(crate) fn run(args: ShardArgs) -> anyhow::Result<()> {
    let ShardArgs { process, id, data, action } = args;
    match action {
        Some(Action::Drain(args)) => return control::drain(&args),
        Some(Action::Resume(args)) => return control::resume(&args),
        None => {}
    }
    let (Some(process), Some(id)) = (process, id) else {
        bail!("give --config and --id, or `drain` or `resume`");
    };
    let run = RunArgs { process, id, data };
    let loaded = process::load(&run.process)?;
    on_gathering_runtime(loaded.settings.runtime.flush_delay, serve(run, loaded))
}

async fn serve(args: RunArgs, loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { settings, map } = loaded;
    let kind = settings.store.kind;
    if args.data.is_some() && matches!(kind, Some(StoreKind::Memory | StoreKind::JetStream)) {
        bail!(
            "--data is where an embedded store is, and store.kind is another; leave one of them out"
        );
    }
    let mut ending = process::begin(&args.process, &settings)?;
    let Some(own) = map.shards().iter().find(|shard| shard.id == args.id) else {
        let ids: Vec<&str> = map.shards().iter().map(|shard| shard.id.as_str()).collect();
        bail!("the shard map has no shard {}; give --id one of {}", args.id, ids.join(", "));
    };
    let registry = Registry::new();
    let ops = Ops::bind(&own.metrics).await?;
    let settings = Arc::new(settings);
    let cluster = Cluster::new(Arc::new(map), Statuses::default());
    maps::follow(&args.process, &settings, &cluster);
    let shard = Shard::start(ShardOptions {
        settings: Arc::clone(&settings),
        cluster,
        id: args.id.clone(),
        data: args.data.clone(),
        registry: registry.clone(),
    })
    .await
    .context("cannot start the shard")?;
    let ready_line = format!("ready {}", args.id);
    let asked = serve_until(ending.wait(), ops, registry, shard.readiness(), &ready_line).await;
    if asked == Asked::Orderly {
        tokio::select! {
            () = shard.drain() => {}
            _ = ending.wait() => tracing::info!("asked once more; ending at once"),
        }
    }
    shard.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn parse(words: &str) -> Result<ShardArgs, clap::Error> {
        let command = ShardArgs::augment_args(Command::new("shard"));
        let matches = command.try_get_matches_from(words.split(' '))?;
        ShardArgs::from_arg_matches(&matches)
    }

    #[test]
    fn a_shard_is_run_by_its_id_and_asked_by_subcommands() {
        let run = parse("shard --under-parent --config f --id a --data d").unwrap();
        assert!(run.process.is_some() && run.id.as_deref() == Some("a") && run.action.is_none());
        let drain = parse("shard drain a --config f --shard-map m").unwrap();
        assert!(matches!(drain.action, Some(Action::Drain(_))));
        assert!(matches!(
            parse("shard resume a --config f").unwrap().action,
            Some(Action::Resume(_))
        ));
        for wrong in
            ["shard", "shard --config f", "shard --id a", "shard drain --config f", "shard drain a"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
