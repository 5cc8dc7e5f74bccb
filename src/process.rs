//! What a router's and a shard's process have in common: they read the files, begin to log,
//! serve the operator, say when they are ready, and wait to be asked to end.

use std::path::PathBuf;
use std::pin::pin;

use anyhow::{Context, bail};
use clap::Args;
use prometheus::Registry;
use tokio::sync::watch;
use trunkline_config::{Loaded, load, load_with_map};

use crate::ending::Ending;
use crate::ops::Ops;
use crate::{logging, terminal};

/// What both are told.
#[derive(Args, Debug)]
pub(crate) struct ProcessArgs {
    /// The cluster's settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A shard map to use in place of the one that the settings name
    #[arg(long, value_name = "FILE")]
    shard_map: Option<PathBuf>,
    /// End with stdin, and leave SIGINT to the parent
    #[arg(long, hide = true)]
    under_parent: bool,
}

/// A process that has its files and its log, and serves nothing yet.
pub(crate) struct Process {
    pub(crate) loaded: Loaded,
    pub(crate) ending: Ending,
}

impl Process {
    /// Reads the files and begins to log.
    ///
    /// # Errors
    /// Every problem of the files.
    pub(crate) fn prepare(args: &ProcessArgs) -> anyhow::Result<Self> {
        let loaded = match &args.shard_map {
            Some(map) => load_with_map(&args.config, map)?,
            None => load(&args.config)?,
        };
        for shard in loaded.map.shards() {
            if shard.grpc.ends_with(":0") {
                bail!(
                    "shard {} has port 0 in {}, where nobody could find it; write its port (only `trunkline up` chooses free ones)",
                    shard.id,
                    loaded.settings.shard_map.display()
                );
            }
        }
        logging::begin(&loaded.settings.log)?;
        let ending = Ending::listen(args.under_parent).context("cannot listen for signals")?;
        Ok(Self { loaded, ending })
    }
}

/// Serves the operator and says `ready_line` when the process first is ready, until it is asked
/// to end.
pub(crate) async fn serve_until_end(
    ending: Ending,
    ops: Ops,
    registry: Registry,
    mut readiness: watch::Receiver<bool>,
    ready_line: &str,
) {
    // It serves while the process ends, too, and goes with the runtime.
    tokio::spawn(ops.serve(registry, readiness.clone()));
    let mut ended = pin!(ending.wait());
    tokio::select! {
        () = &mut ended => {}
        ready = readiness.wait_for(|ready| *ready) => {
            if ready.is_ok() {
                terminal::say(ready_line);
            }
            ended.await;
        }
    }
}
